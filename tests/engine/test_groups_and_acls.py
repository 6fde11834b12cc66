"""Classes against a naive evaluation, packet by packet, at random points of random security groups and network ACLs.

Each world has two VNIs whose replies leave asymmetrically, in one subnet or in two. At each point all packets are sent,
one for every port that the opening side may use, through rules that are read anew from IBM's documentation; the class
that holds the point must say of each stage of each leg what became of them.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from msgspec import UNSET, Struct

from tests.support.amounts import drawn
from tests.support.servers import acl_rule, fabric, flows, group_rule, guest, link, server, subnet, vni
from vnicheck.fabric.scope import SERVICE_PREFIXES
from vnicheck.model.address import format_address, parse_address, prefix_range
from vnicheck.model.cloud import AclRule, NetworkAcl, SecurityGroup, SecurityGroupRule
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import Flow, Protocol

SEED = 20261123
WORLDS = drawn(126)
POINTS = 800
"""Points of each world: 100,000 in all with --long."""

CLIENT_PORTS = range(50000, 50004)
CONFIG = Config(assumptions=Assumptions(client_ports=f"{CLIENT_PORTS[0]}-{CLIENT_PORTS[-1]}"))
NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17}
COVERS = {
    "any": {1, 6, 17}, "all": {1, 6, 17}, "icmp_tcp_udp": {1, 6, 17}, "icmp": {1}, "tcp": {6}, "udp": {17},
    "number_6": {6}, "number_17": {17}, "number_47": {47}, "esp": {50},
}  # fmt: skip
WORDS = ("tcp",) * 6 + ("udp",) * 3 + ("icmp",) * 3 + tuple(COVERS)
PREFIXES = (
    "10.8.0.0/16", "10.8.4.0/22", "10.8.0.4/32", "10.0.0.0/24", "10.0.0.128/25",
    "10.0.1.0/24", "10.0.0.0/16", "192.168.0.0/16", "161.26.0.0/16", "203.0.113.0/24", "128.0.0.0/1",
)  # fmt: skip
EDGES = (1, 22, 79, 80, 81, 443, 8000, 49999, *CLIENT_PORTS, 50004, 65535)
BROADCASTS = {parse_address("10.0.0.255"), parse_address("10.0.1.255")}
MEMBERS = ("10.8.0.4", "10.0.0.77", "203.0.113.9")


class Packet(Struct, frozen=True):
    """One packet at a VNI, which it reaches (`inbound`) or leaves. `kind`: the ICMP type."""

    direction: str
    protocol: str
    source: int
    destination: int
    sport: int
    dport: int
    kind: int


class World(Struct):
    """The rules around two VNIs: by VNI number its groups' rules, its subnet's prefix and ACL, and its address."""

    groups: list[list[SecurityGroupRule]]
    acls: list[tuple[AclRule, ...]]
    subnets: list[str]
    addresses: list[int]
    classes: dict[tuple[str, str, str], "Index"]

    def leaves_by(self, remote: int) -> int:
        """The guest's main table: the second subnet by eth1, everything else by eth0."""
        return 1 if self.subnets[0] != self.subnets[1] and inside(remote, self.subnets[1]) else 0

    def admits(self, number: int, packet: Packet) -> bool:
        """Some rule of some group of the VNI admits the packet by itself."""
        remote, local = packet.source, packet.destination
        if packet.direction == "outbound":
            remote, local = local, remote
        return any(_admits(rule, packet, remote, local) for rule in self.groups[number])

    def crosses(self, number: int, packet: Packet) -> bool:
        """The ACL of the VNI's subnet, asked only for packets that cross the subnet's border."""
        far_end = packet.source if packet.direction == "inbound" else packet.destination
        if inside(far_end, self.subnets[number]):
            return True
        for rule in self.acls[number]:
            if _matches(rule, packet):
                return rule.action == "allow"
        return False


class Index:
    """The classes of one direction, protocol and local address, to be found by remote and port."""

    def __init__(self, classes: list[Flow]) -> None:
        extents = sorted(
            (*prefix_range(prefix), flow_id) for flow_id, flow in enumerate(classes) for prefix in flow.remote
        )
        self._firsts = sorted({first for first, _, _ in extents} | {last + 1 for _, last, _ in extents})
        self._at: list[list[int]] = [[] for _ in self._firsts]
        for first, last, flow_id in extents:
            start = bisect_right(self._firsts, first) - 1
            while start < len(self._firsts) and self._firsts[start] <= last:
                self._at[start].append(flow_id)
                start += 1
        self._classes = classes
        self._ports = [
            None
            if flow.ports is UNSET
            else [(int(a), int(b or a)) for a, _, b in (p.partition("-") for p in flow.ports)]
            for flow in classes
        ]

    def find(self, remote: int, port: int) -> Flow:
        """The one class of a point."""
        here = self._at[bisect_right(self._firsts, remote) - 1]
        found = [
            flow_id
            for flow_id in here
            if (ports := self._ports[flow_id]) is None or any(first <= port <= last for first, last in ports)
        ]
        assert len(found) == 1, f"{format_address(remote)}:{port} is in {len(found)} classes"
        return self._classes[found[0]]


