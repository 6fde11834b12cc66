"""Which destination ports of a flow fare alike: the stretches of the zip of what reads them, gathered by equal fate."""

from collections.abc import Hashable, Iterable, Iterator

from vnicheck.engine.border import leaving_vni
from vnicheck.engine.crossing import acl_packet, group_packet, reading
from vnicheck.engine.remotes import fate_of_outcome
from vnicheck.engine.walk import Opening, Ranges, Walk
from vnicheck.fabric import network_acl, security_group
from vnicheck.model.address import merge_ranges
from vnicheck.model.address_map import AddressMap, zipped
from vnicheck.model.cloud import Vni
from vnicheck.model.flow import Direction, Protocol

PortMap = AddressMap[Hashable]
"""Of each port what a stage comes to for it."""


def port_classes(walk: Walk, direction: Direction, opening: Opening) -> Iterator[Ranges]:
    """The ports of the opening, cut into sets that fare alike, by their first ports.

    Where the guest tells ports apart, so does the way that their packets leave. The opening packet's destination ports
    meet groups and ACL of the VNI that it crosses; the answer has them as source ports, which the ACL of its VNI reads.
    """
    if opening.protocol is Protocol.ICMP:
        yield opening.ports
        return
    apart = _gathered(opening.ports, list(_in_guest(opening))) if opening.remotes.by_port else (opening.ports,)
    for ports in apart:
        yield from _in_fabric(walk, direction, opening if ports == opening.ports else opening.at(ports))


def _gathered(ports: Ranges, maps: list[PortMap]) -> Iterable[Ranges]:
    maps = [each for each in maps if len(each.starts) > 1]
    if not maps:
        return (ports,)
    alike = zipped(maps)
    classes: dict[Hashable, list[tuple[int, int]]] = {}
    for within in ports:
        for first, last, fate in alike.stretches(*within):
            classes.setdefault(fate, []).append((first, last))
    return [tuple(merge_ranges(each)) for each in classes.values()]


def _in_guest(opening: Opening) -> Iterator[PortMap]:
    for ways in (opening.remotes.received, opening.remotes.sent):
        if ways and len(ways[0].starts) > 1:
            yield ways[0].mapped(fate_of_outcome)


def _in_fabric(walk: Walk, direction: Direction, opening: Opening) -> Iterable[Ranges]:
    leaves, local = leaving_vni(walk.view, opening), opening.local.vni
    opens, answers = (local, leaves) if direction is Direction.INBOUND else (leaves, local)
    read = [None if vni is None else reading(walk, vni, opening) for vni in (opens, answers)]
    client = walk.view.client_ports(opening.protocol)
    return walk.for_all(
        ("ports", *read, direction, opening.protocol, opening.ports, client),
        lambda: _gathered(opening.ports, list(_read(walk, opens, answers, direction, opening))),
    )


def _read(
    walk: Walk, opens: Vni | None, answers: Vni | None, direction: Direction, opening: Opening
) -> Iterator[PortMap]:
    arriving = direction is Direction.INBOUND
    if opens is not None:
        packet = group_packet(opening, arriving=arriving, dports=opening.ports, answer=False)
        admitted = security_group.by_port(walk.view.fabric, opens, packet)
        if admitted is not None:
            yield admitted
        yield _acl(walk, opens, opening, arriving=arriving, answer=False)
    if answers is not None:
        yield _acl(walk, answers, opening, arriving=not arriving, answer=True)


def _acl(walk: Walk, vni: Vni, opening: Opening, *, arriving: bool, answer: bool) -> PortMap:
    client = (walk.view.client_ports(opening.protocol),)
    sports, dports = (opening.ports, client) if answer else (client, opening.ports)
    packet = acl_packet(opening, arriving=arriving, sports=sports, dports=dports, answer=answer)
    return network_acl.by_port(walk.view.fabric, walk.view.subnet(vni), packet, of_source=answer)
