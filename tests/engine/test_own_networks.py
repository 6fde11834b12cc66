"""The server's own devices are known by what they are; what is behind them is no remote of the VPC."""

from typing import Any

import pytest

from tests.support.cases import find
from tests.support.servers import fabric, flows, guest, link, report, server, vni
from vnicheck.engine.server_view import ServerView
from vnicheck.model.address import prefix_range
from vnicheck.model.config import Config
from vnicheck.model.flow import Direction, Flow, Verdict
from vnicheck.model.guest import Interface
from vnicheck.model.snapshot import Server

ROUTES = "default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n"
RULES = "0: from all lookup local\n{}32766: from all lookup main\n32767: from all lookup default"
LED_OUT = RULES.format("100: from 10.0.0.11 lookup 100\n")
TABLE = "default via 10.0.0.1 dev eth0 table 100\n"
MAC = "ee:ee:ee:ee:ee:ee"


def of(*devices: Interface, routes: str = "", rules: str = LED_OUT, eth0: Any = None) -> Server:
    links = (eth0 or link("eth0", 0, "10.0.0.11/24"), *devices)
    return server(vni(0, "10.0.0.11"), guest=guest(*links, routes=ROUTES + TABLE + routes, rules=rules))


def own(target: Server, config: Config | None = None) -> set[str]:
    return set(ServerView(target, fabric(), config or Config()).own_devices)


def device(name: str, *prefixes: str, mac: str | None = MAC, **more: Any) -> Interface:
    return link(name, 3, *prefixes, mac=mac, **more)


def told_of(target: Server, prefix: str, direction: Direction) -> list[Flow]:
    first, last = prefix_range(prefix)
    ranges = [(flow, prefix_range(remote)) for flow in flows(target) for remote in flow.remote]
    return [flow for flow, (low, high) in ranges if flow.direction is direction and low <= last and first <= high]


@pytest.mark.parametrize(
    "made",
    [
        {"kind": "veth", "kind_shown": True},
        {"elsewhere": True},
        {"peer_index": 3},
        {"link_type": "none"},
        {"link_type": "ipip"},
        {"kind": "wireguard", "kind_shown": True, "link_type": "none"},
        {"kind": "vxlan", "kind_shown": True},
        {"kind": "bridge", "kind_shown": True},
        {"kind": "macvlan", "kind_shown": True, "parent": "eth0"},
        {"kind": "ipvlan", "kind_shown": True, "parent": "eth0", "mac": "02:00:00:00:00:0a"},
        {"kind": "dummy", "kind_shown": True},
    ],
)
def test_what_is_the_servers_own_whatever_its_name(made: dict[str, Any]) -> None:
    assert own(of(device("xyz7", **made))) == {"xyz7"}


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"kind_shown": True},
        {"kind": "vlan", "kind_shown": True, "parent": "eth0"},
        {"kind": "bond", "kind_shown": True},
        {"kind": "vrf", "kind_shown": True},
        {"bus": "virtio", "kind_shown": True},
        {"kind": "veth", "kind_shown": True, "mac": "02:00:00:00:00:0a"},
    ],
)
def test_what_may_lead_to_the_vpc_is_not(made: dict[str, Any]) -> None:
    assert own(of(device("xyz7", **made))) == set()


def test_names_count_only_where_no_kinds_are_shown() -> None:
    assert own(of(device("docker0"))) == {"docker0"}
    assert own(of(device("docker0", kind_shown=True))) == set()


def test_a_device_that_carries_a_vni_is_never_the_servers_own() -> None:
    carrying = link("eth0", 0, "10.0.0.11/24", kind="veth", kind_shown=True, elsewhere=True, peer_index=7)
    assert own(of(eth0=carrying)) == set()
    bridge = link("br0", 0, "10.0.0.11/24", kind="bridge", kind_shown=True)
    assert own(of(eth0=bridge)) == set()


