"""Whatever is called delivered, a second and naive evaluation of the VPC's path lets pass, packet by packet: a server
with VNIs in two subnets, each with an ACL and a routing table of its own, as has a third that remotes are in.
"""

import ipaddress
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import servers
from tests.support.amounts import drawn
from tests.support.drawn_servers import acl_rules
from vnicheck.engine.classify import local_addresses, predict_flow
from vnicheck.engine.server_view import ServerView
from vnicheck.model.address import parse_address
from vnicheck.model.cloud import AclRule, NetworkAcl, RoutingTable, VpcRoute
from vnicheck.model.config import Config
from vnicheck.model.flow import Direction, Protocol, Verdict

SUBNETS = {"a": "10.0.0.0/24", "b": "10.0.1.0/24", "c": "10.0.2.0/24"}
OWN = {"10.0.0.11": "a", "10.0.1.12": "b"}
REMOTES = [
    "10.0.0.7",
    "10.0.1.9",
    "10.0.2.7",
    "10.0.9.9",
    "10.8.0.4",
    "10.8.1.7",
    "198.18.7.9",
    "198.18.8.9",
    "8.8.8.8",
]
CLIENTS = [1024, 1025, 5432, 40000, 65535]

vpc_routes = st.builds(
    lambda prefix, action, hop, priority, zone, state: VpcRoute(
        id="r", name="r", destination=prefix, action=action, priority=priority, zone=zone, lifecycle_state=state,
        next_hop=hop if action == "deliver" else None,
    ),
    st.sampled_from(["0.0.0.0/0", "10.0.0.0/16", *SUBNETS.values(), "10.8.0.0/16", "198.18.0.0/15", "198.18.7.0/24"]),
    st.sampled_from(["deliver", "drop", "delegate", "delegate_vpc"]),
    st.sampled_from([*OWN, "10.0.2.5"]),
    st.sampled_from([1, 2]),
    st.sampled_from(["", "z-1", "z-2"]),
    st.sampled_from(["stable", "stable", "pending"]),
)  # fmt: skip
denials = st.builds(
    lambda direction, own, remote: servers.acl_rule(
        "deny", direction, source=own if direction == "inbound" else remote, destination="0.0.0.0/0"
    ),
    st.sampled_from(["inbound", "outbound"]),
    st.sampled_from(["10.0.0.11/32", "10.0.1.12/32"]),
    st.sampled_from(list(SUBNETS.values())),
)
"""What the ACL of a remote's subnet may have against the server."""
PREFIXES = ["0.0.0.0/0", "10.8.0.0/16", "198.18.0.0/15", *SUBNETS.values()]
guest_routes = st.fixed_dictionaries({prefix: st.sampled_from(["", "eth0", "eth1"]) for prefix in PREFIXES})
GATEWAYS = {"eth0": "10.0.0.1", "eth1": "10.0.1.1"}
ON_LINK = {"10.0.0.0/24": "eth0", "10.0.1.0/24": "eth1"}


