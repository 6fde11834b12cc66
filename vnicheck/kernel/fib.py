"""A routing table as a map of destinations (net/ipv4/fib_trie.c).

Its prefixes are swept once, with a stack of those that cover the place reached. What a stretch holds is what the kernel
takes from the whole stack there: longest prefix first, then the aliases of a prefix in the kernel's order.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import groupby

from msgspec import Struct

from vnicheck.kernel.open_fields import TOS, Decision, Tree, Trees, tos_class
from vnicheck.kernel.undetermined import Undetermined, Unknown
from vnicheck.model.address import LAST, parse_prefix
from vnicheck.model.address_map import AddressMap, joined
from vnicheck.model.flow import Decider, GuestLines
from vnicheck.model.guest import NextHop, Route, RouteType


class Failure(StrEnum):
    """How a lookup can end without a route, by the contract's drop codes."""

    NO_ROUTE = "no_route"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"


class Match(Struct, frozen=True):
    """The route that a lookup found, its prefix length, and those of its nexthops that are usable, in order.

    `rivals`: other default routes of the table among which the kernel chooses on output (see `_rivals`).
    """

    route: Route
    length: int
    nexthops: tuple[NextHop, ...]
    rivals: tuple[Route, ...] = ()


class NoMatch(Struct, frozen=True):
    """A lookup that ended without a route, and the route or rule that ended it."""

    failure: Failure
    by: Decider


_FAILURES = {
    RouteType.BLACKHOLE: Failure.BLACKHOLE,
    RouteType.UNREACHABLE: Failure.UNREACHABLE,
    RouteType.PROHIBIT: Failure.PROHIBIT,
}
_Leaf = tuple[int, int, Sequence[Route]]
"""A network address, the length of a prefix there, and its aliases."""


class NextHops(Struct, frozen=True):
    """Which nexthops count: `usable`, whether a lookup may take one now (it may raise Undetermined); `alive` also holds
    for one that only lacks its carrier; `state`: what beside routes decides that.
    """

    usable: Callable[[NextHop], bool]
    alive: Callable[[NextHop], bool]
    state: Hashable


def table_map(number: int, routes: Iterable[Route], trees: Trees, nexthops: NextHops) -> AddressMap[Tree]:
    """The table, or the merge of two that is asked under one number, by destination: of each TOS a Match, a NoMatch, an
    Unknown, or None where the next policy rule is asked.
    """
    prefixes: dict[tuple[int, int], list[Route]] = {}
    for route in routes:
        prefixes.setdefault(parse_prefix(route.prefix), []).append(route)
    for aliases in prefixes.values():
        aliases.sort(key=lambda alias: (-alias.table, -alias.tos, alias.metric))  # stable: then dump order
    classes = sorted({alias.tos for aliases in prefixes.values() for alias in aliases if alias.tos})

    def taken(chain: Sequence[_Leaf], tos: int) -> Match | NoMatch | Unknown | None:
        try:
            return _taken(chain, tos, number, nexthops)
        except Undetermined as reason:
            return Unknown(str(reason))

    def tree_of(chain: Sequence[_Leaf]) -> Tree:
        tree: Tree = taken(chain, 0)
        for tos in classes:
            tree = trees.decide(TOS, tos_class(tos), taken(chain, tos), tree)
        return tree

    return joined(_swept(prefixes, tree_of))


def forwarding_fate(tree: Tree) -> Hashable:
    """What a table says of packets that come in, whichever route says it; one that reads their TOS is named in doubts,
    so its routes are told apart.
    """
    if isinstance(tree, Match):
        return tree.route.type, tree.length, tree.nexthops, tree.route.nexthops
    return tree.failure if isinstance(tree, NoMatch) else id(tree) if isinstance(tree, Decision) else tree


def _swept(
    prefixes: dict[tuple[int, int], list[Route]], tree_of: Callable[[Sequence[_Leaf]], Tree]
) -> Iterator[tuple[int, Tree]]:
    covering: list[_Leaf] = []
    trees: list[Tree] = [None]
    pending: tuple[int, Tree] = (0, None)
    """The stretch begun last: another may begin at the same address."""
    for network, length in [*sorted(prefixes), (LAST + 1, 0)]:
        while covering and (after := covering[-1][0] + (1 << 32 - covering[-1][1])) <= network:
            covering.pop()
            trees.pop()
            if after > pending[0]:
                yield pending
            pending = (after, trees[-1])
        if network > LAST:
            break
        covering.append((network, length, prefixes[network, length]))
        trees.append(tree_of(covering))
        if network > pending[0]:
            yield pending
        pending = (network, trees[-1])
    if pending[0] <= LAST:
        yield pending


def _taken(covering: Sequence[_Leaf], tos: int, number: int, counting: NextHops) -> Match | NoMatch | None:
    """What a lookup with this TOS takes from the prefixes that cover a place, the longest last. Raises Undetermined at
    a route that is not modelled.
    """
    skipped: int | None = None
    for network, length, aliases in reversed(covering):
        if network == skipped:
            continue
        for alias in aliases:
            if alias.unmodelled:
                raise Undetermined(f"route not understood: {alias.text}")
            if alias.tos and alias.tos != tos:
                continue
            if alias.type is RouteType.THROW:
                return None
            failure = _FAILURES.get(alias.type)
            if failure is not None:
                return NoMatch(failure, GuestLines(route=alias.text))
            nexthops = tuple([nexthop for nexthop in alias.nexthops if counting.usable(nexthop)])
            if nexthops:
                single = length == 0 and len(alias.nexthops) == 1 and alias.table == number
                rivals = tuple(_rivals(aliases, alias, tos, counting)) if single else ()
                return Match(alias, length, nexthops, rivals)
            if alias.nexthop_id is not None:
                # the kernel gives up on every alias of this network address, of any length
                skipped = network
                break
    return None


def _rivals(aliases: Sequence[Route], best: Route, tos: int, counting: NextHops) -> Iterator[Route]:
    """The default routes among which the kernel chooses on output by the neighbour state of their gateways, beside the
    best one (fib_select_default): aliases no worse than it, with a gateway, in the order of the table.
    """
    metric, last_tos, chosen = best.metric, best.tos, False
    for alias in aliases:
        if alias.table != best.table or (alias.tos and alias.tos != tos):
            continue
        if alias.metric > metric and alias.tos == last_tos:
            return
        if not any(counting.alive(nexthop) for nexthop in alias.nexthops):
            continue
        metric, last_tos = alias.metric, alias.tos
        if alias.scope != best.scope or alias.type is not RouteType.UNICAST:
            continue
        if alias.nexthops[0].gateway is None:
            continue
        if chosen:
            yield alias
        elif alias is not best:
            return
        chosen = True


def tables_of(routes: Iterable[Route]) -> dict[int, list[Route]]:
    """Routes by table, dump order kept."""
    by_table = sorted(routes, key=lambda route: route.table)
    return {table: list(entries) for table, entries in groupby(by_table, key=lambda route: route.table)}
