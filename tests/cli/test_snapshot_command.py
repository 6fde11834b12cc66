"""`snapshot` into folders: each guest written as it comes, runs that go on where one stopped, several regions at once.

Real sshds, and stand-ins of the API over HTTP. A stand-in's region goes by its port, which VPC_URL has a place for.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import StandIn, World
from tests.support.program import one_line, run
from tests.support.sshd import Sshd, free_port, generate_key, require

COLLECTED = Path(__file__).parents[2] / "fixtures" / "cases" / "policy-routing-collected" / "collected.txt"
EVERY_REGION = {"VPC_URL": "http://127.0.0.1:{region}/v1", "VPC_AUTH_TYPE": "noauth"}


def world_of(*names: str, region: str = "us-south") -> World:
    world = World(region=region).vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    for number, name in enumerate(names):
        macs = ("02:00:05:02:70:58", "02:00:25:02:70:58")
        world.instance(
            name,
            interfaces=[
                {"subnet": "a", "address": f"10.0.0.{10 * number + 11 + place}", "mac": mac}
                for place, mac in enumerate(macs)
            ],
        )
    return world


class Hosts:
    """An sshd that is any server, one that hangs, and a port that refuses; an SSH configuration says who is where."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = generate_key(folder / "client")
        today = "s/^|2026-[0-9T:-]*Z$/|$(date -u +%FT%TZ)/"  # or its clock would be told to be off
        replay = f'cat >/dev/null; sed "{today}" {COLLECTED}'
        self.good = Sshd(folder / "good", client_key=self.key, force_command=replay)
        self.hangs = Sshd(folder / "hangs", client_key=self.key, force_command="sleep 600")
        self.refusing = free_port()

    def options(self, **ports: int) -> list[str]:
        """Options that lead the servers named to these ports, and all others to the good host."""
        places = {**ports, "*": self.good.port}
        config = self.folder / "config"
        config.write_text(
            "".join(
                f"Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  User {self.good.user}\n"
                for name, port in places.items()
            )
        )
        known = self.folder / "known_hosts"
        known.write_text(self.good.known_hosts_line() + self.hangs.known_hosts_line())
        return ["-F", str(config), "--known-hosts", str(known), "-i", str(self.key), "--connect-timeout", "3"]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    require("sshd", "ssh-keygen")
    hosts = Hosts(tmp_path_factory.mktemp("hosts"))
    with hosts.good, hosts.hangs:
        yield hosts


def guests_in(folder: Path) -> dict[str, str]:
    """`guest` or the problem's code, by the server's id."""
    found = {}
    for path in folder.glob("*/guests/*.json"):
        document = json.loads(path.read_bytes())
        found[document["server"]] = "guest" if "guest" in document else document["problem"]["code"]
    return found


def test_a_second_run_tries_again_only_what_failed(hosts: Hosts, tmp_path: Path) -> None:
    world = world_of("web-1", "web-2", "web-3")
    ids = {name: world.id("instance", name) for name in ("web-1", "web-2", "web-3")}
    folder = tmp_path / "fleet"
    with StandIn(world) as api:
        first = run(
            "snapshot", "--all", "-o", f"{folder}/", *hosts.options(**{"web-3": hosts.refusing}), env=api.environ
        )
        assert (first.returncode, first.stdout) == (3, "")
        assert first.stderr.count("\n") == 1
        assert first.stderr.startswith("vnicheck: web-3: ")
        assert guests_in(folder) == {ids["web-1"]: "guest", ids["web-2"]: "guest", ids["web-3"]: "ssh_refused"}
        partly = run("analyze", "web-3", "--snapshot", str(folder), "-f", "json")
        assert partly.returncode == 3
        assert [p["code"] for p in json.loads(partly.stdout)["instances"][0]["problems"]] == ["ssh_refused"]

        sessions = hosts.good.sessions()
        second = run("snapshot", "--all", "-o", str(folder), *hosts.options(), env=api.environ)
        assert (second.returncode, second.stdout) == (0, "")
        assert hosts.good.sessions() == sessions + 1
        (said,) = second.stderr.splitlines()
        assert said.startswith(f"vnicheck: 2 servers are in {folder} already and skipped, the oldest of 20")
        assert said.endswith("--refresh collects them anew")
        assert set(guests_in(folder).values()) == {"guest"}

        refreshed = run("snapshot", "--all", "--refresh", "-o", str(folder), *hosts.options(), env=api.environ)
        assert (refreshed.returncode, refreshed.stderr) == (0, "")
        assert hosts.good.sessions() == sessions + 4
        assert api.unexpected == []
    assert [path.name for path in folder.iterdir()] == ["us-south"]
    whole = run("analyze", "web-1", "web-2", "web-3", "--snapshot", str(folder), "-f", "json")
    assert (whole.returncode, whole.stderr) == (0, "")
    assert [each["status"] for each in json.loads(whole.stdout)["instances"]] == ["analyzed"] * 3


