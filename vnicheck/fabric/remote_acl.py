"""The network ACL of the subnet that a remote itself is in, where that is another subnet of the VPC: what it sends
leaves there, and what is sent to it enters there. Source: IBM Cloud Docs, VPC: using-acls.
"""

from collections.abc import Hashable, Iterator
from functools import partial

from msgspec.structs import replace

from vnicheck.fabric.answers import Answers
from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.fabric.memory import remembered
from vnicheck.fabric.network_acl import acl_rules
from vnicheck.fabric.network_acl import local_sets as ends_in
from vnicheck.fabric.transport import CrossingPacket, kind_of
from vnicheck.model.address import prefix_range
from vnicheck.model.address_map import AddressMap, joined, membership, zipped
from vnicheck.model.cloud import Fabric, Subnet
from vnicheck.model.flow import DropCode, Stage
from vnicheck.model.grouped import grouped

STAGE = Stage.REMOTE_ACL
_RULES = "network ACL of the remote's own subnet"
_WHOSE = f"the {_RULES}"
_PASSES = passes(STAGE, f"no {_RULES} denies it")


def remote_acl(fabric: Fabric, vpc: str, own: Subnet | None, packet: CrossingPacket) -> Check:
    """Whether the ACL passes packets of remotes that fare alike, as the remotes' subnet sees them: `outbound` from the
    remotes, `inbound` to them. Where they are in no other subnet of the VPC there is none, which is said as of one that
    passes them: such remotes are one class.
    """
    passed: set[bool | None] = set()
    lines: dict[str, None] = {}
    for remote in packet.remotes:
        home = home_of(fabric, vpc, own, remote)
        if home is None:
            return _PASSES  # the others are in none either: they fare alike
        answers = _answers(fabric, home, remote, packet)
        if answers is None:
            return unknown(STAGE, f"{_WHOSE}: {fabric.missing.get('network_acls', 'not readable')}")
        passed |= answers.passed
        lines.update(dict.fromkeys(f"subnet {home.name}: {line}" for line in answers.lines))
    key = (STAGE, packet.direction, frozenset(passed), *lines)
    return remembered(fabric, key, lambda: _check(packet.direction, passed, tuple(lines)))


def _check(direction: str, passed: set[bool | None], by: tuple[str, ...]) -> Check:
    if passed == {True}:
        return passes(STAGE, f"no {_RULES} denies it", by=by)
    if passed == {False}:
        return drops(STAGE, DropCode.NETWORK_ACL, f"{_WHOSE} denies it {direction}", by=by)
    if None in passed:
        return unknown(STAGE, f"a rule of {_WHOSE} is not understood", by=by)
    return unknown(STAGE, f"the rules of {_WHOSE} decide by the opening side's own port", "client-ports")


def by_port(
    fabric: Fabric, vpc: str, own: Subnet | None, packet: CrossingPacket, *, of_source: bool
) -> AddressMap[Hashable] | None:
    """What the ACL says by the port of the packet's source or destination; None where there is no such ACL."""
    remote = packet.remotes[0]
    home = home_of(fabric, vpc, own, remote)
    rules = None if home is None else acl_rules(fabric, home)
    if home is None or rules is None:
        return None
    kind = kind_of(packet.direction, packet.protocol, packet.icmp_type)
    ends = (remote, packet.local) if packet.direction == "outbound" else (packet.local, remote)
    cuts = rules.port_cuts(kind, *ends, of_source=of_source)

    def passed(port: int) -> Hashable:
        one = ((port, port),)
        at_port = replace(packet, sports=one) if of_source else replace(packet, dports=one)
        answers = _answers(fabric, home, remote, at_port)
        return None if answers is None else answers.passed

    return joined((start, passed(start)) for start in sorted({0} | cuts)) if cuts else None


def local_sets(fabric: Fabric, vpc: str, local: int) -> tuple[Hashable, ...]:
    """Which ends of the rules of the VPC's ACLs an address is in: all that they read of it."""
    of_acl = {subnet.network_acl: subnet for subnet in fabric.subnets.values() if subnet.vpc == vpc}
    return tuple(ends_in(fabric, subnet, local) for subnet in of_acl.values())


def alike(
    fabric: Fabric, vpc: str, locals_: frozenset[int]
) -> Iterator[tuple[str, AddressMap[tuple[Hashable, Hashable]]]]:
    """For each ACL of the VPC's subnets what it tells remotes there apart by: of each remote a fate and a value."""
    homes = grouped((subnet.network_acl or "", subnet) for subnet in fabric.subnets.values() if subnet.vpc == vpc)
    for acl, subnets in homes.items():
        yield acl, remembered(fabric, (STAGE, vpc, acl, locals_), partial(_alike, fabric, subnets, locals_))


def _alike(fabric: Fabric, subnets: list[Subnet], locals_: frozenset[int]) -> AddressMap[tuple[Hashable, Hashable]]:
    inside = membership([[prefix_range(subnet.cidr) for subnet in subnets]])
    rules = acl_rules(fabric, subnets[0])
    if rules is None:
        return inside.mapped(lambda held: (held, held))
    maps = [inside, *rules.alike_at_home(locals_)]
    return zipped(maps).mapped(lambda said: _told(*said))


def _told(held: int, sending: tuple[int, int], receiving: tuple[int, int]) -> tuple[Hashable, Hashable]:
    return ((sending[0], receiving[0]), (sending[1], receiving[1])) if held else (None, None)


def _answers(fabric: Fabric, home: Subnet, remote: int, packet: CrossingPacket) -> Answers | None:
    rules = acl_rules(fabric, home)
    if rules is None:
        return None
    kind = kind_of(packet.direction, packet.protocol, packet.icmp_type)
    return rules.answers(kind, (packet.local,), remote, packet.sports, packet.dports)


def home_of(fabric: Fabric, vpc: str, own: Subnet | None, remote: int) -> Subnet | None:
    """The subnet of the VPC that a remote is in, where it is another one than `own`."""
    found = homes(fabric, vpc).at(remote)
    return None if found is None or (own is not None and found.id == own.id) else found


def homes(fabric: Fabric, vpc: str) -> AddressMap[Subnet | None]:
    """The subnet of the VPC that each address is in."""

    def computed() -> AddressMap[Subnet | None]:
        subnets = [subnet for subnet in fabric.subnets.values() if subnet.vpc == vpc]
        held = membership([[prefix_range(subnet.cidr)] for subnet in subnets])
        return held.mapped(lambda bits: subnets[bits.bit_length() - 1] if bits else None)

    return remembered(fabric, (STAGE, "homes", vpc), computed)
