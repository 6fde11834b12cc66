"""One routing table: longest prefix first, then the aliases of a prefix in the kernel's order (net/ipv4/fib_trie.c)."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from itertools import groupby

from msgspec import Struct

from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import mask, parse_prefix
from vnicheck.model.guest import NextHop, Route, RouteType

TOS_MASK = 0x1C
"""IPTOS_RT_MASK: the bits of TOS that select routes and rules."""


class Failure(StrEnum):
    """How a lookup can end without a route, by the contract's drop codes."""

    NO_ROUTE = "no_route"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"


class Match(Struct, frozen=True):
    """The route that a lookup found, its prefix length, and those of its nexthops that are usable, in order."""

    route: Route
    length: int
    nexthops: tuple[NextHop, ...]


class NoMatch(Struct, frozen=True):
    """A lookup that ended without a route, and the route or rule that ended it."""

    failure: Failure
    by: str


_FAILURES = {
    RouteType.BLACKHOLE: Failure.BLACKHOLE,
    RouteType.UNREACHABLE: Failure.UNREACHABLE,
    RouteType.PROHIBIT: Failure.PROHIBIT,
}


class Table:
    """A routing table, or the merge of two, compiled for lookups.

    `usable` says whether a lookup may take a nexthop now; `alive` also holds for one that only lacks its carrier.
    """

    def __init__(
        self, routes: Iterable[Route], usable: Callable[[NextHop], bool], alive: Callable[[NextHop], bool]
    ) -> None:
        self._usable = usable
        self._alive = alive
        leaves: dict[int, dict[int, list[Route]]] = {}
        for route in routes:
            network, length = parse_prefix(route.prefix)
            leaves.setdefault(length, {}).setdefault(network, []).append(route)
        for by_network in leaves.values():
            for aliases in by_network.values():
                aliases.sort(key=lambda alias: (-alias.table, -alias.tos, alias.metric))  # stable: then dump order
        self._lengths = [(length, mask(length), leaves[length]) for length in sorted(leaves, reverse=True)]

    def lookup(self, destination: int, *, tos: int, oif: str | None) -> Match | NoMatch | None:
        """The route for a destination; None where the table has none (the next policy rule is asked).

        Raises Undetermined at a route that is not modelled.
        """
        skipped: int | None = None
        for length, netmask, leaves in self._lengths:
            network = destination & netmask
            aliases = leaves.get(network)
            if aliases is None or network == skipped:
                continue
            for alias in aliases:
                if alias.unmodelled:
                    raise Undetermined(f"route not understood: {alias.text}")
                if alias.tos and alias.tos != tos & TOS_MASK:
                    continue
                if alias.type is RouteType.THROW:
                    return None
                failure = _FAILURES.get(alias.type)
                if failure is not None:
                    return NoMatch(failure, f"route '{alias.text}'")
                nexthops = tuple(
                    nexthop
                    for nexthop in alias.nexthops
                    if (oif is None or nexthop.interface == oif) and self._usable(nexthop)
                )
                if nexthops:
                    return Match(alias, length, nexthops)
                if alias.nexthop_id is not None:
                    # the kernel gives up on every alias of this network address, of any length
                    skipped = network
                    break
        return None

    def default_choices(self, match: Match, *, tos: int) -> list[Route]:
        """The default routes among which the kernel chooses on output by the neighbour state of their gateways,
        where `match` is one (fib_select_default): aliases no worse than it, with a gateway, in the order of the table.
        """
        choices: list[Route] = []
        metric, last_tos = match.route.metric, match.route.tos
        for alias in next((leaves[0] for length, _, leaves in self._lengths if length == 0), []):
            if alias.table != match.route.table or (alias.tos and alias.tos != tos & TOS_MASK):
                continue
            if alias.metric > metric and alias.tos == last_tos:
                break
            if not any(self._alive(nexthop) for nexthop in alias.nexthops):
                continue
            metric, last_tos = alias.metric, alias.tos
            if alias.scope != match.route.scope or alias.type is not RouteType.UNICAST:
                continue
            if alias.nexthops[0].gateway is None:
                continue
            if not choices and alias is not match.route:
                break
            choices.append(alias)
        return choices


def tables_of(routes: Iterable[Route]) -> dict[int, list[Route]]:
    """Routes by table, dump order kept."""
    by_table = sorted(routes, key=lambda route: route.table)
    return {table: list(entries) for table, entries in groupby(by_table, key=lambda route: route.table)}
