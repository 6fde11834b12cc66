"""Captures held against predictions: what they confirm, contradict or settle, and what they leave open."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.program import run
from vnicheck.cli.captures import read_captures, sightings_of
from vnicheck.cli.failure import UserError
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.engine.server_view import ServerView
from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import Direction, Protocol, Verdict
from vnicheck.model.verification import SeenAssumption, SeenFlow
from vnicheck.verify.agents import Heard, Opened, Ready, Told, Watched
from vnicheck.verify.conclude import conclusions
from vnicheck.verify.evidence import Evidence
from vnicheck.verify.probed import sightings_of as probes_of
from vnicheck.verify.probes import SERVER, Probe
from vnicheck.verify.sightings import FlowKey

ROOT = Path(__file__).parents[2]
ARTICLE = ROOT / "fixtures" / "article"
CAPTURES = Path(__file__).parent / "captures"


def concluded(
    check: int, captures: Sequence[str | Path], assumptions: Assumptions | None = None
) -> tuple[dict[str, SeenFlow], dict[str, SeenAssumption]]:
    snapshot = load_check(CHECKS[check - 1])
    (server,) = snapshot.servers
    config = Config(assumptions=assumptions or Assumptions())
    files = read_captures([str(each) for each in captures])
    seen, _ = sightings_of(ServerView(server, snapshot.fabric, config), files)
    flows, said = conclusions(server, snapshot.fabric, config, Evidence(seen), "capture")
    by_name = {f"{flow.protocol}{'' if flow.port is None else f' {flow.port}'} {flow.local}": flow for flow in flows}
    return by_name, {each.id: each for each in said}


def hops(flow: SeenFlow) -> dict[str, str]:
    return {f"{hop.leg} {hop.stage}": hop.conclusion for hop in flow.hops}


def written(tmp_path: Path, name: str, *lines: str, step: float = 1.0) -> Path:
    """A capture, a line each second, or `step`: `eth1 In 10.8.0.4.40000 > 10.0.0.12.80 [S]`."""
    text = ""
    for number, line in enumerate(lines):
        words = line.split()
        said = f"Flags {words[-1]}, seq 1" if words[-1].startswith("[") else " ".join(words[5:])
        at = f"02:11:{number * step:09.6f}"
        text += f"{at} {words[0]}  {words[1]:3} IP {words[2]} > {words[4]}: {said}, length 0\n"
    place = tmp_path / f"{name}.txt"
    place.write_text(text)
    return place


def test_check_1_comes_out_as_far_as_its_captures_allow() -> None:
    flows, assumptions = concluded(1, sorted(ARTICLE.glob("tcpdump-check-1-*.txt")))
    assert {flow.conclusion for flow in flows.values()} == {"not_tested"}
    said = hops(flows["tcp 80 10.0.0.12"])
    assert said["request security_group"] == "confirmed"
    assert said["request source_validation"] == "not_tested"
    assert "leave them out" in (flows["tcp 80 10.0.0.12"].why or "")
    assert "guest-firewall" not in assumptions


def test_check_2_comes_out_as_far_as_its_captures_allow() -> None:
    client = f"client:10.8.0.4={ARTICLE / 'tcpdump-check-2-curl-client.txt'}"
    flows, assumptions = concluded(2, [*sorted(ARTICLE.glob("tcpdump-check-2-*-server.txt")), client])
    curl = flows["tcp 80 10.0.0.12"]
    said = hops(curl)
    assert said["request source_validation"] == said["reply reply_route"] == "confirmed"
    assert said["reply protocol_state_filtering"] == "not_tested"
    assert curl.conclusion == "not_tested"
    assert "its own firewall" in (curl.why or "")
    assert curl.last_seen == "the answer left by eth0"
    assert flows["icmp 10.0.0.12"].last_seen == "the answer left by eth0"
    assert all(each.conclusion == "confirmed" for each in assumptions.values())


def test_a_recorded_check_3_settles_the_open_question() -> None:
    flows, assumptions = concluded(3, [CAPTURES / "any.txt"])
    assert flows["tcp 80 10.0.0.12"].observed is Verdict.DELIVERED
    assert flows["tcp 80 10.0.0.12"].conclusion == "settled"
    assert set(hops(flows["tcp 80 10.0.0.12"]).values()) == {"confirmed", "settled"}
    sibling = assumptions["spoofing-sibling"]
    assert (sibling.conclusion, sibling.value, sibling.line) == (
        "settled",
        "passed",
        'spoofing-sibling = { server = "passed" }',
    )


def test_captures_of_single_interfaces_say_the_same_together() -> None:
    split = [f"eth0={CAPTURES / 'eth0.txt'}", f"eth1={CAPTURES / 'eth1-v-e.txt'}"]
    assert concluded(3, split) == concluded(3, [CAPTURES / "any.txt"])
    alone, _ = concluded(3, split[1:])
    assert alone["tcp 80 10.0.0.12"].last_seen == "the request came in by eth1"
    assert "not all interfaces" in (alone["icmp 10.0.0.12"].why or "")


@pytest.mark.parametrize("first", ["", " 00:00:00.000000 "])
def test_captures_of_which_times_tell_no_order_say_the_same(first: str, tmp_path: Path) -> None:
    """Without times (-t), and with those since the packet before (-ttt)."""
    split = []
    for name in ("eth0", "eth1"):
        lines = [line.partition(" ")[2] for line in (CAPTURES / f"{name}.txt").read_text().splitlines()]
        later = first.replace("00 ", "20 ")
        (place := tmp_path / name).write_text(
            "".join(f"{later if n else first}{each}\n" for n, each in enumerate(lines))
        )
        split.append(f"{name}={place}")
    expected, _ = concluded(3, [CAPTURES / "any.txt"])
    for files in (split, split[::-1]):
        flows, assumptions = concluded(3, files)
        assert {(name, flow.observed) for name, flow in flows.items()} == {
            (name, flow.observed) for name, flow in expected.items()
        }
        assert "guest-firewall" not in assumptions


def test_a_guest_that_answers_against_the_prediction_contradicts() -> None:
    flows, _ = concluded(1, [CAPTURES / "any.txt"])
    ping = flows["icmp 10.0.0.12"]
    assert ping.conclusion == "contradicted"
    assert hops(ping)["request source_validation"] == "contradicted"
    assert flows["udp 99 10.0.0.12"].conclusion == "not_tested"


def test_another_way_out_than_the_predicted_one_contradicts(tmp_path: Path) -> None:
    seen = written(
        tmp_path, "a", "eth1 In 10.8.0.4.40000 > 10.0.0.12.80 [S]", "eth1 Out 10.0.0.12.80 > 10.8.0.4.40000 [S.]"
    )
    flows, _ = concluded(2, [seen])
    assert flows["tcp 80 10.0.0.12"].why == "the reply was predicted to go by eth0, and went by eth1"


BY_ETH1 = (
    "eth1 In 10.8.0.4.40000 > 10.0.0.12.80 [S]",
    "eth1 Out 10.0.0.12.80 > 10.8.0.4.40000 [S.]",
    "eth1 In 10.8.0.4.40000 > 10.0.0.12.80 [.]",
)
"""A connection whose reply leaves by the interface that its request came in by."""


def test_another_way_than_the_predicted_one_speaks_of_no_assumption(tmp_path: Path) -> None:
    seen = written(tmp_path, "way", *BY_ETH1)
    flows, assumptions = concluded(2, [seen])
    assert flows["tcp 80 10.0.0.12"].observed is Verdict.DELIVERED
    assert flows["tcp 80 10.0.0.12"].other_way
    assert assumptions == {}


def test_of_equal_routes_either_is_as_predicted(tmp_path: Path) -> None:
    seen = written(tmp_path, "way", *BY_ETH1)
    snapshot = load_check(CHECKS[1])
    (server,) = snapshot.servers
    assert server.guest is not None
    text = (
        "10.8.0.0/16 proto static\n\tnexthop via 10.0.0.1 dev eth0 weight 1\n\tnexthop via 10.0.0.1 dev eth1 weight 1\n"
    )
    routes = (*server.guest.routes, *parse_routes(text).items)
    server = replace(server, guest=replace(server.guest, routes=routes))
    config = Config(assumptions=Assumptions(psf_auto="disabled", spoofing_sibling="passed"))
    captured, _ = sightings_of(ServerView(server, snapshot.fabric, config), read_captures([str(seen)]))
    (flow,), _ = conclusions(server, snapshot.fabric, config, Evidence(captured), "capture")
    assert (flow.predicted, flow.conclusion, flow.other_way) == (Verdict.DELIVERED, "confirmed", False)


def test_without_interfaces_nothing_is_said_of_assumptions() -> None:
    flows, assumptions = concluded(3, [CAPTURES / "older-any.txt"])
    assert flows["tcp 80 10.0.0.12"].conclusion == "settled"
    assert assumptions == {}


def test_where_tcpdump_lost_packets_what_is_missing_does_not_count(tmp_path: Path) -> None:
    silent = ("eth0 In 10.8.0.4.40000 > 10.0.0.11.443 [S]", "eth0 In 10.8.0.4.40000 > 10.0.0.11.443 [S]")
    deaf = written(tmp_path, "deaf", *silent, *CONTROL)
    assert concluded(3, [deaf])[0]["tcp 443 10.0.0.11"].conclusion == "contradicted"
    deaf.write_text(deaf.read_text() + "3 packets dropped by kernel\n")
    assert concluded(3, [deaf])[0]["tcp 443 10.0.0.11"].conclusion == "not_tested"
    for lines in (silent[:1], (silent[0], silent[0].replace("eth0", "ens3"))):  # one packet, seen at a bond too
        once = written(tmp_path, "once", *lines, *CONTROL)
        assert concluded(3, [once])[0]["tcp 443 10.0.0.11"].conclusion == "not_tested"


def test_a_capture_without_interfaces_may_be_of_one_alone(tmp_path: Path) -> None:
    """`tcpdump -i eth0`, given as a plain file: that eth1's packets are not in it shows nothing."""
    server = tmp_path / "server.txt"
    named = written(tmp_path, "named", *CONTROL).read_text()
    server.write_text(named.replace("eth0  In  ", "").replace("eth0  Out ", ""))
    asked = [f"eth1 Out 10.8.0.4.4000{n} > 10.0.0.12.80 [S]" for n in (2, 2)]
    client = written(tmp_path, "client", *[line.replace(" In ", " Out ") for line in CONTROL[:1]], *asked)
    text = client.read_text().replace("eth0  Out ", "").replace("eth1  Out ", "")
    client.write_text(text)
    flows, assumptions = concluded(3, [server, f"client:10.8.0.4={client}"])
    assert flows["tcp 80 10.0.0.12"].observed is Verdict.UNKNOWN
    assert assumptions == {}


