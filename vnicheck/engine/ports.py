"""Which destination ports of a flow fare alike: the stretches of the zip of what reads them, gathered by equal fate."""

from collections.abc import Hashable, Iterable, Iterator

from vnicheck.engine.border import leaving_vni
from vnicheck.engine.crossing import crossing_packet, may_meet_remote_acl, reading, reading_at_home
from vnicheck.engine.remotes import fate_of_outcome
from vnicheck.engine.walk import Opening, Ranges, Walk
from vnicheck.fabric import network_acl, remote_acl, security_group
from vnicheck.fabric.load_balancer import Balanced, let_in, public_ports
from vnicheck.model.address import merge_ranges
from vnicheck.model.address_map import AddressMap, choose, constant, zipped
from vnicheck.model.cloud import Vni
from vnicheck.model.flow import Direction, Protocol, Scope

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
    read = list(_in_guest(opening)) if opening.remotes.by_port else []
    if direction is Direction.INBOUND:
        read += _balanced(walk, opening)
    for ports in gathered(opening.ports, read):
        yield from _in_fabric(walk, direction, opening if ports == opening.ports else opening.at(ports))


def gathered(ports: Ranges, maps: list[PortMap]) -> Iterable[Ranges]:
    """The ports, cut into sets that all maps say the same of, by their first ports."""
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


def balanced_by(walk: Walk, opening: Opening) -> Balanced | None:
    """The public load balancer whose clients come in at the first of the opening's ports, surely if there is such a
    one; of the internet alone.
    """
    first = opening.ports[0][0]
    found = [each for each in _of_internet(walk, opening) if each.first <= first <= each.last]
    return min(found, key=lambda each: each.doubt is not None, default=None)


def _of_internet(walk: Walk, opening: Opening) -> tuple[Balanced, ...]:
    view, local = walk.view, opening.local
    if opening.scope is not Scope.INTERNET or local.address != local.vni.primary_address:
        return ()
    every = walk.once(("balanced", local.vni.id), lambda: public_ports(view.fabric, view.server.id, local.vni))
    found = [each for each in every if each.protocol in {None, opening.protocol}]
    asked = [let_in(view.fabric, each, opening.remotes.samples, local.number) for each in found]
    return tuple(each for each in asked if each is not None)


def _balanced(walk: Walk, opening: Opening) -> Iterator[PortMap]:
    for each in _of_internet(walk, opening):
        yield choose([(each.first, each.last)], constant(True), constant(False))


def _in_fabric(walk: Walk, direction: Direction, opening: Opening) -> Iterable[Ranges]:
    leaves, local = leaving_vni(walk.view, opening), opening.local.vni
    opens, answers = (local, leaves) if direction is Direction.INBOUND else (leaves, local)
    read = [None if vni is None else reading(walk, vni, opening) for vni in (opens, answers)]
    client = walk.view.client_ports(opening.protocol)
    asked = any(vni is not None and may_meet_remote_acl(vni, opening) for vni in (opens, answers))
    home = reading_at_home(walk, opening) if asked else None
    return walk.for_all(
        ("ports", *read, direction, opening.protocol, opening.ports, client, home),
        lambda: gathered(opening.ports, list(port_maps(walk, opens, answers, direction, opening))),
    )


def port_maps(
    walk: Walk, opens: Vni | None, answers: Vni | None, direction: Direction, opening: Opening
) -> Iterator[PortMap]:
    """What the fabric's rules tell destination ports apart by, where the opening packet crosses one VNI and the answer
    another.
    """
    arriving = direction is Direction.INBOUND
    if opens is not None:
        packet = crossing_packet(walk, opening, arriving=arriving, answer=False)
        admitted = security_group.by_port(walk.view.fabric, opens, packet)
        if admitted is not None:
            yield admitted
        yield _acl(walk, opens, opening, arriving=arriving, answer=False)
    if answers is not None:
        yield _acl(walk, answers, opening, arriving=not arriving, answer=True)
    for vni, answer in ((opens, False), (answers, True)):
        if vni is not None and may_meet_remote_acl(vni, opening):
            yield from _at_home(walk, vni, opening, sends=arriving is not answer, answer=answer)


def _at_home(walk: Walk, vni: Vni, opening: Opening, *, sends: bool, answer: bool) -> Iterator[PortMap]:
    view = walk.view
    packet, own = crossing_packet(walk, opening, arriving=not sends, answer=answer), view.subnet(vni)
    apart = remote_acl.by_port(view.fabric, view.server.vpc.id, own, packet, of_source=answer)
    if apart is not None:
        yield apart


def _acl(walk: Walk, vni: Vni, opening: Opening, *, arriving: bool, answer: bool) -> PortMap:
    packet = crossing_packet(walk, opening, arriving=arriving, answer=answer)
    return network_acl.by_port(walk.view.fabric, walk.view.subnet(vni), packet, of_source=answer)
