"""`vnicheck trace`: what is hypothetical, what is assumed, the formats, and what a script may ask of it."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from tests.support.fleet import BROKEN, TIMEOUT, WELL, member, snapshot
from tests.support.program import one_line, run
from tests.support.servers import MACS, guest, link
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.fabric.assumptions import ASSUMPTIONS
from vnicheck.model.snapshot import encode_snapshot

INBOUND = ("--from", "10.8.0.4", "--to", "10.0.0.12")
HYPOTHETICAL = "as if the packet had not been dropped:"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("trace") / "snapshot.json"
    servers = member("broken", BROKEN), member("well", WELL), member("dark", problems=(TIMEOUT,))
    path.write_bytes(encode_snapshot(snapshot(*servers)))
    return f"--snapshot={path}"


def test_what_comes_after_the_first_drop_is_hypothetical(saved: str) -> None:
    before, after = run("trace", "broken", *INBOUND, saved).stdout.split(HYPOTHETICAL)
    assert "(✓)" not in before
    assert "(✗)" not in before
    assert before.count("✗ ") == 1
    numbered = [line for line in after.splitlines() if line[:3].strip().isdigit()]
    assert len(numbered) > 3
    assert all(re.search(r"\([✓✗?]\) ", line) for line in numbered)
    assert HYPOTHETICAL not in run("trace", "well", *INBOUND, saved).stdout


def test_within_one_leg_too(saved: str) -> None:
    """A packet of the guest's own, dropped as it leaves: the stages behind that are of the same leg."""
    shown = run("trace", "broken", "--from", "10.0.0.12", "--to", "10.8.0.4", saved).stdout
    first, rest = shown.split(HYPOTHETICAL, 1)
    assert first.rstrip().splitlines()[-1].strip()
    assert "request" in first
    assert "(✓) " in rest.split("reply")[0]


def test_every_tag_is_explained(saved: str) -> None:
    shown = run("trace", "broken", *INBOUND, saved).stdout
    tags = {each.id for each in ASSUMPTIONS if f"[{each.id}]" in shown.split("assumed (")[0]}
    assert "psf-opening" in tags
    for each in tags:
        assert f" [{each}] " in shown.split("assumed (")[1]


@pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda each: each.id)
def test_explain_knows_assumptions(assumption: object) -> None:
    known = next(each for each in ASSUMPTIONS if each is assumption)
    page = run("explain", known.id.upper()).stdout
    assert page.startswith(f"# {known.id}\n")
    for part in (known.statement, known.source, known.basis.capitalize()):
        assert part in page


def test_explain_hints_at_both() -> None:
    assert "did you mean psf-opening?" in one_line(run("explain", "psf-openin"))
    assert "'vnicheck rules' and 'vnicheck assumptions' list them" in one_line(run("explain", "zzz"))


@pytest.mark.parametrize("kind", ["markdown", "html", "sarif", "junit", "github"])
def test_a_format_without_hops_is_refused(saved: str, kind: str) -> None:
    done = run("trace", "broken", *INBOUND, saved, "-f", kind)
    assert done.returncode == 2
    assert one_line(done) == f"--format {kind}: it has no hops; a trace is written as text, json or jsonl"


def test_the_others_have_them_in_files_too(saved: str, tmp_path: Path) -> None:
    text, lines, document = (tmp_path / name for name in ("text", "lines", "document"))
    run("trace", "broken", *INBOUND, saved, "-f", f"text={text}", "-f", f"jsonl={lines}", "-f", f"json={document}")
    assert text.read_text().startswith("tcp port 443 from 10.8.0.4 to broken (10.0.0.12): dropped by rp_filter at eth1")
    assert HYPOTHETICAL in text.read_text()
    for server in (json.loads(document.read_text())["instances"][0], json.loads(lines.read_text().splitlines()[1])):
        assert len(server["flows"][0]["hops"]) > 5