def test_the_servers_own_address_is_no_client(tmp_path: Path) -> None:
    capture = written(tmp_path, "own", *CONTROL)
    with pytest.raises(UserError, match="address of the server itself"):
        concluded(3, [f"client:10.0.0.11={capture}"])


def probed(
    answer: str, *, packets: Sequence[Told] = (), watched: bool = True, served: bool = True, asked: bool = False
) -> SeenFlow:
    """What the opener of a flow to 10.0.0.12 was answered, and what was seen of it on the server."""
    (server,) = (snapshot := load_check(CHECKS[2])).servers
    view = ServerView(server, snapshot.fabric, Config())
    key = FlowKey(direction=Direction.INBOUND, protocol=Protocol.TCP, local="10.0.0.12", remote="10.8.0.4", port=80)
    ends = {"to": "10.0.0.12", "source": "", "near": "10.8.0.4", "server": "10.0.0.12"}
    probe = Probe(number=1, opener="host", host="host", key=key, **ends)
    failed = () if served else (("tcp", "10.0.0.12", 80, "EACCES"),)
    told = Watched(tuple(packets), {}, asked=(("10.8.0.4", "10.0.0.12"),) if asked else ())
    heard = {
        SERVER: Heard(ready=Ready(watched, failed=failed), opened=Opened(()), watched=told),
        "host": Heard(ready=Ready(False), opened=Opened(((1, answer, 1, "10.8.0.4"),))),
    }
    seen = probes_of(view, [probe], heard)
    (flow,), _ = conclusions(server, snapshot.fabric, Config(), Evidence(seen), "probe")
    return flow


