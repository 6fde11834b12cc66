"""Security groups of a VNI: allow rules only, the union of all groups; what none admits is refused.

Source: IBM Cloud Docs, VPC: using-security-groups.
"""

from msgspec import Struct

from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.fabric.transport import (
    DIRECTIONS,
    ECHO_REQUEST,
    Range,
    Transport,
    covers,
    not_understood,
    representatives,
    speaks,
    to_ports,
)
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.cloud import Fabric, SecurityGroup, SecurityGroupRule, Vni
from vnicheck.model.config import Assumptions
from vnicheck.model.flow import DropCode, Protocol
from vnicheck.model.words import one_line

STAGE = "security_group"


class GroupedPacket(Struct, frozen=True, kw_only=True):
    """A packet as a VNI's groups see it: from (`inbound`) or to (`outbound`) a remote, with its destination ports.

    `opening` is False for an answer whose opening packet the groups have not seen.
    """

    direction: str
    protocol: Protocol
    remote: int
    local: int
    dports: Range
    opening: bool
    icmp_type: int = ECHO_REQUEST


def answer_to_seen(vni: Vni, assume: Assumptions, *, seen: bool) -> Check | None:
    """An answer on the VNI that let the opening packet through; None for one that must be admitted by the rules."""
    if not seen:
        if assume.sg_stateless:
            return None
        return passes(STAGE, "answers need no rule of their own (as configured)", "sg-stateless")
    return passes(STAGE, f"the security groups of {vni.name} have admitted this flow's opening packet")


def security_groups(fabric: Fabric, vni: Vni, packet: GroupedPacket) -> Check:
    """Whether the VNI's groups admit a packet by their rules alone."""
    assumption = None if packet.opening else "sg-stateless"
    groups = _groups_of(fabric, vni)
    if groups is None:
        reason = fabric.missing.get("security_groups", "not readable")
        return unknown(STAGE, f"the security groups of {vni.name}: {reason}", assumption)
    ports = representatives(packet.dports, _port_cuts(groups))
    answers = [_first_admitting(fabric, groups, packet, port) for port in ports]
    admitted = {answer for answer, _ in answers}
    by = tuple(dict.fromkeys(rule for _, rule in answers if rule))
    if admitted == {True}:
        return passes(STAGE, f"the security groups of {vni.name} admit it", assumption, by)
    if admitted == {False}:
        reason = f"no {packet.direction} rule of the security groups of {vni.name} admits it"
        return drops(STAGE, DropCode.SECURITY_GROUP, reason, assumption)
    if None in admitted:
        return unknown(STAGE, f"a rule of the security groups of {vni.name} may admit it", assumption, by)
    return unknown(STAGE, f"the security groups of {vni.name} decide by the opening side's own port", "client-ports")


def cuts(fabric: Fabric, vni: Vni) -> tuple[set[int], set[int]]:
    """The addresses and the ports at which the groups' answers may change."""
    groups = _groups_of(fabric, vni) or []
    extents = [extent for group in groups for rule in group.rules for extent in _remote_ranges(fabric, rule) or ()]
    return {cut for first, last in extents for cut in (first, last + 1)}, _port_cuts(groups)


def _port_cuts(groups: list[SecurityGroup]) -> set[int]:
    rules = [rule for group in groups for rule in group.rules]
    return {rule.port_min for rule in rules if rule.port_min is not None} | {
        rule.port_max + 1 for rule in rules if rule.port_max is not None
    }


def _groups_of(fabric: Fabric, vni: Vni) -> list[SecurityGroup] | None:
    if vni.security_groups is None:
        return None
    groups = [fabric.security_groups.get(group) for group in vni.security_groups]
    known = [group for group in groups if group is not None]
    return known if len(known) == len(groups) else None


def _first_admitting(
    fabric: Fabric, groups: list[SecurityGroup], packet: GroupedPacket, port: int
) -> tuple[bool | None, str]:
    """Whether some rule admits the packet, None where one may; and which, why."""
    transport = Transport(packet.protocol, dport=port, icmp_type=packet.icmp_type)
    doubt = ""
    for group in groups:
        for rule in group.rules:
            if rule.direction != packet.direction and rule.direction in DIRECTIONS:
                continue
            admits = _admits(fabric, rule, transport, packet)
            if admits:
                return True, f"group {group.name}: {_line(fabric, rule)}"
            if admits is None and not doubt:
                why = not_understood(rule) or "the addresses of its remote group are not all known"
                doubt = f"group {group.name}: {_line(fabric, rule)}: {why}"
    return (None if doubt else False), doubt


def _line(fabric: Fabric, rule: SecurityGroupRule) -> str:
    """`inbound tcp 443 from group web`. What is absent is any."""
    words = [one_line(rule.direction, 40), one_line(rule.protocol, 40)]
    ports = to_ports(rule.port_min, rule.port_max)
    if ports:
        words.append(ports)
    if rule.icmp_type is not None:
        words.append(f"type {rule.icmp_type}")
    remote = rule.remote
    if rule.remote_group is not None:
        group = fabric.security_groups.get(rule.remote_group)
        remote = f"group {group.name if group is not None else rule.remote_group}"
    if remote is not None:
        words += ["from" if rule.direction == "inbound" else "to", remote]
    return " ".join(words)


def _admits(fabric: Fabric, rule: SecurityGroupRule, transport: Transport, packet: GroupedPacket) -> bool | None:
    spoken = speaks(rule.protocol, transport.protocol)
    ports, icmp = (rule.port_min, rule.port_max), (rule.icmp_type, rule.icmp_code)
    if spoken is False or (spoken and not covers(transport, ports=ports, icmp=icmp)):
        return False
    if rule.local is not None and not _inside(packet.local, prefix_range(rule.local)):
        return False
    remotes = _remote_ranges(fabric, rule)
    if rule.unmodelled or remotes is None:
        return None
    if not any(_inside(packet.remote, extent) for extent in remotes):
        return False
    return True if spoken and rule.direction in DIRECTIONS else None


def _remote_ranges(fabric: Fabric, rule: SecurityGroupRule) -> list[Range] | None:
    """The remote addresses that a rule names; None where they are not known."""
    if rule.remote is not None:
        return [prefix_range(rule.remote)]
    group = fabric.security_groups.get(rule.remote_group) if rule.remote_group is not None else None
    if group is None or group.addresses is None:
        return None
    return [(address, address) for address in map(parse_address, group.addresses)]


def _inside(address: int, extent: Range) -> bool:
    return extent[0] <= address <= extent[1]
