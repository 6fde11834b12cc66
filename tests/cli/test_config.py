"""`vnicheck.toml` as the program finds it, and what it changes of reports and traces; `assumptions` and `trace`."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from tests.support.program import one_line, run
from vnicheck.cli.config import EXAMPLES
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.fabric.assumptions import ASSUMPTIONS
from vnicheck.model.cloud import FloatingIp
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.snapshot import encode_snapshot

NETWORKS = '[networks]\non-prem = ["10.8.0.0/16"]\n'
FIXED = ["spoofing-internet", "nlb-direct", "public-ranges", "transit-unchanged", "vpn-source"]
FIXED += ["guest-firewall", "answered-here", "container-answers", "guest-hooks"]
"""Assumptions that have no override."""
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Check 2 (10.0.0.11 and .12, the latter with a floating IP) and a stopped server, `peer`."""
    recorded = load_check(CHECKS[1])
    (server,) = recorded.servers
    floating = msgspec.structs.replace(
        server.vnis[1], floating_ips=(FloatingIp(id="fip", name="fip", address="198.51.100.12"),)
    )
    vni = msgspec.structs.replace(server.vnis[0], id="vni-p", name="vni-p", primary_address="10.0.0.50", mac=None)
    peer = msgspec.structs.replace(server, id="peer-id", name="peer", vnis=(vni,), guest=None)
    server = msgspec.structs.replace(server, vnis=(server.vnis[0], floating))
    path = tmp_path_factory.mktemp("snapshot") / "snapshot.json"
    path.write_bytes(encode_snapshot(msgspec.structs.replace(recorded, servers=(server, peer))))
    return path