ASKED: Told = ("eth1", False, Protocol.TCP, "10.8.0.4", 40000, "10.0.0.12", 80, "S")
RESET: Told = ("eth0", True, Protocol.TCP, "10.0.0.12", 80, "10.8.0.4", 40000, "R.")
TAKEN: Told = ("eth0", True, Protocol.TCP, "10.0.0.12", 80, "10.8.0.4", 40000, "S.")


def test_an_answer_that_the_server_did_not_give_is_not_its_answer() -> None:
    """A firewall between refuses, or another machine has the address: the server, watched, saw nothing."""
    for answer in ("answered", "refused"):
        flow = probed(answer)
        assert (flow.observed, flow.conclusion) == (Verdict.UNKNOWN, "not_tested")
        assert set(hops(flow).values()) == {"not_tested"}
    assert probed("answered", packets=[ASKED, TAKEN]).observed is Verdict.DELIVERED


def test_a_refusal_is_an_answer_only_where_the_server_was_seen_to_give_it_and_nothing_listens() -> None:
    assert probed("refused", packets=[ASKED, RESET], served=False).observed is Verdict.DELIVERED
    assert probed("refused", packets=[ASKED, RESET], served=True).observed is Verdict.UNKNOWN
    assert probed("refused", watched=False, served=False).observed is Verdict.UNKNOWN
    assert probed("answered", watched=False, asked=True).observed is Verdict.DELIVERED
    assert probed("answered", watched=False).observed is Verdict.UNKNOWN  # our program there was asked nothing
    assert probed("answered", watched=False, served=False).observed is Verdict.DELIVERED
    assert probed("answered", packets=[ASKED, TAKEN, RESET], served=True).observed is Verdict.DELIVERED  # ours resets