def inside(address: int, prefix: str) -> bool:
    first, last = prefix_range(prefix)
    return first <= address <= last


def _in_bounds(port: int, first: int | None, last: int | None) -> bool:
    return (0 if first is None else first) <= port <= (65535 if last is None else last)


def _admits(rule: SecurityGroupRule, packet: Packet, remote: int, local: int) -> bool:
    if rule.direction != packet.direction or NUMBERS[packet.protocol] not in COVERS[rule.protocol]:
        return False
    if rule.local is not None and not inside(local, rule.local):
        return False
    if rule.remote_group is not None:
        if format_address(remote) not in MEMBERS:
            return False
    elif rule.remote is not None and not inside(remote, rule.remote):
        return False
    if packet.protocol == "icmp":
        return rule.icmp_type in (None, packet.kind) and rule.icmp_code in (None, 0)
    return _in_bounds(packet.dport, rule.port_min, rule.port_max)


def _matches(rule: AclRule, packet: Packet) -> bool:
    if rule.direction != packet.direction or NUMBERS[packet.protocol] not in COVERS[rule.protocol]:
        return False
    if not inside(packet.source, rule.source) or not inside(packet.destination, rule.destination):
        return False
    if packet.protocol == "icmp":
        return rule.icmp_type in (None, packet.kind) and rule.icmp_code in (None, 0)
    return _in_bounds(packet.sport, rule.source_port_min, rule.source_port_max) and _in_bounds(
        packet.dport, rule.destination_port_min, rule.destination_port_max
    )


def expected(world: World, direction: str, protocol: str, owner: int, remote: int, port: int) -> list[tuple[str, ...]]:
    """(leg, interface, stage, outcome) of every group and ACL that the flow's packets meet, sorted."""
    away = world.leaves_by(remote)
    inbound = direction == "inbound"
    arriving, leaving = ("request", "reply") if inbound else ("reply", "request")
    answers: dict[tuple[str, str, str], set[bool]] = {}
    for client_port in CLIENT_PORTS if protocol != "icmp" else (0,):
        ours, theirs = (port, client_port) if inbound else (client_port, port)
        local = world.addresses[owner]
        coming = Packet("inbound", protocol, remote, local, theirs, ours, 8 if inbound else 0)
        going = Packet("outbound", protocol, local, remote, ours, theirs, 0 if inbound else 8)
        # groups keep state: the answer needs no rule on the VNI that has let the opening packet through
        for leg, number, packet in ((arriving, owner, coming), (leaving, away, going)):
            answered = leg == "reply" and owner == away
            at = f"eth{number}"
            answers.setdefault((leg, at, "security_group"), set()).add(answered or world.admits(number, packet))
            answers.setdefault((leg, at, "network_acl"), set()).add(world.crosses(number, packet))
    words = {frozenset({True}): "pass", frozenset({False}): "drop"}
    return sorted((*key, words.get(frozenset(answer), "unknown")) for key, answer in answers.items())


def make_world(random: Random) -> World:
    groups = [
        SecurityGroup(id=f"g{number}", name=f"g{number}", rules=tuple(_group_rules(random))) for number in range(3)
    ]
    members = SecurityGroup(id="members", name="members", addresses=MEMBERS)
    acls = [NetworkAcl(id=f"acl{number}", name=f"acl{number}", rules=tuple(_acl_rules(random))) for number in range(2)]
    one_subnet = random.random() < 0.4
    cidrs = ["10.0.0.0/24", "10.0.0.0/24" if one_subnet else "10.0.1.0/24"]
    used = [random.sample(range(3), random.randint(0, 2)) for _ in range(2)]
    second = cidrs[1].replace(".0/24", ".12")
    vnis = [
        vni(
            number,
            address,
            subnet="b" if number and not one_subnet else "a",
            security_groups=tuple(f"g{group}" for group in used[number]),
            protocol_state_filtering_mode="disabled",
            allow_ip_spoofing=True,
        )
        for number, address in enumerate(("10.0.0.11", second))
    ]
    inside_guest = guest(
        link("eth0", 0, "10.0.0.11/24"),
        link("eth1", 1, f"{second}/24"),
        routes=f"default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link metric 100\n"
        f"{cidrs[1]} dev eth1 scope link metric 101\n",
    )
    around = fabric(
        subnets=[subnet("a", "10.0.0.0/24", network_acl="acl0"), subnet("b", "10.0.1.0/24", network_acl="acl1")],
        groups=[*groups, members],
        acls=acls,
    )
    by_key: dict[tuple[str, str, str], list[Flow]] = {}
    for flow in flows(server(*vnis, guest=inside_guest), around, CONFIG):
        by_key.setdefault((flow.direction, flow.protocol, flow.local), []).append(flow)
    return World(
        groups=[[rule for group in each for rule in groups[group].rules] for each in used],
        acls=[acls[0].rules, acls[0 if one_subnet else 1].rules],
        subnets=cidrs,
        addresses=[parse_address("10.0.0.11"), parse_address(second)],
        classes={key: Index(classes) for key, classes in by_key.items()},
    )


