"""Areas: sets of addresses that the VPC treats alike, whichever of its rules and routes decide.

Each stage tells which addresses it keeps apart (its `alike`), and the areas are what all of them together keep apart.
"""

from collections.abc import Hashable, Iterable, Sequence

from msgspec import Struct

from vnicheck.engine.partition import Range
from vnicheck.engine.server_view import ServerView
from vnicheck.fabric import network_acl, security_group, vpc_route
from vnicheck.fabric.address_map import AddressMap
from vnicheck.model.address import LAST, parse_address
from vnicheck.model.cloud import Vni

Likeness = AddressMap[tuple[Hashable, Hashable]]
"""Of each address two values: addresses of one first value fare alike, those of one second value by the same rules."""


class Area(Struct, frozen=True):
    """Stretches of addresses in order, each with a number: those of one number meet the same rules."""

    stretches: tuple[Range, ...]
    numbers: tuple[int, ...]


def areas(view: ServerView, also: Iterable[Likeness] = ()) -> list[Area]:
    """The whole address space as areas, by their first addresses; `also` keeps more apart."""
    return _refine([*_likenesses(view), *also])


def plainly(of: AddressMap[Hashable]) -> Likeness:
    """The likeness of a map whose every value is a fate of its own."""
    return of.mapped(lambda value: (value, None))


def _likenesses(view: ServerView) -> Iterable[Likeness]:
    """Those of all stages that a packet of the server may meet; what is the same for several VNIs stands once."""
    locals_ = frozenset(map(parse_address, view.reserved))
    yield plainly(view.networks.map)
    by_groups: dict[Hashable, Vni] = {vni.security_groups: vni for vni in view.server.vnis}
    for vni in by_groups.values():
        admitted = security_group.alike(view.fabric, vni, locals_)
        if admitted is not None:
            yield admitted
    by_subnet = {vni.subnet: vni for vni in view.server.vnis}
    by_acl: dict[Hashable, Vni] = {}
    for vni in by_subnet.values():
        subnet = view.subnet(vni)
        yield plainly(view.scopes(vni).map)
        yield plainly(vpc_route.alike(view.fabric, subnet, view.assume))
        by_acl.setdefault(subnet.network_acl, vni)
    for vni in by_acl.values():
        yield from network_acl.alike(view.fabric, view.subnet(vni), locals_)


def _refine(likenesses: Sequence[Likeness]) -> list[Area]:
    edges: dict[int, list[tuple[int, tuple[Hashable, Hashable]]]] = {}
    for position, likeness in enumerate(likenesses):
        for start, value in zip(likeness.starts, likeness.values, strict=True):
            edges.setdefault(start, []).append((position, value))
    fates: list[Hashable] = [None] * len(likenesses)
    rules: list[Hashable] = [None] * len(likenesses)
    numbers: dict[tuple[Hashable, ...], int] = {}
    found: dict[tuple[Hashable, ...], tuple[list[Range], list[int]]] = {}
    starts = sorted(edges)
    for start, after in zip(starts, [*starts[1:], LAST + 1], strict=True):
        if start > LAST:
            break
        for position, value in edges[start]:
            fates[position], rules[position] = value
        stretches, ids = found.setdefault(tuple(fates), ([], []))
        stretches.append((start, after - 1))
        ids.append(numbers.setdefault(tuple(rules), len(numbers)))
    return [Area(tuple(stretches), tuple(ids)) for stretches, ids in found.values()]
