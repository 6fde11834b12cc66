"""Which destination ports of a flow fare alike: those that the VPC's rules about its remotes do not tell apart."""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator

from vnicheck.engine.partition import Range
from vnicheck.engine.path import (
    Opening,
    Ranges,
    Walk,
    acl_packet,
    acl_reading,
    client_ports,
    group_packet,
    group_reading,
    leaving_vni,
)
from vnicheck.engine.server_view import ServerView
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
    arriving = direction is Direction.INBOUND
    leaves = leaving_vni(walk.view, opening.region)
    opens, answers = (opening.local.vni, leaves) if arriving else (leaves, opening.local.vni)
    key = (
        "ports",
        direction,
        opening.ports,
        walk.view.assume.client_ports,
        opening.protocol,
        None if opens is None else group_reading(walk, opens, opening).effect,
        None if opens is None else acl_reading(walk, opens, opening).effect,
        None if answers is None else acl_reading(walk, answers, opening).effect,
    )
    return remembered(
        walk.view.fabric, key, lambda: _cut(opening.ports, list(_readers(walk.view, opening, opens, answers, arriving)))
    )


def _cut(ports: Ranges, readers: list[Reader]) -> tuple[Ranges, ...]:
    cuts = sorted(set().union(*(cuts for cuts, _ in readers)))
    classes: dict[Hashable, list[Range]] = {}
    for first, last in ports:
        inside = cuts[bisect_right(cuts, first) : bisect_right(cuts, last)]
        for stretch in zip([first, *inside], [*(cut - 1 for cut in inside), last], strict=True):
            classes.setdefault(tuple(says(stretch) for _, says in readers), []).append(stretch)
    return tuple(tuple(ranges) for ranges in classes.values())


def _readers(
    view: ServerView, opening: Opening, opens: Vni | None, answers: Vni | None, arriving: bool
) -> Iterator[Reader]:
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