@pytest.mark.parametrize(
    ("check", "peer", "whole"),
    [
        (0, True, "dropped by rp_filter at eth1 of server (request)"),
        (1, True, "dropped by the state filter at eth0 of server (reply)"),
        (2, True, "delivered"),
        (2, False, "unknown"),
        (1, False, "dropped by the state filter at eth0 of server (reply)"),
    ],
)
def test_a_flow_between_two_servers_is_told_as_a_whole_first(
    check: int, peer: bool, whole: str, tmp_path: Path
) -> None:
    """Each side says only what itself does: whoever reads the first line reads what becomes of the flow."""
    recorded = load_check(CHECKS[check])
    (server,) = recorded.servers
    there = msgspec.structs.replace(
        server.vnis[0], id="vni-x", name="vni-x", primary_address="10.0.0.50", primary=True, mac=MACS[0]
    )
    routes = "default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.50"
    inside = guest(link("eth0", 0, "10.0.0.50/24"), routes=routes) if peer else None
    other = msgspec.structs.replace(server, id="other", crn="crn:other", name="other", vnis=(there,), guest=inside)
    (tmp_path / "two.json").write_bytes(encode_snapshot(msgspec.structs.replace(recorded, servers=(server, other))))
    (tmp_path / "vnicheck.toml").write_text('[assumptions]\nspoofing-sibling = "passed"\n')
    done = run("trace", "server", "--from", "other", "--to", "10.0.0.12", "--snapshot=two.json", folder=tmp_path)
    first, _, *rest = done.stdout.splitlines()
    assert first == f"both sides together: {whole}"
    assert "tcp port 443 from other (10.0.0.50) to 10.0.0.12: " in " ".join(rest)
    assert ("nothing of other drops it" in " ".join(rest)) is peer


@pytest.mark.parametrize(
    ("server", "expected", "status", "said"),
    [
        ("well", "delivered", 0, ""),
        ("broken", "dropped", 0, ""),
        ("broken", "delivered", 1, "expected to be delivered, but it is dropped by rp_filter at eth1"),
        ("well", "dropped", 1, "expected to be dropped, but it is delivered"),
        ("dark", "delivered", 3, "whether it is delivered is not known: the guest was not collected"),
        ("dark", "dropped", 3, "whether it is dropped is not known: the guest was not collected"),
    ],
)
def test_a_script_may_expect_a_fate(saved: str, server: str, expected: str, status: int, said: str) -> None:
    done = run("trace", server, *INBOUND, saved, "--expect", expected)
    assert done.returncode == status
    assert done.stderr == (f"vnicheck: {said}\n" if said else "")


def test_what_nobody_can_expect_is_refused(saved: str) -> None:
    done = run("trace", "well", *INBOUND, saved, "--expect", "unknown")
    assert (done.returncode, one_line(done)) == (2, "--expect 'unknown': write delivered or dropped")


@pytest.mark.parametrize(
    ("options", "head"),
    [
        (("--port", "https"), "tcp port 443 "),
        (("--port", "HTTPS", "--protocol", "TCP"), "tcp port 443 "),
        (("--port", "domain", "--protocol", "17"), "udp port 53 "),
        (("--port", "00080", "--protocol", "6"), "tcp port 80 "),
        (("--protocol", "ICMP"), "icmp from"),
        (("--protocol", "1"), "icmp from"),
    ],
)
def test_protocols_and_ports_by_name(saved: str, options: tuple[str, ...], head: str) -> None:
    assert run("trace", "well", *INBOUND, saved, *options).stdout.startswith(head)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--port", "0"), "--port 0: write a port between 1 and 65535"),
        (("--port", "65536"), "--port 65536: write a port between 1 and 65535"),
        (("--port", "9" * 5000), "write a port between 1 and 65535"),
        (("--port", "-1"), "neither a number nor a tcp service"),
        (("--port", "htps"), "neither a number nor a tcp service of /etc/services"),
        (("--port", "\N{ARABIC-INDIC DIGIT FOUR}"), "neither a number nor a tcp service"),
        (("--protocol", "sctp"), "write tcp, udp, icmp, or their numbers 6, 17, 1"),
        (("--from", "2001:db8::1"), "2001:db8::1: an IPv6 address; VPC networks and vnicheck's predictions are IPv4"),
        (("--to", "[fe80::1%eth0]"), "an IPv6 address"),
        (("--to", "::ffff:10.0.0.12"), "an IPv6 address"),
    ],
)
def test_what_is_no_flow_is_one_line(saved: str, options: tuple[str, ...], said: str) -> None:
    done = run("trace", "well", *INBOUND, saved, *options)
    assert done.returncode == 2
    assert said in one_line(done)
