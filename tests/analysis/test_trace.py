"""One flow between two ends: the same answer as its class, and both sides where both are known."""

import ipaddress
from typing import Any

import msgspec
import pytest

from tests.support import cases
from vnicheck.analysis.trace import TraceError, trace
from vnicheck.demo.checks import AS_RECORDED, CHECKS, load_check
from vnicheck.model.cloud import FloatingIp
from vnicheck.model.config import Config
from vnicheck.model.flow import Direction, Leg, Protocol
from vnicheck.model.snapshot import Snapshot

CHECK_1, CHECK_2, CHECK_3 = (load_check(check) for check in CHECKS)
SERVICE = "161.26.0.10"
REMOTES = ("10.0.0.200", "10.0.5.5", "10.8.0.4", "192.168.7.7", SERVICE, "198.51.100.7")


@pytest.mark.parametrize("snapshot", [CHECK_1, CHECK_2, CHECK_3])
@pytest.mark.parametrize("protocol", Protocol)
def test_a_trace_agrees_with_the_class_of_its_flow(snapshot: Snapshot, protocol: Protocol) -> None:
    instance = cases.report_of(snapshot)
    for remote in REMOTES:
        for local in ("10.0.0.11", "10.0.0.12"):
            for start, end in ((remote, local), (local, remote)):
                if (start, end) == (SERVICE, local):
                    continue  # services open nothing
                (side,) = trace(snapshot, Config(), start=start, end=end, protocol=protocol, port=80)
                (flow,) = side.flows
                direction = Direction.INBOUND if end == local else Direction.OUTBOUND
                (whole,) = [
                    known
                    for known in instance.flows
                    if (known.direction, known.protocol, known.local) == (direction, protocol, local)
                    and any(ipaddress.ip_address(remote) in ipaddress.ip_network(prefix) for prefix in known.remote)
                ]
                assert flow.remote == (f"{remote}/32",)
                assert (flow.verdict, flow.drops, flow.ingress, flow.egress) == (
                    whole.verdict,
                    whole.drops,
                    whole.ingress,
                    whole.egress,
                )


def test_hops_name_the_lines_that_decided() -> None:
    (side,) = trace(CHECK_1, Config(), start="10.8.0.4", end="10.0.0.12", protocol=Protocol.TCP, port=80)
    (flow,) = side.flows
    reply = next(hop for hop in flow.hops if hop.stage == "reply_route")
    assert reply.leg is Leg.REPLY
    assert "rule '32766: from all lookup main', route 'default via 10.0.0.1 dev eth0'" in reply.reason
    assert [finding.rule for finding in side.findings] == ["VNC101"]


def test_both_ends_are_traced_where_both_are_known() -> None:
    (server,) = CHECK_2.servers
    vni = msgspec.structs.replace(server.vnis[0], id="vni-x", primary_address="10.0.0.50", primary=True, mac=None)
    other = msgspec.structs.replace(server, id="other", name="other", vnis=(vni,), guest=None)
    snapshot = msgspec.structs.replace(CHECK_2, servers=(server, other))
    sides = trace(snapshot, AS_RECORDED, start="other", end="10.0.0.12", protocol=Protocol.ICMP, port=0)
    assert [(side.name, side.flows[0].direction, side.flows[0].remote) for side in sides] == [
        ("other", Direction.OUTBOUND, ("10.0.0.12/32",)),
        ("server", Direction.INBOUND, ("10.0.0.50/32",)),
    ]
    assert [side.flows[0].verdict for side in sides] == ["unknown", "delivered"]


def test_a_floating_ip_is_dialled_from_a_floating_ip() -> None:
    """Between two servers with floating IPs each sees the other's public address, as it is dialled by its own."""
    (server,) = CHECK_2.servers
    mine, theirs = (FloatingIp(id=f"f{n}", name=f"f{n}", address=f"198.51.100.{n}") for n in (12, 50))
    vni = msgspec.structs.replace(
        server.vnis[0], id="vni-x", primary_address="10.0.0.50", mac=None, floating_ips=(theirs,)
    )
    other = msgspec.structs.replace(server, id="other", name="other", vnis=(vni,), guest=None)
    second = msgspec.structs.replace(server.vnis[1], floating_ips=(mine,))
    server = msgspec.structs.replace(server, vnis=(server.vnis[0], second))
    snapshot = msgspec.structs.replace(CHECK_2, servers=(server, other))
    sides = trace(snapshot, Config(), start="other", end="198.51.100.12", protocol=Protocol.TCP, port=80)
    assert [(side.name, side.flows[0].local, side.flows[0].remote) for side in sides] == [
        ("other", "10.0.0.50", ("198.51.100.12/32",)),
        ("server", "10.0.0.12", ("198.51.100.50/32",)),
    ]
    assert {side.flows[0].remote_scope for side in sides} == {"internet"}
    inside = trace(snapshot, Config(), start="198.51.100.50", end="10.0.0.12", protocol=Protocol.TCP, port=80)
    assert [side.flows[0].remote for side in inside] == [("10.0.0.12/32",), ("10.0.0.50/32",)]


def test_a_name_stands_for_the_primary_interface() -> None:
    (server,) = CHECK_2.servers
    turned = msgspec.structs.replace(CHECK_2, servers=(msgspec.structs.replace(server, vnis=server.vnis[::-1]),))
    (side,) = trace(turned, Config(), start="10.8.0.4", end="server", protocol=Protocol.ICMP, port=0)
    assert side.flows[0].local == "10.0.0.11"


@pytest.mark.parametrize(
    ("vnis", "words"),
    [
        (lambda vni: (), "server has no network interface"),
        (lambda vni: (msgspec.structs.replace(vni, primary_address="0.0.0.0"),), "has no address yet"),
    ],
)
def test_servers_without_an_address_have_no_flows(vnis: Any, words: str) -> None:
    (server,) = CHECK_2.servers
    bare = msgspec.structs.replace(CHECK_2, servers=(msgspec.structs.replace(server, vnis=vnis(server.vnis[0])),))
    with pytest.raises(TraceError, match=words):
        trace(bare, Config(), start="10.8.0.4", end="server", protocol=Protocol.TCP, port=80)
    with pytest.raises(TraceError):
        trace(bare, Config(), start="10.8.0.4", end="0.0.0.0", protocol=Protocol.TCP, port=80)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("10.8.0.4", "10.8.0.5", "neither 10.8.0.4 nor 10.8.0.5 is an address of server"),
        ("10.0.0.11", "10.0.0.12", "one server"),
        (SERVICE, "10.0.0.12", "161.26.0.10 is a service's of IBM Cloud"),
        ("169.254.169.254", "server", "services answer, and open no flows"),
        ("nobody", "10.0.0.12", "'nobody' is neither an IPv4 address nor a server"),
        ("10.0.0.012", "10.0.0.12", "neither an IPv4 address"),
    ],
)
def test_ends_that_make_no_flow(start: str, end: str, words: str) -> None:
    with pytest.raises(TraceError, match=words):
        trace(CHECK_1, Config(), start=start, end=end, protocol=Protocol.TCP, port=80)