def inside(folder: Path, *arguments: str, memory: int | None = None) -> subprocess.CompletedProcess[str]:
    """The program, started in a folder, with so many bytes of memory."""
    if memory is None:
        return run(*arguments, env={"COLUMNS": "100"}, folder=folder)
    return subprocess.run(
        ["prlimit", f"--as={memory}", sys.executable, "-m", "vnicheck", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# --- where the file is ------------------------------------------------------------------------------------------------


def test_the_file_is_found_upward(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    said = [inside(deep, "assumptions").stdout]
    (tmp_path / "vnicheck.toml").write_text("[assumptions]\nsg-stateless = false\n")
    said.append(inside(deep, "assumptions").stdout)
    (tmp_path / "a" / "vnicheck.toml").write_text("[assumptions]\nfip-return = false\n")
    said.append(inside(deep, "assumptions").stdout)
    assert ["sg-stateless = false" in each for each in said] == [False, True, False]
    assert ["fip-return = false" in each for each in said] == [False, False, True]


def test_a_file_may_be_named_and_then_counts_alone(tmp_path: Path) -> None:
    (tmp_path / "vnicheck.toml").write_text("[assumptions]\nsg-stateless = false\n")
    (tmp_path / "other.toml").write_text('[assumptions]\npsf-auto = { web-1 = "disabled" }\n')
    done = inside(tmp_path, "assumptions", "--config", "other.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert 'Overridden by the configuration: psf-auto = {"web-1": "disabled"}' in done.stdout
    assert "sg-stateless = false" not in done.stdout


# --- what is wrong with it --------------------------------------------------------------------------------------------

MISTAKES = {
    "a misspelt table": ("[asumptions]", "'asumptions' is not a setting; did you mean 'assumptions'?"),
    "a misspelt setting": ("[assumptions]\npsf-openin = true", "did you mean 'psf-opening'?"),
    "an underscore": ("[assumptions]\npsf_auto = 'disabled'", "did you mean 'psf-auto'?"),
    "a setting like none": ("[assumptions]\nzzz = 5", "'assumptions.zzz' is not a setting; there are psf-auto, psf-op"),
    "a wrong word": ("[assumptions]\npsf-auto = 'off'", 'as in: psf-auto = "disabled"'),
    "a wrong word for one": ("[assumptions]\npsf-auto = { web-1 = 'off' }", 'as in: psf-auto = "disabled"'),
    "a wrong type": ("[assumptions]\nclient-ports = 5", 'as in: client-ports = "32768-60999"'),
    "a wrong range": ("[assumptions]\nclient-ports = '5-1'", 'as in: client-ports = "32768-60999"'),
    "a wrong protocol": ("[assumptions]\npsf-protocols = ['sctp']", 'as in: psf-protocols = ["tcp", "udp"]'),
    "no boolean": ("[assumptions]\nsg-stateless = 'no'", "as in: sg-stateless = false"),
    "no prefix": ("[assumptions]\nremote-reachable = ['on-prem']", 'as in: remote-reachable = ["10.8.0.0/16"]'),
    "no list": ("[networks]\na = '10.0.0.0/8'", 'as in: [networks] on-prem = ["10.8.0.0/16"]'),
    "host bits": ("[networks]\na = ['10.8.0.1/16']", "host bits are set in prefix '10.8.0.1/16'; as in: [networks]"),
    "a shared address": ("[networks]\na = ['10.8.0.0/16']\nb = ['10.8.1.0/24']", "two networks share addresses"),
    "no table": ("networks = 5", "as in: [networks]"),
    "no TOML": ("[networks", "is not valid TOML"),
    "too deep": ("a = " + "[" * 5000, "is not valid TOML"),
    "a number without end": ("a = " + "1" * 5000, "is not valid TOML"),
    "no text": ("\udcff", "is not valid TOML"),
    "a key of 200,000 parts": ("a." * 200_000 + "a = 1", "a key of more than 8 parts"),
    "such a table": (f"[{'a.' * 200_000}a]", "a key of more than 8 parts"),
    "such a key in a table": (f"a = {{ {'a . ' * 100_000}a = 1 }}", "a key of more than 8 parts"),
    "such a quoted key": ("'a.b'.\"c\"." * 80_000 + "a = 1", "a key of more than 8 parts"),
    "tables without end": ("a = " + "{a=" * 200_000, "is not valid TOML"),
    "strings without end": ('a = """' + '"' * 500_000, "is not valid TOML"),
    "quotes without end": (('"' * 3 + "'" * 3) * 100_000 + "\\", "is not valid TOML"),
    "20,000 networks": (
        "[networks]\n" + "".join(f"n{n} = ['10.{n >> 8}.{n & 255}.0/24']\n" for n in range(20_000)),
        "20000 networks; there is room for 1000",
    ),
    "too much of it": ("#" * (1 << 20) + "\n", "is larger than 1 MiB"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_file_is_one_line(name: str, tmp_path: Path) -> None:
    text, words = MISTAKES[name]
    (tmp_path / "vnicheck.toml").write_text(text, errors="surrogateescape")
    done = inside(tmp_path, "assumptions", memory=500 << 20)
    assert words in one_line(done)
    assert "vnicheck.toml" in done.stderr
    assert done.returncode == 2


def test_many_prefixes_of_a_network_and_dots_in_its_words_are_no_depth(tmp_path: Path) -> None:
    prefixes = ", ".join(f"'10.{n >> 7}.{n % 128 * 2}.0/24'" for n in range(20_000))
    (tmp_path / "vnicheck.toml").write_text(f"[networks] # a.b.c.d.e.f.g.h.i.j\n'a.b.c.d.e.f.g.h.i.j' = [{prefixes}]\n")
    assert inside(tmp_path, "assumptions").returncode == 0


# --- whose it is ------------------------------------------------------------------------------------------------------


def found_by(folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, sys.executable, "-m", "vnicheck", "assumptions"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "HOME": "/nonexistent"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_that_everybody_may_write_is_not_taken_up_unasked(tmp_path: Path) -> None:
    (tmp_path / "vnicheck.toml").write_text("[assumptions]\nsg-stateless = false\n")
    (tmp_path / "vnicheck.toml").chmod(0o666)
    (tmp_path / "below").mkdir()
    for folder in (tmp_path, tmp_path / "below"):
        done = inside(folder, "assumptions")
        assert done.returncode == 2
        assert "was found, and everybody may write it: chmod o-w, or" in one_line(done)
    assert inside(tmp_path, "assumptions", "--config", "vnicheck.toml").returncode == 0
    (tmp_path / "vnicheck.toml").chmod(0o664)
    assert inside(tmp_path, "assumptions").returncode == 0


@pytest.mark.root
@pytest.mark.parametrize(("owner", "status"), [(0, 0), (65534, 0), (12345, 2)])
def test_a_file_of_somebody_else_is_not_taken_up_unasked(owner: int, status: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "vnicheck.toml").write_text("")
        os.chown(folder / "vnicheck.toml", owner, owner)
        done = found_by(folder, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        assert done.returncode == status
        if status:
            assert "was found, and is user 12345's, not yours; if it is yours to rely on, name it" in one_line(done)


@pytest.mark.root
def test_as_root_in_a_container_any_owner_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vnicheck.toml").write_text("")
    os.chown(tmp_path / "vnicheck.toml", 12345, 12345)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert found_by(tmp_path).returncode == 0


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = inside(tmp_path, "assumptions", "--config", "nowhere.toml")
    assert one_line(done) == "cannot read nowhere.toml: No such file or directory"
    done = inside(tmp_path, "assumptions", "--config", ".")
    assert "cannot read .: Is a directory" in one_line(done)


def test_every_example_is_right() -> None:
    import tomllib

    for key, example in EXAMPLES.items():
        text = example.partition(" or ")[0]
        text = text.replace("] ", "]\n", 1) if key == "networks" else f"[assumptions]\n{text}"
        assert msgspec.convert(tomllib.loads(text), Config) != Config(), key
    assert set(EXAMPLES) == {field.encode_name for field in msgspec.structs.fields(Assumptions)} | {"networks"}


# --- what it changes --------------------------------------------------------------------------------------------------


def test_networks_are_named_in_json_and_in_text(snapshot: Path, tmp_path: Path) -> None:
    arguments = ("analyze", "server", "--snapshot", str(snapshot))
    without = json.loads(inside(tmp_path, *arguments, "-f", "json").stdout)["instances"][0]["flows"]
    (tmp_path / "vnicheck.toml").write_text(NETWORKS)
    named = json.loads(inside(tmp_path, *arguments, "-f", "json").stdout)["instances"][0]["flows"]
    assert not any("remote_network" in flow for flow in without)
    ours = [flow for flow in named if flow.get("remote_network") == "on-prem"]
    assert {prefix for flow in ours for prefix in flow["remote"]} == {"10.8.0.0/16"}
    assert {flow["remote_scope"] for flow in ours} == {"private"}
    assert len(ours) == 2 * 3 * 2
    text = inside(tmp_path, *arguments, "--explain").stdout
    assert "on-prem" in text
    assert "10.8.0.0/16" not in text


def test_an_override_changes_the_report(snapshot: Path, tmp_path: Path) -> None:
    arguments = ("analyze", "server", "--snapshot", str(snapshot), "--fail-on", "error")
    assert inside(tmp_path, *arguments).returncode == 1
    (tmp_path / "vnicheck.toml").write_text('[assumptions]\npsf-auto = "disabled"\nfip-return = false\n')
    done = inside(tmp_path, *arguments, "--explain")
    assert "VNC102" not in done.stdout
    assert "state filtering disabled (mode auto)" in done.stdout


# --- assumptions ------------------------------------------------------------------------------------------------------


def test_assumptions_as_json(tmp_path: Path) -> None:
    (tmp_path / "vnicheck.toml").write_text("[assumptions]\npsf-opening = false\n")
    done = inside(tmp_path, "assumptions", "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    listed = {each["id"]: each for each in json.loads(done.stdout)}
    assert set(listed) == {assumption.id for assumption in ASSUMPTIONS}
    assert all(each["statement"] and each["source"] and each["basis"] for each in listed.values())
    assert [key for key, each in listed.items() if each["override"] is None] == FIXED
    assert {key: each["setting"] for key, each in listed.items() if each["setting"] is not None} == {
        "psf-opening": False
    }


def test_assumptions_as_text(tmp_path: Path) -> None:
    done = inside(tmp_path, "assumptions")
    assert (done.returncode, done.stderr) == (0, "")
    for assumption in ASSUMPTIONS:
        assert f"{assumption.id}  [{assumption.basis}]" in done.stdout
    assert done.stdout.count("Source: ") == len(ASSUMPTIONS)
    assert "Overridden" not in done.stdout
    assert done.stdout.count("It cannot be overridden.") == len(FIXED)
    assert one_line(inside(tmp_path, "assumptions", "-f", "yaml")) == "--format 'yaml': write text or json"


# --- trace ------------------------------------------------------------------------------------------------------------


def trace(snapshot: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return inside(folder, "trace", "server", "--snapshot", str(snapshot), *arguments)


def test_a_trace_is_a_numbered_list_of_hops(snapshot: Path, tmp_path: Path) -> None:
    done = trace(snapshot, tmp_path, "--from", "10.8.0.4", "--to", "10.0.0.12", "--port", "80")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == ("tcp port 80 from 10.8.0.4 to server (10.0.0.12): dropped by the state filter at eth0 (reply)")
    assert [line for line in lines if line in {"request", "reply"}] == ["request", "reply"]
    numbers = [int(line[:3]) for line in lines if line[:3].strip().isdigit()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 9
    assert "rule '32766: from all lookup main', route 'default via 10.0.0.1 dev eth0'" in " ".join(done.stdout.split())
    assert "has seen no SYN of this connection [psf-opening]" in " ".join(done.stdout.split())


def test_a_trace_as_json_is_a_report_with_one_flow(snapshot: Path, tmp_path: Path) -> None:
    done = trace(snapshot, tmp_path, "--from", "10.0.0.12", "--to", "10.8.0.4", "--protocol", "udp", "-f", "json")
    report = json.loads(done.stdout)
    assert report["schema"] == "vnicheck.report/2"
    ((flow,),) = [instance["flows"] for instance in report["instances"]]
    assert (flow["direction"], flow["protocol"], flow["ports"]) == ("outbound", "udp", ["443"])
    assert (flow["local"], flow["remote"], flow["verdict"]) == ("10.0.0.12", ["10.8.0.4/32"], "unknown")
    assert {hop["leg"] for hop in flow["hops"]} == {"request", "reply"}


def test_a_trace_between_two_servers_shows_both_sides(snapshot: Path, tmp_path: Path) -> None:
    done = trace(snapshot, tmp_path, "--from", "peer", "--to", "10.0.0.12", "--protocol", "icmp", "-f", "json")
    assert (done.returncode, done.stderr) == (3, ""), "the guest of peer was not collected"
    sides = {side["name"]: side["flows"][0] for side in json.loads(done.stdout)["instances"]}
    assert [(name, flow["direction"], flow["remote"]) for name, flow in sides.items()] == [
        ("peer", "outbound", ["10.0.0.12/32"]),
        ("server", "inbound", ["10.0.0.50/32"]),
    ]
    assert sides["server"]["verdict"] == "unknown", "spoofing-sibling"
    text = trace(snapshot, tmp_path, "--from", "peer", "--to", "server", "--allow-incomplete")
    assert text.returncode == 0
    assert "from peer (10.0.0.50) to 10.0.0.11" in text.stdout
    assert "from 10.0.0.50 to server (10.0.0.11)" in text.stdout


def test_a_floating_ip_leads_to_its_address(snapshot: Path, tmp_path: Path) -> None:
    done = trace(snapshot, tmp_path, "--from", "203.0.113.9", "--to", "198.51.100.12", "-f", "json")
    ((flow,),) = [instance["flows"] for instance in json.loads(done.stdout)["instances"]]
    assert (flow["local"], flow["remote_scope"]) == ("10.0.0.12", "internet")
    assert flow["hops"][0]["stage"] == "floating_ip"
    assert "floating_ip" in [drop["by"] for drop in flow["drops"]]


def test_a_floating_ip_is_dialled_by_way_of_the_internet(snapshot: Path, tmp_path: Path) -> None:
    """peer has neither floating IP nor public gateway: as which address it would come in is not known."""
    done = trace(snapshot, tmp_path, "--from", "peer", "--to", "198.51.100.12", "-f", "json")
    (side,) = json.loads(done.stdout)["instances"]
    assert (side["name"], side["flows"][0]["remote"]) == ("peer", ["198.51.100.12/32"])
    assert side["flows"][0]["remote_scope"] == "internet"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "10.8.0.4", "--to", "10.8.0.5"), "neither 10.8.0.4 nor 10.8.0.5 is an address of server"),
        (("--from", "10.0.0.11", "--to", "10.0.0.12"), "one server"),
        (("--from", "nobody", "--to", "10.0.0.12"), "'nobody'"),
        (("--from", "10.8.0.4", "--to", "10.0.0.12", "--protocol", "sctp"), "--protocol 'sctp': write tcp, udp, icmp"),
        (("--from", "10.8.0.4", "--to", "10.0.0.12", "--port", "0"), "--port 0: write a port"),
        (("--from", "10.8.0.4"), "'--to'"),
    ],
)
def test_what_cannot_be_traced_is_one_line(
    arguments: tuple[str, ...], words: str, snapshot: Path, tmp_path: Path
) -> None:
    done = trace(snapshot, tmp_path, *arguments)
    assert words in one_line(done)
    assert done.returncode == 2