CONTROL = (
    "eth0 In 10.8.0.4.40001 > 10.0.0.11.80 [S]",
    "eth0 Out 10.0.0.11.80 > 10.8.0.4.40001 [S.]",
    "eth0 In 10.8.0.4.40001 > 10.0.0.11.80 [.]",
)
LOST = (
    "eth1 In 10.8.0.4.40000 > 10.0.0.12.80 [S]",
    "eth0 Out 10.0.0.12.80 > 10.8.0.4.40000 [S.]",
    "eth1 In 10.8.0.4.40000 > 10.0.0.12.80 [S]",
    "eth0 Out 10.0.0.12.80 > 10.8.0.4.40000 [S.]",
)


def test_beside_a_control_flow_what_is_lost_counts(tmp_path: Path) -> None:
    lone, _ = concluded(2, [written(tmp_path, "lone", *LOST)], Assumptions(spoofing_sibling="passed"))
    assert lone["tcp 80 10.0.0.12"].conclusion == "not_tested"
    flows, assumptions = concluded(
        2, [written(tmp_path, "both", *LOST, *CONTROL)], Assumptions(spoofing_sibling="passed")
    )
    lost = flows["tcp 80 10.0.0.12"]
    assert (lost.conclusion, lost.observed, lost.control) == ("confirmed", Verdict.DROPPED, "10.0.0.11")
    assert hops(lost)["reply protocol_state_filtering"] == "confirmed"
    assert assumptions["psf-auto"].conclusion == assumptions["psf-opening"].conclusion == "confirmed"
    other = (*LOST, *(line.replace(".80 ", ".81 ") for line in CONTROL))
    flows, _ = concluded(2, [written(tmp_path, "other", *other)])
    assert flows["tcp 80 10.0.0.12"].conclusion == "not_tested"


def test_a_capture_of_a_client_counts_for_what_it_shows_itself(tmp_path: Path) -> None:
    """Of another time it shows nothing of a flow; of a reset not whose it is; of other clients nothing of this one."""

    def client(name: str, *lines: str) -> str:
        return f"client:10.8.0.4={written(tmp_path, name, *lines)}"

    assume = Assumptions(spoofing_sibling="passed")
    server = written(tmp_path, "server", *CONTROL, *LOST[:2])
    for lines, said in ((CONTROL, Verdict.UNKNOWN), ((*CONTROL, LOST[0], LOST[0]), Verdict.DROPPED)):
        flows, _ = concluded(2, [server, client("other", *lines)], assume)
        assert flows["tcp 80 10.0.0.12"].observed is said
    refused = client("refused", CONTROL[0], CONTROL[1].replace("[S.]", "[R.]"))
    assert concluded(3, [refused])[0]["tcp 80 10.0.0.11"].observed is Verdict.UNKNOWN
    router = client("router", LOST[0], *[line.replace("10.8.0.4", "10.8.0.9") for line in CONTROL])
    assert "tcp 80 10.0.0.11" not in concluded(3, [router])[0]


