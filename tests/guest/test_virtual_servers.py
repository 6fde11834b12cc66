"""IPVS: virtual servers as /proc/net/ip_vs tells of them, and what becomes of flows to their addresses."""

from pathlib import Path

import msgspec
import pytest

from tests.support.cases import find
from tests.support.guest_namespace import run_in_namespace
from tests.support.servers import guest, report, server, two_vnis
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.parsers.hooks import parse_hooks
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.model.flow import Flow, Outcome, Verdict

HEADER = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
"""
SERVICE = (
    "TCP  0A00000B:0050 wrr persistent 360 FFFFFFFF\n  -> 0A000114:0050      Masq    1      0          0         \n"
)
SERVERS = f"{HEADER}{SERVICE}UDP  0A00000B:0000 rr\nTCP  [2001:0db8::1]:0050 rr\n"
WEB, OTHER = "inbound tcp/80 10.8.0.4 -> 10.0.0.11", "inbound tcp/81 10.8.0.4 -> 10.0.0.11"


def flows(text: str, *which: str) -> list[Flow]:
    own = msgspec.structs.replace(guest(), hooks=parse_hooks(text))
    said = report(server(*two_vnis(), guest=own))
    return [find(said, each) for each in which]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("TCP  0A00000B:0050 wrr ", ("IPVS: TCP 10.0.0.11:80", "10.0.0.11/32", "tcp", 80)),
        ("UDP  0A00000B:0000 rr", ("IPVS: UDP 10.0.0.11:0", "10.0.0.11/32", "udp", None)),
        ("FWM  00000001 rr ", ("IPVS: FWM 00000001 rr", None, None, None)),
        ("unread", ("/proc/net/ip_vs cannot be read", None, None, None)),
    ],
)
def test_lines(line: str, told: tuple[object, ...]) -> None:
    (hook,) = parse_hooks(f"ip_vs {line}")
    assert (hook.text.strip(), hook.dst, hook.protocol, hook.port) == told


def test_who_answers_at_a_virtual_server_is_not_known() -> None:
    web, other, echo, elsewhere = flows(
        "ip_vs TCP  0A00000B:0050 rr", WEB, OTHER, "inbound icmp 10.8.0.4 -> 10.0.0.11", WEB.replace(".11", ".12")
    )
    assert [hop.outcome for hop in web.hops if "IPVS: TCP 10.0.0.11:80" in hop.reason] == [Outcome.UNKNOWN] * 2
    assert [flow.verdict for flow in (web, other, echo)] == [Verdict.UNKNOWN, Verdict.DELIVERED, Verdict.DELIVERED]
    assert elsewhere.verdict is Verdict.DROPPED


@pytest.mark.parametrize("line", ["FWM  00000001 rr", "unread"])
def test_one_by_mark_or_unread_may_take_any_packet(line: str) -> None:
    web, echo = flows(f"ip_vs {line}", WEB, "inbound icmp 10.8.0.4 -> 10.0.0.11")
    assert (web.verdict, echo.verdict) == (Verdict.UNKNOWN, Verdict.DELIVERED)


def test_more_than_are_read_may_take_any_packet() -> None:
    lines = "\n".join(f"ip_vs TCP  0A0009{number >> 4:02X}:{1000 + number:04X} rr" for number in range(500))
    (web,) = flows(lines, WEB)
    assert web.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_the_script_takes_the_services_alone(tmp_path: Path, loaded: bool, there: bool) -> None:
    services, modules = tmp_path / "ip_vs", tmp_path / "modules"
    modules.write_text("ip_vs 217088 2 ip_vs_rr, Live 0x0000000000000000\n" if loaded else "")
    if there:
        services.write_text(SERVERS)
    paths = {"/proc/net/ip_vs": str(services), "/proc/modules": str(modules)}
    script = collect_script_text()
    for real, ours in paths.items():
        script = script.replace(real, ours)
    collected = run_in_namespace(script)
    for real, ours in paths.items():
        collected = collected.replace(ours.encode(), real.encode())
    told = [hook.text for hook in read_guest(collected, via="file").hooks]
    services_told = ["IPVS: TCP 10.0.0.11:80", "IPVS: UDP 10.0.0.11:0"]
    assert told == (services_told if there else ["/proc/net/ip_vs cannot be read"] if loaded else [])
