"""tcpdump's text: the same packets, however it was told to print them; and files that are none, or hostile."""

import random
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from vnicheck.model.flow import Direction, Leg, Protocol
from vnicheck.verify.capture import MAX_LINE, Capture, CaptureError, Packet, read_capture
from vnicheck.verify.sightings import FlowKey, LegSighting, Sightings

CAPTURES = Path(__file__).parent / "captures"
ARTICLE = Path(__file__).parents[2] / "fixtures" / "article"
BY_ANY = [path.stem for path in sorted(CAPTURES.glob("any*.txt")) if path.stem not in {"any-A", "any-q"}]
BY_OLDER = ["older-any", "older-any-e", "older-any-v", "before-4"]
SYN = "02:11:48.023862 eth1  In  IP 10.8.0.4.37694 > 10.0.0.12.80: Flags [S], seq 1, win 2, length 0"


def read(text: str, interface: str | None = None) -> tuple[list[Packet], Capture]:
    told = Capture()
    ports = {"http": 80, "mdns": 5353}
    return list(
        read_capture(text.splitlines(keepends=True), told, lambda name, _: ports.get(name), interface=interface)
    ), told


def recorded(name: str, interface: str | None = None) -> list[Packet]:
    return read((CAPTURES / f"{name}.txt").read_text(), interface)[0]


def untimed(packets: list[Packet]) -> list[tuple[object, ...]]:
    return [
        (p.interface, p.out, p.protocol, p.source, p.source_port, p.destination, p.destination_port, p.flags)
        for p in packets
    ]


def test_what_is_recorded_is_read() -> None:
    packets = recorded("any")
    assert len(packets) == 21
    assert [(p.interface, p.out, p.protocol.value, p.flags) for p in packets[:5]] == [
        ("eth1", False, "icmp", "request"),
        ("eth0", True, "icmp", "reply"),
        ("eth1", False, "icmp", "request"),
        ("eth0", True, "icmp", "reply"),
        ("eth1", False, "tcp", "S"),
    ]
    assert {p.source_port > 1023 for p in packets if p.destination_port == 5353} == {True}
    assert 0 < (packets[1].at or 0) - (packets[0].at or 0) < 0.001


@pytest.mark.parametrize("name", BY_ANY)
def test_flags_of_tcpdump_change_nothing(name: str) -> None:
    assert untimed(recorded(name)) == untimed(recorded("any"))


@pytest.mark.parametrize("name", BY_OLDER)
def test_older_tcpdump_names_no_interface(name: str) -> None:
    packets, told = read((CAPTURES / f"{name}.txt").read_text())
    assert [row[2:] for row in untimed(packets)] == [row[2:] for row in untimed(recorded("any"))]
    assert told.without_interface == told.read == len(packets)


@pytest.mark.parametrize("name", ["eth1", "eth1-e", "eth1-v-e"])
def test_a_capture_of_one_interface_has_what_went_there(name: str) -> None:
    there = [row[2:] for row in untimed(recorded("any")) if row[0] == "eth1"]
    packets = recorded(name, "eth1")
    assert [row[2:] for row in untimed(packets)] == there
    assert {packet.interface for packet in packets} == {"eth1"}


def test_conversations_become_flows() -> None:
    seen = Sightings({"10.0.0.11", "10.0.0.12"}, {})
    seen.add_server(recorded("any"))
    assert {(key.direction, key.protocol.value, key.port) for key in seen.flows} == {
        (Direction.INBOUND, "icmp", 0),
        (Direction.INBOUND, "tcp", 80),
        (Direction.INBOUND, "tcp", 81),
        (Direction.INBOUND, "udp", 5353),
        (Direction.INBOUND, "udp", 99),
    }
    by_port = {(key.protocol.value, key.port): flow for key, flow in seen.flows.items()}
    assert by_port["tcp", 80].taken
    assert by_port["tcp", 80].server == {
        Leg.REQUEST: LegSighting(interfaces=Counter({"eth1": 1})),
        Leg.REPLY: LegSighting(interfaces=Counter({"eth0": 1})),
    }
    assert by_port["tcp", 81].refused
    assert not by_port["tcp", 81].taken
    assert by_port["udp", 5353].at_server(Leg.REPLY) == 1
    assert by_port["udp", 99].at_server(Leg.REPLY) == 0
    assert by_port["icmp", 0].at_remote(Leg.REPLY) is None
    seen.add_remote(recorded("client"), "10.8.0.4")
    assert by_port["icmp", 0].at_remote(Leg.REPLY) == 2


def test_a_client_dials_the_floating_ip() -> None:
    seen = Sightings({"10.0.0.12"}, {"150.240.1.2": "10.0.0.12"})
    seen.add_remote(read(SYN.replace("10.0.0.12.80", "150.240.1.2.80").replace("In ", "Out"))[0], "203.0.113.9")
    assert list(seen.flows) == [
        FlowKey(direction=Direction.INBOUND, protocol=Protocol.TCP, local="10.0.0.12", remote="203.0.113.9", port=80)
    ]


