"""Which destination ports of a flow fare alike: those that the VPC's rules about its remotes do not tell apart."""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator

from vnicheck.engine.partition import Range
from vnicheck.engine.path import Opening, acl_packet, client_ports, group_packet, leaving_vni
from vnicheck.engine.server_view import ServerView
from vnicheck.fabric import network_acl, security_group
from vnicheck.model.flow import Direction, Protocol

Ranges = tuple[Range, ...]
Reader = tuple[set[int], Callable[[Range], Hashable]]
"""The ports at which a stage's answer may change, and the answer for a stretch between them."""


def port_classes(view: ServerView, direction: Direction, opening: Opening) -> list[Ranges]:
    """The ports of the opening, cut into sets that fare alike, by their first ports."""
    if opening.protocol is Protocol.ICMP:
        return [opening.ports]
    readers = [reader for reader in _readers(view, direction, opening) if reader[0]]
    if not readers:
        return [opening.ports]
    cuts = sorted(set().union(*(cuts for cuts, _ in readers)))
    classes: dict[Hashable, list[Range]] = {}
    for first, last in opening.ports:
        inside = cuts[bisect_right(cuts, first) : bisect_right(cuts, last)]
        for stretch in zip([first, *inside], [*(cut - 1 for cut in inside), last], strict=True):
            classes.setdefault(tuple(says(stretch) for _, says in readers), []).append(stretch)
    return [tuple(ranges) for ranges in classes.values()]


def _readers(view: ServerView, direction: Direction, opening: Opening) -> Iterator[Reader]:
    """The opening packet's destination ports meet groups and ACL of the VNI that it crosses; the answer has them as
    source ports, which the ACL of its VNI reads.
    """
    arriving = direction is Direction.INBOUND
    client = (client_ports(view, opening.protocol),)
    leaves = leaving_vni(view, opening.region)
    opens, answers = (opening.local.vni, leaves) if arriving else (leaves, opening.local.vni)
    if opens is not None:
        edges = security_group.port_edges(
            view.fabric, opens, group_packet(opening, arriving=arriving, dports=opening.ports, answer=False)
        )
        starts = [first for first, _ in edges]
        yield set(starts[1:]), lambda stretch: edges[bisect_right(starts, stretch[0]) - 1][1]
        yield _acl_reader(view, opens.subnet, opening, client, arriving=arriving, answer=False)
    if answers is not None:
        yield _acl_reader(view, answers.subnet, opening, client, arriving=not arriving, answer=True)


def _acl_reader(
    view: ServerView, subnet: str, opening: Opening, client: Ranges, *, arriving: bool, answer: bool
) -> Reader:
    of = view.fabric.subnets[subnet]

    def packet(ports: Ranges) -> network_acl.CrossingPacket:
        sports, dports = (ports, client) if answer else (client, ports)
        return acl_packet(opening, arriving=arriving, sports=sports, dports=dports, answer=answer)

    cuts = network_acl.port_cuts(view.fabric, of, packet(opening.ports), of_source=answer)

    def says(stretch: Range) -> Hashable:
        check = network_acl.network_acl(view.fabric, of, packet((stretch,)))
        return check.outcome, check.reason

    return cuts, says
