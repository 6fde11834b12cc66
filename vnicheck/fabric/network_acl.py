"""The network ACL of a subnet: ordered, stateless, first match wins, what none matches is denied.

Source: IBM Cloud Docs, VPC: using-acls. Traffic inside a subnet is taken not to be filtered: no page says.
"""

from collections.abc import Hashable

from vnicheck.fabric.acl_rules import AclRules, Alike
from vnicheck.fabric.answers import Answers
from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.fabric.memory import remembered
from vnicheck.fabric.transport import CrossingPacket, kind_of
from vnicheck.model.address import prefix_range
from vnicheck.model.address_map import AddressMap, constant, joined
from vnicheck.model.cloud import Fabric, Subnet
from vnicheck.model.flow import DropCode, Stage

STAGE = Stage.NETWORK_ACL


def network_acl(fabric: Fabric, subnet: Subnet, packet: CrossingPacket) -> Check:
    """Whether the subnet's ACL passes a packet; unknown where the answer differs within the packet's port ranges.

    The server's end is on a VNI of the subnet, whatever address it bears (an asymmetric reply may bear one of another
    subnet): with the other end in the subnet too, the packet does not cross its border.
    """
    if _inside(subnet, packet):
        return passes(STAGE, f"traffic inside subnet {subnet.name} meets no ACL")
    rules = acl_rules(fabric, subnet)
    if rules is None:
        reason = fabric.missing.get("network_acls", "not readable")
        return unknown(STAGE, f"the network ACL of subnet {subnet.name}: {reason}")
    kind = kind_of(packet.direction, packet.protocol, packet.icmp_type)
    answers = rules.answers(kind, packet.remotes, packet.local, packet.sports, packet.dports)
    key = (STAGE, subnet.id, packet.direction, answers)
    return remembered(fabric, key, lambda: _check(rules, subnet, packet.direction, answers))


def _check(rules: AclRules, subnet: Subnet, direction: str, answers: Answers) -> Check:
    passed, by = answers.passed, answers.lines
    if passed == {True}:
        return passes(STAGE, f"network ACL {rules.name} of subnet {subnet.name} allows it", by=by)
    if passed == {False}:
        reason = f"network ACL {rules.name} of subnet {subnet.name} denies it {direction}"
        return drops(STAGE, DropCode.NETWORK_ACL, reason, by=by)
    if None in passed:
        return unknown(STAGE, f"a rule of network ACL {rules.name} is not understood", by=by)
    return unknown(
        STAGE, f"the rules of network ACL {rules.name} decide by the opening side's own port", "client-ports"
    )


def by_port(fabric: Fabric, subnet: Subnet, packet: CrossingPacket, *, of_source: bool) -> AddressMap[Hashable]:
    """What the ACL says of the packet, whichever rule decides, by the port of its source or of its destination."""
    rules = None if _inside(subnet, packet) else acl_rules(fabric, subnet)
    if rules is None:
        return constant(None)
    kind = kind_of(packet.direction, packet.protocol, packet.icmp_type)
    if not rules.read_ports[kind]:
        return constant(None)
    cuts = rules.port_cuts(kind, *packet.ends(packet.remotes[0]), of_source=of_source)
    if not cuts:
        return constant(None)
    starts = sorted({0} | cuts)

    def passed(port: int) -> Hashable:
        sports, dports = (((port, port),), packet.dports) if of_source else (packet.sports, ((port, port),))
        return rules.answers(kind, packet.remotes[:1], packet.local, sports, dports).passed

    return joined((start, passed(start)) for start in starts)


def local_sets(fabric: Fabric, subnet: Subnet, local: int) -> tuple[int, int] | None:
    """Which ends of rules a local address is in, as destination and as source: all that the ACL reads of it."""
    rules = acl_rules(fabric, subnet)
    return None if rules is None else (rules.destinations.at(local), rules.sources.at(local))


def address_maps(fabric: Fabric, subnet: Subnet) -> tuple[AddressMap[int], ...]:
    """What the ACL tells addresses apart by, as source and as destination."""
    rules = acl_rules(fabric, subnet)
    return () if rules is None else (rules.sources, rules.destinations)


def alike(fabric: Fabric, subnet: Subnet, locals_: frozenset[int]) -> tuple[Alike, Alike] | None:
    """See AclRules.alike; None where the ACL is not known, which tells no remotes apart."""
    rules = acl_rules(fabric, subnet)
    return None if rules is None else rules.alike(locals_)


def acl_rules(fabric: Fabric, subnet: Subnet) -> AclRules | None:
    """The rules of the subnet's ACL, where they are known."""

    def compiled() -> AclRules | None:
        acl = fabric.network_acls.get(subnet.network_acl) if subnet.network_acl is not None else None
        return None if acl is None else AclRules(acl)

    return remembered(fabric, (STAGE, subnet.network_acl), compiled)


def _inside(subnet: Subnet, packet: CrossingPacket) -> bool:
    """Whether the far end is in the subnet; the remotes are alike in that too."""
    first, last = prefix_range(subnet.cidr)
    return first <= packet.remotes[0] <= last