@pytest.mark.parametrize("path", sorted(ARTICLE.glob("tcpdump-*-server.txt")), ids=lambda path: path.stem)
def test_the_articles_captures(path: Path) -> None:
    seen = Sightings({"10.0.0.11", "10.0.0.12"}, {})
    seen.add_server(read(path.read_text())[0])
    ((key, flow),) = seen.flows.items()
    assert (key.remote, key.local) == ("10.8.0.4", "10.0.0.12")
    assert flow.server is not None
    assert set(flow.server[Leg.REQUEST].interfaces) == {"eth1"}
    answered = {"eth0"} if "check-2" in path.stem else set()
    assert set(flow.server[Leg.REPLY].interfaces) == answered
    assert not flow.taken
    assert flow.again == (3 if path.stem == "tcpdump-check-2-curl-server" else 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no packet"),
        ("\n\n", "holds no packet"),
        ("Dear diary,\ntoday nothing happened.\n", "holds no packet"),
        ("\x7fELF\x02\x01\x01\x00" * 100, "holds no packet"),
        ("\ufffd" * 5000, "holds no packet"),
        ("02:11:48.023862 eth0  In  ARP, Request who-has 10.0.0.1 tell 10.0.0.2, length 28\n", "no IPv4 packet"),
        ("02:11:48.023862 eth0  In  IP6 fe80::1 > ff02::1: ICMP6, neighbor solicitation\n", "no IPv4 packet"),
        ("02:11:48.02 eth0  In  IP host-a.example.50000 > web-1.http: Flags [S], seq 1\n", "-nn"),
        ("02:11:48.02 eth0  In  IP 999.8.0.4.50000 > 10.0.0.12.80: Flags [S], seq 1\n", "no IPv4 packet"),
        ("02:11:48.02 eth0  In  IP 10.8.0.4.99999 > 10.0.0.12.80: Flags [S], seq 1\n", "-nn"),
        (f"{SYN}\nE..<..@.@..\n{SYN}\n", "line 2 is no packet's"),
        (f"{SYN}\n{SYN.split(' ', 1)[1]}\n", "line 2 is no packet's"),
        (f"{SYN}\n\x1b[31mred\x1b[0m\n", "line 2 is no packet's ('[31mred"),
        (f"{SYN}\n<script>\n", "line 2 is no packet's"),
    ],
)
def test_what_is_no_capture_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(CaptureError) as caught:
        read(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_payloads_are_refused_for_they_may_look_like_packets() -> None:
    with pytest.raises(CaptureError, match="print packets without their contents"):
        recorded("any-A")


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("IP truncated-ip - 4 bytes missing! 10.8.0.4.37694 > 10.0.0.12.80: Flags [S], seq 1", "S"),
        ("IP 10.8.0.4.37694 > 10.0.0.12.80: Flags [SEWe], seq 1, length 0", "SEWe"),
    ],
)
def test_packets_cut_off_and_flags_of_newer_tcp_are_packets(text: str, flags: str) -> None:
    start, there, packet_told = text.rpartition("10.8.0.4")
    verbose = f"02:11:48.02 eth1  In  {start}(tos 0x0, ttl 64, proto TCP (6), length 60)\n    {there}{packet_told}\n"
    for written in (f"02:11:48.02 eth1  In  {text}\n", verbose):
        (packet,), _ = read(written)
        assert (packet.protocol, packet.flags, packet.source_port) == (Protocol.TCP, flags, 37694)


def test_a_packet_without_its_flags_is_lost() -> None:
    cut = "02:11:48.02 eth1  In  IP 10.8.0.4.37694 > 10.0.0.12.80:  [|tcp]"
    packets, told = read(f"{SYN}\n{cut}\n")
    assert (len(packets), told.lost) == (1, 1)


def test_a_packet_within_an_error_is_none_of_its_own() -> None:
    assert sum(packet.destination_port == 99 for packet in recorded("any-v")) == 1


def test_endless_lines_and_odd_ones_cost_nothing() -> None:
    packets, told = read(f"{SYN}{'x' * 10_000_000}\n{SYN}\n02:11:49.0 eth1  P   IP {'9' * MAX_LINE}\n")
    assert len(packets) == 2
    assert told.lines == 3


def test_mangled_captures_are_read_or_refused() -> None:
    drawn = random.Random(17)
    whole = [(CAPTURES / f"{name}.txt").read_text() for name in ("any", "any-vv-e", "older-any-v", "eth1-v-e")]
    for _ in range(400):
        text = list(drawn.choice(whole))
        for _ in range(drawn.randrange(1, 12)):
            at = drawn.randrange(len(text))
            text[at : at + drawn.randrange(30)] = drawn.choice(
                ["", "\n", "\t", "\x00", " > ", "Flags [S]", "9" * 40, "\u202e"]
            )
        with suppress(CaptureError):
            seen = Sightings({"10.0.0.12"}, {})
            seen.add_server(read("".join(text))[0])


def test_more_lines_or_flows_than_are_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vnicheck.verify.capture.MAX_LINES", 5)
    with pytest.raises(CaptureError, match="more than 5 lines"):
        read("\n" * 6)
    monkeypatch.setattr("vnicheck.verify.sightings.MAX_FLOWS", 2)
    with pytest.raises(CaptureError, match="more than 2 flows"):
        Sightings({"10.0.0.12"}, {}).add_server(read("".join(f"{SYN.replace('.4.', f'.{n}.')}\n" for n in range(3)))[0])


def test_lines_of_tcpdump_itself_and_of_a_shell_are_passed_over() -> None:
    text = f"$ tcpdump -nn -i any\ntcpdump: verbose output suppressed\nlistening on any\n{SYN}\n^C\n1 packet captured\n"
    text += "4 packets received by filter\n0 packets dropped by kernel\n"
    assert len(read(text)[0]) == 1


def test_a_last_line_that_is_cut_off_is_passed_over() -> None:
    assert len(read(f"{SYN}\n02:11:4")[0]) == 1


def test_a_reply_that_was_asked_for_before_opens_nothing() -> None:
    seen = Sightings({"10.0.0.12"}, {})
    seen.add_server(read("02:11:48.02 eth1  In  IP 10.0.0.2.53 > 10.0.0.12.40000: 1 1/0/0 A 10.1.1.1 (40)\n")[0])
    assert seen.flows == {}
    assert seen.unopened == 1