def holds(prefix: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(prefix)


def home(address: str) -> str | None:
    return next((name for name, cidr in SUBNETS.items() if holds(cidr, address)), None)


def within(first: int | None, last: int | None, port: int) -> bool:
    return (first is None or first <= port) and (last is None or port <= last)


def passes(rules: Sequence[AclRule], direction: str, protocol: Protocol, *ends: Any) -> bool:
    source, sport, destination, dport = ends
    for rule in rules:
        meant = rule.direction in {direction, "sideways"} and rule.protocol in {"any", "quic", protocol.value}
        ported = rule.protocol not in {"tcp", "udp"} or (
            within(rule.source_port_min, rule.source_port_max, sport)
            and within(rule.destination_port_min, rule.destination_port_max, dport)
        )
        if meant and ported and holds(rule.source, source) and holds(rule.destination, destination):
            return rule.action == "allow" and rule.protocol != "quic" and rule.direction != "sideways"
    return False


def winning(routes: Sequence[VpcRoute], address: str) -> list[VpcRoute]:
    met = [each for each in routes if each.zone in {"", "z-1"} and holds(each.destination, address)]
    rank = max(((int(each.destination.split("/")[1]), -each.priority) for each in met), default=None)
    return [each for each in met if (int(each.destination.split("/")[1]), -each.priority) == rank]


def leads_on(routes: Sequence[VpcRoute], remote: str) -> bool:
    """Nothing there gets out to the internet; 198.18.0.0/15 is private where the subnet's own routes say so."""
    best = winning(routes, remote)
    private = any(each.action == "delegate_vpc" and holds(each.destination, remote) for each in routes)
    if remote == "8.8.8.8" or (remote.startswith("198.") and not (private and best)):
        return False
    handed = {"delegate_vpc"} | ({"deliver"} if home(remote) is None and remote != "10.0.9.9" else set())
    handed |= set() if remote.startswith("198.") else {"delegate"}
    settled = len(best) < 2 and all(each.lifecycle_state == "stable" for each in best)
    return settled and all(each.action in handed and each.next_hop not in OWN for each in best)


def reaches(routes: Sequence[VpcRoute], local: str) -> bool:
    normal = {"delegate", "delegate_vpc"}
    return all(
        each.lifecycle_state == "stable" and (each.action in normal or each.next_hop == local)
        for each in winning(routes, local)
    )


@settings(max_examples=drawn(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    guest_routes,
    st.fixed_dictionaries({name: st.lists(acl_rules() | denials, max_size=2) for name in SUBNETS}),
    st.fixed_dictionaries({name: st.lists(vpc_routes, max_size=2) for name in SUBNETS}),
)
def test_what_is_delivered_passes_each_acl_and_route_on_its_way(
    ways: dict[str, str], drawn_rules: dict[str, list[AclRule]], routes: dict[str, list[VpcRoute]]
) -> None:
    rules = {name: [*more, *servers.OPEN_ACL.rules] for name, more in drawn_rules.items()}
    more: dict[str, Any] = {"protocol_state_filtering_mode": "disabled", "allow_ip_spoofing": True}
    out = {prefix: device for prefix, device in ways.items() if device}
    lines = [
        f"{prefix} dev {device} scope link"
        if ON_LINK.get(prefix) == device
        else f"{prefix} via {GATEWAYS[device]} dev {device} onlink"
        for prefix, device in out.items()
    ]
    links = (servers.link("eth0", 0, "10.0.0.11/24"), servers.link("eth1", 1, "10.0.1.12/24"))
    of = servers.server(
        servers.vni(0, "10.0.0.11", **more),
        servers.vni(1, "10.0.1.12", subnet="b", **more),
        guest=servers.guest(*links, routes="\n".join(lines)),
    )
    around = servers.fabric(
        subnets=[servers.subnet(each, SUBNETS[each], network_acl=each, routing_table=each) for each in SUBNETS],
        acls=[NetworkAcl(id=each, name=each, rules=tuple(rules[each])) for each in SUBNETS],
        tables=[RoutingTable(id=each, name=each, vpc="vpc", routes=tuple(routes[each])) for each in SUBNETS],
    )
    view = ServerView(of, around, Config())
    for local in local_addresses(view):
        for remote in REMOTES:
            met = [(int(to.split("/")[1]), device) for to, device in out.items() if holds(to, remote)]
            leaves = {"eth0": "a", "eth1": "b"}[max(met)[1]] if met else None
            theirs = home(remote)
            for protocol in Protocol:
                port = 0 if protocol is Protocol.ICMP else 85
                for direction in (Direction.INBOUND, Direction.OUTBOUND):
                    flow = predict_flow(view, direction, protocol, local, parse_address(remote), port)
                    if flow.verdict is not Verdict.DELIVERED:
                        continue
                    told = (direction, protocol, local.address, remote)
                    owns = OWN[local.address]
                    assert leaves is not None, told
                    assert theirs == leaves or leads_on(routes[leaves], remote), told
                    assert theirs in {None, owns} or reaches(routes[theirs or ""], local.address), told
                    for client in [0] if protocol is Protocol.ICMP else CLIENTS:
                        mine, other = (port, client) if direction is Direction.INBOUND else (client, port)
                        sent, come = (local.address, mine, remote, other), (remote, other, local.address, mine)
                        for at, ends, frm, to in ((leaves, sent, leaves, theirs), (owns, come, theirs, owns)):
                            if frm != to:
                                assert frm is None or passes(rules[frm], "outbound", protocol, *ends), (told, at)
                                assert to is None or passes(rules[to], "inbound", protocol, *ends), (told, at)
