"""Security groups and network ACLs against a naive evaluation, packet by packet, written from IBM's documentation."""

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amounts import drawn
from tests.support.drawn_rules import COVERS, LOCAL, MEMBERS, acl_rules, directions, group_rules, remotes
from tests.support.servers import fabric, subnet, vni
from vnicheck.fabric import network_acl as acls
from vnicheck.fabric import security_group as groups
from vnicheck.fabric.transport import CrossingPacket
from vnicheck.model.address import parse_address
from vnicheck.model.cloud import AclRule, NetworkAcl, SecurityGroup, SecurityGroupRule
from vnicheck.model.flow import Outcome, Protocol

NUMBERS = {Protocol.ICMP: 1, Protocol.TCP: 6, Protocol.UDP: 17}

ports = st.integers(1, 12)
protocols = st.sampled_from(list(Protocol))


def in_prefix(address: str, prefix: str | None) -> bool:
    return prefix is None or ipaddress.ip_address(address) in ipaddress.ip_network(prefix)


def in_bounds(port: int, first: int | None, last: int | None) -> bool:
    return (first or 0) <= port <= (65535 if last is None else last)


def admits(rule: SecurityGroupRule, direction: str, protocol: Protocol, remote: str, dport: int, kind: int) -> bool:
    if rule.direction != direction or NUMBERS[protocol] not in COVERS[rule.protocol]:
        return False
    if not in_prefix(LOCAL, rule.local):
        return False
    if rule.remote_group is not None:
        if remote not in (MEMBERS.addresses or ()):
            return False
    elif not in_prefix(remote, rule.remote):
        return False
    if protocol is Protocol.ICMP:
        return rule.icmp_type in (None, kind) and rule.icmp_code in (None, 0)
    return in_bounds(dport, rule.port_min, rule.port_max)


@settings(max_examples=drawn(400), deadline=None)
@given(
    st.lists(st.lists(group_rules(), max_size=4), max_size=3),
    directions,
    protocols,
    remotes,
    ports,
    ports,
    st.sampled_from([0, 8]),
)
def test_security_groups(
    rules: list[list[SecurityGroupRule]],
    direction: str,
    protocol: Protocol,
    remote: str,
    one_port: int,
    other_port: int,
    kind: int,
) -> None:
    given_groups = [SecurityGroup(id=f"g{i}", name="g", rules=tuple(each)) for i, each in enumerate(rules)]
    around = fabric(groups=[*given_groups, MEMBERS])
    one = vni(0, LOCAL, security_groups=tuple(group.id for group in given_groups))
    dports = (0, 0) if protocol is Protocol.ICMP else (min(one_port, other_port), max(one_port, other_port))
    packet = CrossingPacket(
        direction=direction,
        protocol=protocol,
        remotes=(parse_address(remote),),
        local=parse_address(LOCAL),
        sports=((1024, 65535),),
        dports=(dports,),
        icmp_type=kind,
    )
    check = groups.groups_check(
        around, one, groups.group_answers(around, one, packet), direction=direction, opening=True
    )
    every_rule = [rule for each in rules for rule in each]
    naive = {
        any(admits(rule, direction, protocol, remote, dport, kind) for rule in every_rule)
        for dport in range(dports[0], dports[1] + 1)
    }
    assert check.outcome is _outcome(naive)


def passes(
    rules: list[AclRule], protocol: Protocol, direction: str, ends: tuple[str, str], sport: int, dport: int
) -> bool:
    for rule in rules:
        if rule.direction != direction or NUMBERS[protocol] not in COVERS[rule.protocol]:
            continue
        if not (in_prefix(ends[0], rule.source) and in_prefix(ends[1], rule.destination)):
            continue
        if protocol is Protocol.ICMP:
            if rule.icmp_type not in (None, 8) or rule.icmp_code not in (None, 0):
                continue
        elif not (
            in_bounds(sport, rule.source_port_min, rule.source_port_max)
            and in_bounds(dport, rule.destination_port_min, rule.destination_port_max)
        ):
            continue
        return rule.action == "allow"
    return False


@settings(max_examples=drawn(400), deadline=None)
@given(
    st.lists(acl_rules(), max_size=6),
    directions,
    protocols,
    remotes | st.just("10.0.0.77"),
    st.tuples(ports, ports),
    st.tuples(ports, ports),
)
def test_network_acls(
    rules: list[AclRule],
    direction: str,
    protocol: Protocol,
    remote: str,
    sports: tuple[int, int],
    dports: tuple[int, int],
) -> None:
    sports, dports = (min(sports), max(sports)), (min(dports), max(dports))
    if protocol is Protocol.ICMP:
        sports = dports = (0, 0)
    ends = (remote, LOCAL) if direction == "inbound" else (LOCAL, remote)
    check = acls.network_acl(
        fabric(acls=[NetworkAcl(id="acl", name="acl", rules=tuple(rules))]),
        subnet("a", "10.0.0.0/24"),
        CrossingPacket(
            direction=direction,
            protocol=protocol,
            remotes=(parse_address(remote),),
            local=parse_address(LOCAL),
            sports=(sports,),
            dports=(dports,),
        ),
    )
    naive = {
        remote == "10.0.0.77" or passes(rules, protocol, direction, ends, sport, dport)
        for sport in range(sports[0], sports[1] + 1)
        for dport in range(dports[0], dports[1] + 1)
    }
    assert check.outcome is _outcome(naive)


def _outcome(answers: set[bool]) -> Outcome:
    if len(answers) > 1:
        return Outcome.UNKNOWN
    return Outcome.PASS if answers == {True} else Outcome.DROP