def test_what_was_collected_before_an_interrupt_is_kept(hosts: Hosts, tmp_path: Path) -> None:
    world = world_of("web-1", "web-2")
    folder = tmp_path / "fleet"
    with StandIn(world) as api:
        options = hosts.options(**{"web-2": hosts.hangs.port})
        with subprocess.Popen(
            [sys.executable, "-m", "vnicheck", "snapshot", "--all", "-o", f"{folder}/", *options],
            env={**os.environ, **api.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            deadline = time.monotonic() + 30
            while not guests_in(folder) and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert said == "vnicheck: interrupted\n"
        assert guests_in(folder) == {world.id("instance", "web-1"): "guest"}
        sessions = hosts.good.sessions()
        again = run("snapshot", "--all", "-o", str(folder), *hosts.options(), env=api.environ)
        assert again.returncode == 0
        assert hosts.good.sessions() == sessions + 1


def test_a_spoilt_file_is_told_and_written_anew(hosts: Hosts, tmp_path: Path) -> None:
    world = world_of("web-1")
    with StandIn(world) as api:
        assert run("snapshot", "--all", "-o", str(tmp_path), *hosts.options(), env=api.environ).returncode == 0
        for path in tmp_path.rglob("*.json"):
            path.write_bytes(path.read_bytes()[:-30])
        done = run("snapshot", "--all", "-o", str(tmp_path), *hosts.options(), env=api.environ)
    assert done.returncode == 0
    assert sorted(line.rpartition("; ")[2] for line in done.stderr.splitlines()) == ["collected anew", "read anew"]
    assert run("analyze", "web-1", "--snapshot", str(tmp_path)).returncode == 0


def test_servers_named_do_not_push_others_out_and_those_that_are_gone_are_told(tmp_path: Path) -> None:
    world = world_of("web-1", "web-2")
    saved = [f"--guest=web-{number}={COLLECTED}" for number in (1, 2)]
    with StandIn(world) as api:
        assert run("snapshot", "--all", "-o", str(tmp_path), *saved, env=api.environ).returncode == 0
        named = run("snapshot", "web-1", "-o", str(tmp_path), saved[0], env=api.environ)
        assert named.returncode == 2
        assert one_line(named) == f"{tmp_path} holds other servers too (web-2): give --all, or another folder"
        world.data["instances"] = [each for each in world.data["instances"] if each["name"] != "web-2"]
        after = run("snapshot", "--all", "-o", str(tmp_path), saved[0], env=api.environ)
        assert after.returncode == 0
        assert after.stderr == f"vnicheck: us-south: no longer in {tmp_path}, being gone or out of scope: web-2\n"
    assert run("analyze", "web-2", "--snapshot", str(tmp_path)).returncode == 2


def test_several_regions_go_into_one_folder(tmp_path: Path) -> None:
    saved = [f"--guest={name}={COLLECTED}" for name in ("web-1", "db-1")]
    with StandIn(world_of("web-1")) as south, StandIn(world_of("db-1", region="eu-de")) as north:
        ports = [str(api.server.server_address[1]) for api in (south, north)]
        regions = [f"--region={port}" for port in ports]
        done = run("snapshot", "--all", "-o", str(tmp_path / "fleet"), *regions, *saved, env=EVERY_REGION)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert sorted(os.listdir(tmp_path / "fleet")) == sorted(ports)
        live = run("analyze", "db-1", "web-1", *regions, *saved, "-f", "json", env=EVERY_REGION)
        lost = run("analyze", "nobody", *regions, env=EVERY_REGION)
        assert south.unexpected == north.unexpected == []
    folder = ["--snapshot", str(tmp_path / "fleet")]
    offline = run("analyze", "web-1", "db-1", *folder, "-f", "json")
    names = [[each["name"] for each in json.loads(done.stdout)["instances"]] for done in (live, offline)]
    assert sorted(names[0]) == sorted(names[1]) == ["db-1", "web-1"]
    assert (live.returncode, offline.returncode, lost.returncode) == (0, 0, 2)
    assert "searched 2 servers at" in one_line(lost)
    traced = ["trace", "web-1", "--from", "10.0.0.99", "--to", "10.0.0.12"]
    assert run(*traced, *folder).returncode == 0
    other = run("analyze", "web-1", *folder, "--region", ports[1])
    assert "no server has the name" in one_line(other)
    assert one_line(other).count(str(tmp_path)) == 1
    unknown = run("analyze", "web-1", *folder, "--region", "mars")
    assert "holds no region 'mars'; it holds" in one_line(unknown)
    across = run("trace", "web-1", "--from", "db-1", "--to", "10.0.0.12", *folder)
    assert "2 regions" in one_line(across)


def test_a_region_that_fails_leaves_the_others_and_its_own_earlier_state(tmp_path: Path) -> None:
    saved = [f"--guest={name}={COLLECTED}" for name in ("web-1", "db-1")]
    folder = tmp_path / "fleet"
    with StandIn(world_of("web-1")) as south, StandIn(world_of("db-1", region="eu-de")) as north:
        ports = [str(api.server.server_address[1]) for api in (south, north)]
        arguments = ["snapshot", "--all", "-o", str(folder), *(f"--region={port}" for port in ports)]
        north.fail("/instances", status=403, times=None)
        first = run(*arguments, saved[0], env=EVERY_REGION)
        assert first.returncode == 3
        assert first.stderr.startswith(f"vnicheck: {ports[1]}: servers: list_instances at {north.url}: 403")
        assert first.stderr.count("\n") == 1
        assert [path.parent.parent.name for path in folder.glob("*/guests/*")] == [ports[0]]
        north.faults.clear()
        assert run(*arguments, *saved, env=EVERY_REGION).returncode == 0
        north.fail("/instances", status=403, times=None)
        third = run(*arguments, saved[0], env=EVERY_REGION)
        assert third.returncode == 3
        assert f"{ports[1]}: what {folder} holds of it was read at 20" in third.stderr
        alone = run("analyze", "web-1", *(f"--region={port}" for port in ports), saved[0], env=EVERY_REGION)
        assert alone.returncode == 0, "a region that is not asked for a server of its own does not fail the others"
        assert alone.stderr.startswith(f"vnicheck: region {ports[1]} was not read: list_instances at {north.url}: 403")
        south.fail("/instances", status=403, times=None)
        nothing = run(*arguments, saved[0], env=EVERY_REGION)
        assert (nothing.returncode, nothing.stderr.count("\n")) == (2, 1)
    assert run("analyze", "db-1", "--snapshot", str(folder)).returncode == 0


# --- redacted ---------------------------------------------------------------------------------------------------------


def verdicts(snapshot: Path, server: str) -> tuple[list[str], list[str]]:
    """The verdicts and rules that are told of a server, sorted; its name is no matter."""
    done = run("analyze", server, "--snapshot", str(snapshot), "-f", "json")
    assert done.returncode == 0, done.stderr
    (instance,) = json.loads(done.stdout)["instances"]
    return sorted(flow["verdict"] for flow in instance["flows"]), sorted(each["rule"] for each in instance["findings"])


def test_a_redacted_snapshot_tells_the_same_and_names_nobody(tmp_path: Path) -> None:
    saved = [f"--guest=web-{number}={COLLECTED}" for number in (1, 2)]
    folder, file, again = tmp_path / "fleet", tmp_path / "redacted.json", tmp_path / "again"
    with StandIn(world_of("web-1", "web-2")) as api:
        assert run("snapshot", "--all", "-o", f"{folder}/", *saved, env=api.environ).returncode == 0
        live = run("snapshot", "web-1", "-o", str(file), "--redact", saved[0], env=api.environ)
    assert (live.returncode, live.stdout, live.stderr) == (0, "", "")
    kept = run("snapshot", "--all", "--snapshot", str(folder), "--redact", "-o", f"{again}/")
    assert (kept.returncode, kept.stdout, kept.stderr) == (0, "", "")
    written = [file, *(path for path in again.rglob("*") if path.is_file())]
    assert len(written) == 1 + 3
    for path in written:
        text = path.read_text()
        for secret in ("web-1", "web-2", "10.0.0.11", "02:00:05:02:70:58", "0717_", "prod"):
            assert secret not in text, f"{secret} in {path}"
            assert secret not in str(path.relative_to(tmp_path))
    assert json.loads(file.read_bytes())["redacted"] is True
    (cloud,) = (json.loads(path.read_bytes()) for path in again.glob("*/cloud.json"))
    names = [server["name"] for server in cloud["servers"]]
    before = sorted(verdicts(folder, name) for name in ("web-1", "web-2"))
    assert sorted(verdicts(again, name) for name in names) == before
    (alone,) = json.loads(file.read_bytes())["servers"]
    assert verdicts(file, alone["name"]) == verdicts(folder, "web-1")


def test_a_part_of_a_folder_as_a_file(tmp_path: Path) -> None:
    saved = [f"--guest=web-{number}={COLLECTED}" for number in (1, 2)]
    folder, file = tmp_path / "fleet", tmp_path / "web-2.json"
    with StandIn(world_of("web-1", "web-2")) as api:
        assert run("snapshot", "--all", "-o", f"{folder}/", *saved, env=api.environ).returncode == 0
    assert run("snapshot", "web-2", "--snapshot", str(folder), "-o", str(file)).returncode == 0
    assert [server["name"] for server in json.loads(file.read_bytes())["servers"]] == ["web-2"]
    assert verdicts(file, "web-2") == verdicts(folder, "web-2")
    onto = run("snapshot", "--all", "--snapshot", str(file), "-o", str(folder))
    assert "holds a snapshot already: name a new folder" in one_line(onto)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["snapshot", "--all", "-o", "{file}", "--region=a", "--region=b"], "is a file; several regions need a folder"),
        (["snapshot", "--all", "-o", "{new}", "--refresh"], "--refresh is for a folder"),
        (["snapshot", "--all", "-o", "{folder}", "--refresh", "--redact"], "--refresh is for a folder"),
        (["snapshot", "--all", "-o", "{file}/"], "is a file; a path that ends in / means a folder"),
        (["snapshot", "--all", "-o", "{folder}", "--region=a", "--region=b"], "leads 2 regions to one place"),
        (["analyze", "web-1", "--snapshot", "{folder}"], "no snapshot folder: it holds no REGION/cloud.json"),
        (["analyze", "web-1", "--snapshot", "{file}", "--region=a"], "--region has no meaning with --snapshot"),
        (["analyze", "web-1", "--snapshot", "{file}", "--guest-dir=."], "--guest-dir has no meaning with --snapshot"),
    ],
)
def test_slips_are_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    places = {"file": tmp_path / "file", "folder": tmp_path / "folder", "new": tmp_path / "new"}
    places["file"].write_text("x")
    places["folder"].mkdir()
    environ = {"VPC_URL": f"http://127.0.0.1:{free_port()}/v1", "VPC_AUTH_TYPE": "noauth"}
    done = run(*(argument.format(**places) for argument in arguments), env=environ)
    assert words in one_line(done)
    assert done.returncode == 2