def test_a_server_that_says_nothing_is_its_own_firewall_perhaps(tmp_path: Path) -> None:
    silent = ("eth0 In 10.8.0.4.40000 > 10.0.0.11.443 [S]", "eth0 In 10.8.0.4.40000 > 10.0.0.11.443 [S]")
    flows, assumptions = concluded(3, [written(tmp_path, "silent", *silent, *CONTROL)])
    assert flows["tcp 443 10.0.0.11"].conclusion == "contradicted"
    assert assumptions["guest-firewall"].conclusion == "refuted"
    assert assumptions["guest-firewall"].line is None
    opens = ("eth0 Out 10.0.0.11.40000 > 10.8.0.4.443 [S]",)  # and only SYNs were captured
    for others in ((), opens):
        lone, assumptions = concluded(3, [written(tmp_path, "lone", *silent, *others)])
        assert lone["tcp 443 10.0.0.11"].conclusion == "not_tested"
        assert assumptions == {}


def test_a_capture_says_nothing_of_what_came_after_its_end(tmp_path: Path) -> None:
    """Two clients asked right before the end; or a client's, or one interface's, ended before the others."""
    silent = [f"eth0 In 10.8.0.4.{port} > 10.0.0.11.443 [S]" for port in (40000, 40001)]
    flows, assumptions = concluded(3, [written(tmp_path, "end", *CONTROL, *silent, step=0.1)])
    assert flows["tcp 443 10.0.0.11"].conclusion == "not_tested"
    assert assumptions == {}
    server = written(tmp_path, "server", *CONTROL, *LOST, step=2)
    early = written(tmp_path, "client", *CONTROL, LOST[0], LOST[0], step=0.5)  # its last packet is before the answer
    flows, _ = concluded(2, [server, f"client:10.8.0.4={early}"], Assumptions(spoofing_sibling="passed"))
    assert "of different times" in (flows["tcp 80 10.0.0.12"].why or "")
    eth0 = written(tmp_path, "eth0", *CONTROL, step=0.1)
    eth1 = written(tmp_path, "eth1", LOST[0], LOST[0], LOST[0])
    flows, assumptions = concluded(2, [f"eth0={eth0}", f"eth1={eth1}"])
    assert flows["tcp 80 10.0.0.12"].conclusion == "not_tested"
    assert assumptions == {}


OPENED = ("eth0 Out 10.0.0.11.40000 > 10.8.0.4.80 [S]", "eth0 In 10.8.0.4.80 > 10.0.0.11.40000 [S.]")


def test_a_server_that_asks_again_took_no_answer(tmp_path: Path) -> None:
    """That no ACK follows is no drop: a reset gets none, and a capture may end, or show SYNs alone."""
    refused = (OPENED[0], OPENED[1].replace("[S.]", "[R.]"))
    for seen in (refused, OPENED, (*OPENED, *(line.replace("40000", "40002") for line in OPENED))):
        flows, assumptions = concluded(3, [written(tmp_path, "short", *seen)])
        assert flows["tcp 80 10.0.0.11"].conclusion == "not_tested"
        assert assumptions == {}
    flows, assumptions = concluded(3, [written(tmp_path, "again", *OPENED, *OPENED)])
    assert "was sent the answer, and took it not" in (flows["tcp 80 10.0.0.11"].why or "")
    assert assumptions["guest-firewall"].conclusion == "refuted"


def test_several_assumptions_are_named_the_least_of_them_first(tmp_path: Path) -> None:
    came = (*LOST, "eth1 In 10.8.0.4.40000 > 10.0.0.12.80 [.]")
    _, assumptions = concluded(2, [written(tmp_path, "came", *came)])
    assert assumptions["psf-auto"].conclusion == "refuted"
    assert assumptions["psf-auto"].line == 'psf-auto = { server = "disabled" }'
    assert assumptions["psf-auto"].or_else == ("psf-opening = false",)
    assert "psf-opening" not in assumptions