def test_a_bridge_with_a_port_to_the_vpc_is_not() -> None:
    bridge = device("br7", kind="bridge", kind_shown=True)
    pod = link("veth1", 2, mac="ee:ee:ee:ee:ee:01", kind="veth", kind_shown=True, master="br7")
    other = link("ens9", 1, mac="02:00:00:00:00:77", kind_shown=True, master="br7", index=9)
    assert own(of(bridge, pod)) == {"br7", "veth1"}
    assert own(of(bridge, pod, other)) == {"veth1"}


@pytest.mark.parametrize(
    ("routes", "remote"),
    [
        ("192.168.7.9 dev xyz7 scope link\n", "192.168.7.9"),
        ("172.17.0.0/16 dev xyz7 scope link\n", "172.17.3.4"),
        ("100.64.0.0/10 dev xyz7 table 52\n", "100.70.0.1"),
        ("10.0.0.99 dev xyz7 scope link\n", "10.0.0.99"),
        ("blackhole 192.168.7.0/26\n192.168.7.9 dev xyz7 scope link\n", "192.168.7.20"),
    ],
)
def test_what_a_rule_leads_out_is_not_delivered(routes: str, remote: str) -> None:
    target = of(device("xyz7", elsewhere=True), routes=routes)
    flow = find(report(target), f"outbound tcp/80 10.0.0.11 -> {remote}")
    assert flow.verdict is Verdict.UNKNOWN
    assert "led out by eth0 (rule '100: from 10.0.0.11 lookup 100'" in flow.hops[0].reason
    assert told_of(target, f"{remote}/32", Direction.INBOUND) == []


@pytest.mark.parametrize(
    ("routes", "remote"),
    [
        ("192.168.7.9 dev xyz7 scope link\n", "192.168.7.10"),
        ("0.0.0.0/1 dev xyz7\n128.0.0.0/1 dev xyz7\n", "10.8.0.4"),
        ("default dev xyz7 table 9\n", "10.8.0.4"),
        ("203.0.113.0/24 dev xyz7\n", "203.0.113.9"),
        ("10.0.0.0/16 dev xyz7 metric 9\n", "10.0.1.9"),
        ("10.8.0.0/16 dev xyz7\n10.8.4.0/24 via 10.0.0.1 dev eth0\n", "10.8.4.4"),
        ("10.8.0.0/16 nexthop dev xyz7 nexthop via 10.0.0.1 dev eth0\n", "10.8.0.4"),
        ("blackhole 10.8.0.0/16\n", "10.8.0.4"),
    ],
)
def test_what_is_not_behind_an_own_device_alone_stays_a_remote(routes: str, remote: str) -> None:
    target = of(device("xyz7", elsewhere=True), routes=routes)
    assert told_of(target, f"{remote}/32", Direction.INBOUND)
    (flow,) = {flow for flow in told_of(target, f"{remote}/32", Direction.OUTBOUND) if flow.protocol.value == "tcp"}
    assert "own networks" not in flow.hops[0].reason


def test_a_named_network_is_a_remote() -> None:
    target = of(device("xyz7", elsewhere=True), routes="10.8.0.0/16 dev xyz7\n")
    config = Config(networks={"on-prem": ("10.8.0.0/16",)})
    named = [flow for flow in report(target, None, config).flows if flow.direction is Direction.INBOUND]
    assert any("10.8.0.0/16" in flow.remote for flow in named)


def test_pods_of_whatever_names_are_no_findings() -> None:
    pods = [device(f"eni{number}", elsewhere=True, index=20 + number) for number in range(9)]
    routes = "".join(f"192.168.7.{number} dev eni{number} scope link\n" for number in range(9))
    rules = RULES.format("")
    strict = {"all": 1}
    bare, full = (
        server(vni(0, "10.0.0.11"), guest=guest(*links, routes=ROUTES + more, rules=rules, rp_filter=strict))
        for links, more in (
            ((link("eth0", 0, "10.0.0.11/24"),), ""),
            ((link("eth0", 0, "10.0.0.11/24"), *pods), routes),
        )
    )
    assert [finding.message for finding in report(full).findings] == [
        finding.message for finding in report(bare).findings
    ]
