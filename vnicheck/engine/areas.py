"""Areas: sets of addresses that the VPC treats alike, whichever of its rules and routes decide.

Each stage tells which addresses it keeps apart (its `alike`), and the areas are what all of them together keep apart.
"""

from collections.abc import Hashable, Iterator, Sequence

from msgspec import Struct

from vnicheck.engine.partition import Range
from vnicheck.engine.server_view import ServerView
from vnicheck.fabric import network_acl, security_group, vpc_route
from vnicheck.fabric.address_map import AddressMap
from vnicheck.model.address import LAST, parse_address
from vnicheck.model.cloud import Subnet, Vni

Likeness = AddressMap[tuple[Hashable, Hashable]]
"""Of each address two values: addresses of one first value fare alike, those of one second value by the same rules."""


class Area(Struct, frozen=True):
    """Stretches of addresses in order, each with a number: those of one number meet the same rules. `fates`: the first
    value of each likeness.
    """

    stretches: tuple[Range, ...]
    numbers: tuple[int, ...]
    fates: tuple[Hashable, ...]


class Areas(Struct, frozen=True):
    """The whole address space. `rules`: the second values of the likenesses, by the numbers that areas give.
    `positions`: those of the likenesses, by what they are of (see `of_groups` and `of_acl`).
    """

    areas: tuple[Area, ...]
    rules: tuple[tuple[Hashable, ...], ...]
    positions: dict[Hashable, int]


def areas_of(view: ServerView) -> Areas:
    """What the stages keep apart that a packet of the server may meet."""
    likenesses = dict(_likenesses(view))
    numbers: dict[tuple[Hashable, ...], int] = {}
    found = tuple(_refine(list(likenesses.values()), numbers))
    return Areas(found, tuple(numbers), {key: position for position, key in enumerate(likenesses)})


def of_groups(vni: Vni) -> Hashable:
    """The key of what the VNI's security groups keep apart."""
    return "groups", vni.security_groups


def of_acl(subnet: Subnet, *, inbound: bool) -> Hashable:
    """The key of what the subnet's ACL keeps apart, of packets of one direction."""
    return "acl", subnet.network_acl, inbound


def _plainly(of: AddressMap[Hashable]) -> Likeness:
    """The likeness of a map whose every value is a fate of its own."""
    return of.mapped(lambda value: (value, None))


def _likenesses(view: ServerView) -> Iterator[tuple[Hashable, Likeness]]:
    """Those of all stages; what is the same for several VNIs has one key."""
    locals_ = frozenset(map(parse_address, view.reserved))
    yield "networks", _plainly(view.networks.map)
    for vni in view.server.vnis:
        admitted = security_group.alike(view.fabric, vni, locals_)
        if admitted is not None:
            yield of_groups(vni), admitted
        subnet = view.subnet(vni)
        yield ("scopes", subnet.id), _plainly(view.scopes(vni).map)
        yield ("routes", subnet.id), _plainly(vpc_route.alike(view.fabric, subnet, view.assume))
        passed = network_acl.alike(view.fabric, subnet, locals_)
        if passed is not None:
            yield of_acl(subnet, inbound=True), passed[0]
            yield of_acl(subnet, inbound=False), passed[1]


def _refine(likenesses: Sequence[Likeness], numbers: dict[tuple[Hashable, ...], int]) -> Iterator[Area]:
    """The areas by their first addresses; `numbers` takes the rules that their addresses meet."""
    edges: dict[int, list[tuple[int, tuple[Hashable, Hashable]]]] = {}
    for position, likeness in enumerate(likenesses):
        for start, value in zip(likeness.starts, likeness.values, strict=True):
            edges.setdefault(start, []).append((position, value))
    fates: list[Hashable] = [None] * len(likenesses)
    rules: list[Hashable] = [None] * len(likenesses)
    found: dict[tuple[Hashable, ...], tuple[list[Range], list[int]]] = {}
    starts = sorted(start for start in edges if start <= LAST)
    for start, after in zip(starts, [*starts[1:], LAST + 1], strict=True):
        for position, value in edges[start]:
            fates[position], rules[position] = value
        stretches, ids = found.setdefault(tuple(fates), ([], []))
        stretches.append((start, after - 1))
        ids.append(numbers.setdefault(tuple(rules), len(numbers)))
    for of_area, (stretches, ids) in found.items():
        yield Area(tuple(stretches), tuple(ids), of_area)
