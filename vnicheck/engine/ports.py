"""Which destination ports of a flow fare alike: those that the VPC's rules about its remotes do not tell apart."""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator

from msgspec import Struct

from vnicheck.engine.border import leaving_vni
from vnicheck.engine.crossing import acl_packet, acl_reading, group_packet, group_reading
from vnicheck.engine.partition import Range
from vnicheck.engine.server_view import ServerView
from vnicheck.engine.walk import Opening, Ranges, Walk, client_ports
from vnicheck.fabric import network_acl, security_group
from vnicheck.fabric.memory import remembered
from vnicheck.model.cloud import Subnet, Vni
from vnicheck.model.flow import Direction, Protocol

Reader = tuple[set[int], Callable[[Range], Hashable]]
"""The ports at which a stage's answer may change, and the answer for a stretch between them."""


def port_classes(walk: Walk, direction: Direction, opening: Opening) -> tuple[Ranges, ...]:
    """The ports of the opening, cut into sets that fare alike, by their first ports.

    The opening packet's destination ports meet groups and ACL of the VNI that it crosses; the answer has them as source
    ports, which the ACL of its VNI reads.
    """
    if opening.protocol is Protocol.ICMP:
        return (opening.ports,)
    crossed = walk.once(
        ("ports", direction, opening.local.key, opening.region.number), lambda: _crossed(walk, direction, opening)
    )
    key = ("ports", direction, opening.protocol, opening.ports, walk.view.assume.client_ports, crossed.effects)
    known: tuple[Ranges, ...] | None = walk.shared.get(key)
    if known is None:
        readers = list(_readers(walk.view, direction, opening, crossed))
        known = remembered(walk.view.fabric, key, lambda: _cut(opening.ports, readers))
    return known


class _Crossed(Struct, frozen=True):
    """The VNIs that the opening packet and its answer cross, where they are known, and how these read the flow."""

    opens: Vni | None
    answers: Vni | None
    effects: tuple[object, ...]


def _crossed(walk: Walk, direction: Direction, opening: Opening) -> _Crossed:
    leaves, local = leaving_vni(walk.view, opening.region), opening.local.vni
    opens, answers = (local, leaves) if direction is Direction.INBOUND else (leaves, local)
    effects = (
        None if opens is None else group_reading(walk, opens, opening).effect,
        None if opens is None else acl_reading(walk, opens, opening).effect,
        None if answers is None else acl_reading(walk, answers, opening).effect,
    )
    return _Crossed(opens, answers, effects)


def _cut(ports: Ranges, readers: list[Reader]) -> tuple[Ranges, ...]:
    cuts = sorted(set().union(*(cuts for cuts, _ in readers)))
    classes: dict[Hashable, list[Range]] = {}
    for first, last in ports:
        inside = cuts[bisect_right(cuts, first) : bisect_right(cuts, last)]
        for stretch in zip([first, *inside], [*(cut - 1 for cut in inside), last], strict=True):
            classes.setdefault(tuple(says(stretch) for _, says in readers), []).append(stretch)
    return tuple(tuple(ranges) for ranges in classes.values())


def _readers(view: ServerView, direction: Direction, opening: Opening, crossed: _Crossed) -> Iterator[Reader]:
    arriving = direction is Direction.INBOUND
    opens, answers = crossed.opens, crossed.answers
    client = (client_ports(view, opening.protocol),)
    if opens is not None:
        edges = security_group.port_edges(
            view.fabric, opens, group_packet(opening, arriving=arriving, dports=opening.ports, answer=False)
        )
        starts = [first for first, _ in edges]
        if starts:
            yield set(starts[1:]), lambda stretch: edges[bisect_right(starts, stretch[0]) - 1][1]
        yield _acl_reader(view, view.subnet(opens), opening, client, arriving=arriving, answer=False)
    if answers is not None:
        yield _acl_reader(view, view.subnet(answers), opening, client, arriving=not arriving, answer=True)


def _acl_reader(
    view: ServerView, of: Subnet, opening: Opening, client: Ranges, *, arriving: bool, answer: bool
) -> Reader:
    def packet(ports: Ranges) -> network_acl.CrossingPacket:
        sports, dports = (ports, client) if answer else (client, ports)
        return acl_packet(opening, arriving=arriving, sports=sports, dports=dports, answer=answer)

    def says(stretch: Range) -> Hashable:
        check = network_acl.network_acl(view.fabric, of, packet((stretch,)))
        return check.outcome, check.reason

    return network_acl.port_cuts(view.fabric, of, packet(opening.ports), of_source=answer), says