def _group_rules(random: Random) -> Iterator[SecurityGroupRule]:
    for _ in range(random.randint(0, 5)):
        word = random.choice(WORDS)
        more: dict[str, Any] = {"local": random.choice([None, None, None, "0.0.0.0/0", "10.0.0.11/32", "10.0.1.0/24"])}
        if word in {"tcp", "udp"}:
            more |= dict(zip(("port_min", "port_max"), _bounds(random), strict=True))
        elif word == "icmp":
            more |= {"icmp_type": random.choice([None, 0, 8]), "icmp_code": random.choice([None, 0])}
        if random.random() < 0.2:
            yield group_rule(_direction(random), word, None, remote_group="members", **more)
        else:
            yield group_rule(_direction(random), word, _prefix(random), **more)


def _acl_rules(random: Random) -> Iterator[AclRule]:
    for _ in range(random.randint(1, 7)):
        word = random.choice(WORDS)
        more: dict[str, Any] = {}
        if word in {"tcp", "udp"}:
            for end in ("source", "destination"):
                more |= dict(zip((f"{end}_port_min", f"{end}_port_max"), _bounds(random), strict=True))
        elif word == "icmp":
            more |= {"icmp_type": random.choice([None, 0, 8]), "icmp_code": random.choice([None, 0])}
        action = random.choice(["allow", "allow", "deny"])
        yield acl_rule(action, _direction(random), word, _prefix(random), _prefix(random), **more)


def _prefix(random: Random) -> str:
    return "0.0.0.0/0" if random.random() < 0.6 else random.choice(PREFIXES)


def _direction(random: Random) -> str:
    return random.choice(["inbound", "outbound"])


def _bounds(random: Random) -> tuple[int | None, int | None]:
    if random.random() < 0.5:
        return None, None
    first, last = sorted(random.choices(EDGES + (50001, 50002) * 4, k=2))
    return random.choice([first, first, None]), random.choice([last, last, None])


def make_remote(random: Random) -> int:
    """An address at or beside the edge of a prefix, or one inside, or a member of the group, or any."""
    chance = random.random()
    if chance < 0.15:
        return parse_address(random.choice(MEMBERS))
    if chance < 0.3:
        return random.randrange(parse_address("11.0.0.0"), parse_address("126.0.0.0"))
    first, last = prefix_range(random.choice(PREFIXES[:-1]))
    return random.choice([first, first - 1, last, last + 1, random.randint(first, last)])


def _is_service(remote: int) -> bool:
    return any(first <= remote <= last for first, last in map(prefix_range, SERVICE_PREFIXES))


def test_classes_say_what_packets_meet() -> None:
    random = Random(SEED)
    outcomes: Counter[str] = Counter()
    points = 0
    for number in range(WORLDS):
        world = make_world(random)
        asked = 0
        while asked < POINTS:
            direction, protocol = _direction(random), random.choice(list(NUMBERS))
            owner, remote = random.randrange(2), make_remote(random)
            port = random.choice(EDGES) if random.random() < 0.8 else random.randint(1, 65535)
            if remote in world.addresses or remote in BROADCASTS:
                continue  # no remote, or one that the guest sends nothing to
            if direction == "inbound" and _is_service(remote):
                continue  # services open nothing
            asked += 1
            flow = world.classes[direction, protocol, format_address(world.addresses[owner])].find(remote, port)
            told = sorted(
                (hop.leg.value, hop.at, hop.stage, hop.outcome.value)
                for hop in flow.hops
                if hop.stage in {"security_group", "network_acl"}
            )
            wanted = expected(world, direction, protocol, owner, remote, port)
            assert told == wanted, (SEED, number, direction, protocol, owner, format_address(remote), port)
            outcomes.update(f"{stage} {outcome}" for _, _, stage, outcome in wanted)
            points += 1
    assert points == WORLDS * POINTS
    # each answer of each stage was met often enough for a difference to show
    for stage in ("security_group", "network_acl"):
        for outcome in ("pass", "drop", "unknown"):
            assert outcomes[f"{stage} {outcome}"] > drawn(600), outcomes


@pytest.mark.parametrize("protocol", list(Protocol))
def test_the_points_of_a_world_are_not_all_in_one_class(protocol: Protocol) -> None:
    random = Random(SEED)
    sizes = [
        len(index._classes) for _ in range(5) for key, index in make_world(random).classes.items() if key[1] == protocol
    ]
    assert max(sizes) > 5