# --- guests from a folder ---------------------------------------------------------------------------------------------


def test_a_folder_of_saved_outputs_serves_all_servers(tmp_path: Path) -> None:
    world = world_of("web-1", "web-2", "web-3", "web-4", "web-5")
    world.find("instances", "web-5")["status"] = "stopped"
    saved = tmp_path / "saved"
    saved.mkdir()
    text = COLLECTED.read_bytes()
    (saved / "web-1.txt").write_bytes(text)
    (saved / f"{world.id('instance', 'web-2')}.txt").write_bytes(text)
    (saved / "web-2.txt").write_bytes(b"an older one; the id's wins")
    (saved / "web-3.txt").write_bytes(b"hello\n")
    (saved / "web-9.txt").write_bytes(text)
    (saved / "notes").write_bytes(b"mine")
    (saved / ".hidden").write_bytes(b"")
    with StandIn(world) as api:
        done = run("snapshot", "--all", "-o", f"{tmp_path / 'fleet'}/", "--guest-dir", str(saved), env=api.environ)
        live = run("analyze", "web-1", "web-4", "--guest-dir", str(saved), "-f", "json", env=api.environ)
        assert api.unexpected == []
    assert done.returncode == 3
    note, *problems = done.stderr.splitlines()
    assert note == f"vnicheck: note: {saved}: 2 files are of no server in scope: notes, web-9.txt"
    assert [line.split(": ")[1] for line in problems] == ["web-3", "web-4"]
    assert f"no file for it in {saved}: neither web-4.txt nor" in problems[1]
    codes = {
        world.id("instance", name): code
        for name, code in {
            "web-1": "guest",
            "web-2": "guest",
            "web-3": "guest_unreadable",
            "web-4": "guest_no_file",
        }.items()
    }
    assert guests_in(tmp_path / "fleet") == codes
    assert (live.returncode, live.stderr) == (3, "")
    web_1, web_4 = json.loads(live.stdout)["instances"]
    assert (web_1["status"], web_4["status"]) == ("analyzed", "incomplete")
    assert [problem["code"] for problem in web_4["problems"]] == ["guest_no_file"]


def test_a_file_that_may_be_of_two_servers_is_of_none(tmp_path: Path) -> None:
    world = world_of("web-1").vpc("test", prefixes=["10.1.0.0/16"]).subnet("b", "10.1.0.0/24")
    world.instance("web-1", interfaces=[{"subnet": "b", "address": "10.1.0.11"}])
    (tmp_path / "web-1.txt").write_bytes(COLLECTED.read_bytes())
    with StandIn(world) as api:
        done = run("snapshot", "--all", "-o", str(tmp_path / "x.json"), "--guest-dir", str(tmp_path), env=api.environ)
    assert done.returncode == 3
    assert done.stderr.count("web-1.txt may be of 2 servers: name the file by the server's id") == 2


def test_a_folder_of_guests_that_is_not_there(tmp_path: Path) -> None:
    done = run("analyze", "web-1", "--guest-dir", str(tmp_path / "absent"))
    assert "cannot read" in one_line(done)
    assert done.returncode == 2