def test_where_two_assumptions_explain_it_alike_neither_is_refuted(tmp_path: Path) -> None:
    """Only TCP was tried: its answers may be filtered, or dropped for their source."""
    assume = Assumptions(psf_auto="disabled", spoofing_sibling="passed")
    _, assumptions = concluded(2, [written(tmp_path, "both", *LOST, *CONTROL)], assume)
    assert {each.conclusion for each in assumptions.values()} == {"suspected"}
    (suspected,) = assumptions.values()
    assert suspected.value is None
    assert suspected.line == 'psf-auto = { server = "enabled" }'
    assert suspected.or_else == ('spoofing-sibling = { server = "dropped" }',)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (str(CAPTURES / "any-A.txt"), "line 2 is no packet's"),
        ("/dev/null", "holds no packet"),
        ("missing.txt", "cannot read"),
        ("client:10.8=any.txt", "write client:ADDRESS=FILE"),
        ("", "names no file"),
        ("eth1=", "names no file"),
        (f"eth9={CAPTURES / 'eth1.txt'}", "'eth9' is no interface of server, which has lo, eth0, eth1"),
    ],
)
def test_what_is_no_capture_is_refused_in_one_line(spec: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        concluded(3, [spec])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_interfaces_of_another_machine_are_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere=1.txt"
    elsewhere.write_text((CAPTURES / "any.txt").read_text().replace(" eth", " ifb"))
    with pytest.raises(UserError, match="printed on the server"):
        concluded(3, [elsewhere])
    assert concluded(3, [f"any={CAPTURES / 'any.txt'}"]) == concluded(3, [CAPTURES / "any.txt"])


def test_a_capture_of_somebody_else_is_refused(tmp_path: Path, check_3: Path) -> None:
    foreign = written(tmp_path, "foreign", "eth1 In 10.8.0.4.40000 > 10.99.0.12.80 [S]")
    done = run("verify", "server", "--snapshot", str(check_3), "--capture", str(foreign))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "whose capture is it?" in done.stderr


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"\xd4\xc3\xb2\xa1", "tcpdump -nn -r FILE"),
        (b"\xa1\xb2\x3c\x4d", "tcpdump -nn -r FILE"),
        (b"\x34\xcd\xb2\xa1", "tcpdump -nn -r FILE"),
        (b"\x0a\x0d\x0d\x0a", "tcpdump -nn -r FILE"),
        (b"\x1f\x8b\x08\x00", "compressed (gzip)"),
        (b"\xfd7zXZ\x00", "compressed (xz)"),
        (b"\x28\xb5\x2f\xfd", "compressed (zstd)"),
        (b"snoop\x00\x00\x00", "no packet as tcpdump prints them"),
        (b"1 0.000 10.8.0.4 -> 10.0.0.12 TCP 74 40000 -> 80 [SYN]\n", "no packet as tcpdump prints them"),
    ],
    ids=["pcap", "nanoseconds", "modified", "pcapng", "gzip", "xz", "zstd", "snoop", "tshark"],
)
def test_what_is_not_tcpdumps_text_is_refused_with_what_to_do(start: bytes, said: str, tmp_path: Path) -> None:
    binary = tmp_path / "x.pcap"
    binary.write_bytes(start + bytes(100))
    with pytest.raises(UserError) as caught:
        concluded(3, [binary])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_console_of_windows_wrote_it(encoding: str, tmp_path: Path) -> None:
    text = (CAPTURES / "any.txt").read_text()
    place = tmp_path / "any.txt"
    place.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    assert concluded(3, [place]) == concluded(3, [CAPTURES / "any.txt"])


def test_stdin_is_a_capture_and_o_keeps_what_was_seen(tmp_path: Path, check_3: Path) -> None:
    kept = tmp_path / "seen.json"
    with (CAPTURES / "any.txt").open() as capture:
        command = [sys.executable, "-m", "vnicheck", "verify", "server", "--snapshot", str(check_3), "--capture", "-"]
        done = subprocess.run(
            [*command, "-o", str(kept)], capture_output=True, text=True, cwd=ROOT, stdin=capture, check=False
        )
    assert done.returncode == 3
    assert "spoofing-sibling is settled" in done.stdout
    document: Any = json.loads(kept.read_text())
    assert document["schema"] == "vnicheck.verification/1"
    assert document["verifications"][0]["flows"][0]["how"] == "capture"
