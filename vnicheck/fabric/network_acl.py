"""The network ACL of a subnet: ordered, stateless, first match wins, what none matches is denied.

Source: IBM Cloud Docs, VPC: using-acls. Traffic inside a subnet is taken not to be filtered: no page says.
"""

from msgspec import Struct

from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.fabric.transport import (
    DIRECTIONS,
    ECHO_REQUEST,
    Range,
    Transport,
    covers,
    in_ports,
    not_understood,
    representatives,
    speaks,
)
from vnicheck.model.address import prefix_range
from vnicheck.model.cloud import AclRule, Fabric, NetworkAcl, Subnet
from vnicheck.model.flow import DropCode, Protocol
from vnicheck.model.words import one_line

STAGE = "network_acl"


class CrossingPacket(Struct, frozen=True, kw_only=True):
    """A packet that enters (`inbound`) or leaves (`outbound`) a subnet, with the ranges in which its ports lie."""

    direction: str
    protocol: Protocol
    source: int
    destination: int
    sports: Range
    dports: Range
    icmp_type: int = ECHO_REQUEST


def network_acl(fabric: Fabric, subnet: Subnet, packet: CrossingPacket) -> Check:
    """Whether the subnet's ACL passes a packet; unknown where the answer differs within the packet's port ranges.

    The server's end is on a VNI of the subnet, whatever address it bears (an asymmetric reply may bear one of another
    subnet): with the other end in the subnet too, the packet does not cross its border.
    """
    first, last = prefix_range(subnet.cidr)
    far_end = packet.source if packet.direction == "inbound" else packet.destination
    if first <= far_end <= last:
        return passes(STAGE, f"traffic inside subnet {subnet.name} meets no ACL")
    acl = fabric.network_acls.get(subnet.network_acl) if subnet.network_acl is not None else None
    if acl is None:
        reason = fabric.missing.get("network_acls", "not readable")
        return unknown(STAGE, f"the network ACL of subnet {subnet.name}: {reason}")
    answers = [
        _first_match(acl, packet, sport, dport)
        for sport in representatives(packet.sports, _ports(acl, source_side=True))
        for dport in representatives(packet.dports, _ports(acl, source_side=False))
    ]
    passed = {answer for answer, _ in answers}
    by = tuple(dict.fromkeys(rule for _, rule in answers))
    if passed == {True}:
        return passes(STAGE, f"network ACL {acl.name} of subnet {subnet.name} allows it", by=by)
    if passed == {False}:
        reason = f"network ACL {acl.name} of subnet {subnet.name} denies it {packet.direction}"
        return drops(STAGE, DropCode.NETWORK_ACL, reason, by=by)
    if None in passed:
        return unknown(STAGE, f"a rule of network ACL {acl.name} is not understood", by=by)
    return unknown(STAGE, f"the rules of network ACL {acl.name} decide by the opening side's own port", "client-ports")


def cuts(fabric: Fabric, subnet: Subnet) -> tuple[set[int], set[int]]:
    """The addresses and the ports at which the ACL's answers may change."""
    acl = fabric.network_acls.get(subnet.network_acl) if subnet.network_acl is not None else None
    if acl is None:
        return set(), set()
    extents = [prefix_range(prefix) for rule in acl.rules for prefix in (rule.source, rule.destination)]
    addresses = {cut for first, last in extents for cut in (first, last + 1)}
    return addresses, _ports(acl, source_side=True) | _ports(acl, source_side=False)


def _first_match(acl: NetworkAcl, packet: CrossingPacket, sport: int, dport: int) -> tuple[bool | None, str]:
    """Whether the first rule that matches allows the packet, None where it is not understood; and which it is."""
    transport = Transport(packet.protocol, sport, dport, packet.icmp_type)
    for rule in acl.rules:
        if rule.direction != packet.direction and rule.direction in DIRECTIONS:
            continue
        matches = _matches(rule, transport, packet)
        if matches is None or (matches and not _is_understood(rule)):
            return None, f"rule {rule.name}: {not_understood(rule) or f'action {one_line(rule.action, 40)}'}"
        if matches:
            return rule.action == "allow", f"rule {rule.name}"
    return False, f"no {packet.direction} rule matches"


def _is_understood(rule: AclRule) -> bool:
    return not rule.unmodelled and rule.action in {"allow", "deny"} and rule.direction in DIRECTIONS


def _matches(rule: AclRule, transport: Transport, packet: CrossingPacket) -> bool | None:
    extents = ((packet.source, prefix_range(rule.source)), (packet.destination, prefix_range(rule.destination)))
    if not all(first <= address <= last for address, (first, last) in extents):
        return False
    spoken = speaks(rule.protocol, transport.protocol)
    if not spoken:
        return spoken
    if transport.protocol is not Protocol.ICMP and not in_ports(
        transport.sport, rule.source_port_min, rule.source_port_max
    ):
        return False
    ports = (rule.destination_port_min, rule.destination_port_max)
    return covers(transport, ports=ports, icmp=(rule.icmp_type, rule.icmp_code))


def _ports(acl: NetworkAcl, *, source_side: bool) -> set[int]:
    ports = set()
    for rule in acl.rules:
        first = rule.source_port_min if source_side else rule.destination_port_min
        last = rule.source_port_max if source_side else rule.destination_port_max
        if first is not None:
            ports.add(first)
        if last is not None:
            ports.add(last + 1)
    return ports
