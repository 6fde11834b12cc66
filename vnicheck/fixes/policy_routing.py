"""Policy routing: what the guest sends from an address leaves by the interface of that address, by a table of its own.

For each VNI a table (a fitting one of the guest's own, or a new one) and for each address a rule that leads there. Ours
come behind the rules of others; only where that fixes nothing, one comes ahead of the rule that takes its packets.
Whatever went into the guest's own networks, was refused, or went where we cannot tell, goes on so: the table throws it
back to the rules behind. A rule that would lead packets astray that only some rule of another singles out (by mark, TOS
or user) is not made.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from msgspec import Struct, structs

from vnicheck.engine.refinement import difference
from vnicheck.findings.facts import Facts
from vnicheck.fixes.effects import AddRoutes, AddRule, with_effects
from vnicheck.fixes.free_numbers import FIRST, free_table, priorities_behind
from vnicheck.kernel.detours import Detour, Detours
from vnicheck.kernel.fib import Failure
from vnicheck.kernel.send import NotSent
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import (
    LAST,
    Range,
    format_address,
    merge_ranges,
    parse_address,
    prefix_range,
    range_prefixes,
)
from vnicheck.model.grouped import grouped
from vnicheck.model.guest import LOCAL_TABLE, MAIN_TABLE, Guest, NextHop, PolicyRule, Route, RouteType
from vnicheck.model.lines import format_route, format_rule, is_plain_interface

MOST_ROUTES = 128
"""A table with more routes that throw packets back is no fix that anybody would keep up."""
_TAKEN = "a rule of ours would take packets that a rule of others singles out, or leads into its own networks"
Made = AddRoutes | AddRule
_REFUSING = {RouteType.BLACKHOLE, RouteType.UNREACHABLE, RouteType.PROHIBIT, RouteType.THROW}


class Proposal(Struct, frozen=True):
    """`held_back`: why some of the addresses get no rule; None where all do that may."""

    effects: tuple[Made, ...] = ()
    held_back: str | None = None


class _Way(Struct, frozen=True):
    """How the addresses of a VNI are to leave, each with the priority of its rule."""

    interface: str
    index: int
    subnet: str
    gateway: str
    addresses: tuple[tuple[str, int], ...]


def propose(facts: Facts, locals_: Iterable[str], ahead: Mapping[str, int] | None = None) -> Proposal:
    """The routes and rules for these addresses, none where the guest or we do not know enough of them; `ahead`: the
    priorities of those whose rule is not to come behind those of others.
    """
    guest = facts.guest_with("interfaces", "routes", "rules")
    if guest is None:
        return Proposal()
    every_way = list(_ways(facts, guest))
    if not every_way:
        return Proposal()
    wanted = FIRST + min(way.index for way in every_way)
    priorities = priorities_behind(guest, wanted, sum(len(way.addresses) for way in every_way))
    if priorities is None:
        return Proposal(held_back="there is no room for a rule ahead of the one that leads to the main table")
    free, asked = iter(priorities), set(locals_)
    effects: list[Made] = []
    held_back: str | None = None
    tables: list[int] = []
    for way in every_way:
        numbered = [(address, (ahead or {}).get(address, next(free))) for address, _ in way.addresses]
        mine = structs.replace(way, addresses=tuple(each for each in numbered if each[0] in asked))
        new = free_table(guest, FIRST + way.index, tables)
        tables.append(new)
        if mine.addresses:
            made = facts.once(("policy routing", mine, new), partial(_made, facts, guest, mine, new))
            effects += made.effects
            held_back = held_back or made.held_back
    return Proposal(tuple(effects), held_back)


def _made(facts: Facts, guest: Guest, way: _Way, new: int) -> Proposal:
    """The table and the rules for one VNI."""
    fitting = _fitting_table(guest, way)
    bare = _effects(way, new if fitting is None else fitting, () if fitting is not None else _routes(way, new))
    found = list(_detours(facts, guest, way, bare))
    equals = {rule.priority for rule in guest.rules} & {priority for _, priority in way.addresses}
    at_boot = _detours(facts, guest, way, bare, ahead_of_equals=True) if equals else ()
    prefixes = _to_throw(facts, [*found, *at_boot])
    if not prefixes and not any(_must_stay(facts, detour) for detour in found):
        return Proposal(bare)
    if len(prefixes) > MOST_ROUTES:
        counted = f"{len(prefixes)} routes that leave packets of {way.interface} to the rules of others"
        return Proposal(held_back=f"policy routing would take {counted}, and we make {MOST_ROUTES} at most")
    leading = [route for route in _routes(way, new) if route.prefix not in prefixes]
    if not leading:
        return Proposal(held_back=_TAKEN)
    routes = (*leading, *(_throw(prefix, new) for prefix in prefixes))
    kept = tuple(
        address
        for address in way.addresses
        if not _led_astray(
            facts, guest, only := structs.replace(way, addresses=(address,)), _effects(only, new, routes)
        )
    )
    why = _TAKEN if len(kept) < len(way.addresses) else None
    return Proposal(_effects(structs.replace(way, addresses=kept), new, routes) if kept else (), why)


def _effects(way: _Way, table: int, routes: Iterable[Route]) -> tuple[Made, ...]:
    added = tuple(routes)
    return (*((AddRoutes(table=table, routes=added),) if added else ()), *_rules(way, table))


def _rules(way: _Way, table: int) -> Iterator[AddRule]:
    for address, priority in way.addresses:
        rule = PolicyRule(priority=priority, src=f"{address}/32", table=table)
        yield AddRule(rule=structs.replace(rule, text=format_rule(rule)))


def _detours(
    facts: Facts, guest: Guest, way: _Way, effects: tuple[Made, ...], *, ahead_of_equals: bool = False
) -> Iterator[Detour]:
    """What the effects change for packets from the way's addresses; `ahead_of_equals`: also where the next boot puts
    rules of one priority in another order.
    """
    after = with_effects(guest, effects, ahead_of_equals=ahead_of_equals)
    known: Detours = facts.once("detours", lambda: Detours(guest))
    return known.after(after, [parse_address(address) for address, _ in way.addresses])


def _led_astray(facts: Facts, guest: Guest, way: _Way, effects: tuple[Made, ...]) -> bool:
    """Whether packets that must go on as they do would not."""
    return any(_must_stay(facts, detour) for detour in _detours(facts, guest, way, effects))


def _to_throw(facts: Facts, found: Iterable[Detour]) -> list[str]:
    """The fewest prefixes of the destinations to which packets must go on as they do, and of none to which they are
    meant to change their way.
    """
    staying: list[Range] = []
    changing: list[Range] = []
    for detour in found:
        if not detour.singled_out:
            (staying if _must_stay(facts, detour) else changing).append(detour.destinations)
    joined: list[list[Range]] = []
    kept = merge_ranges(staying)
    meant = difference(merge_ranges(changing), kept)
    for each in kept:
        place = bisect_left(meant, (each[0], each[0]))
        if joined and (place == 0 or meant[place - 1][0] <= joined[-1][-1][1]):
            joined[-1].append(each)  # between the two nothing changes
        else:
            joined.append([each])
    return [prefix for ranges in joined for prefix in _covering_all(ranges, meant)]


def _covering_all(ranges: list[Range], meant: list[Range]) -> tuple[str, ...]:
    """The fewest prefixes of ranges between which nothing changes: all of it, or the ranges by themselves, with holes
    that are no larger than what is beside them.
    """
    blocks: list[Range] = []
    for first, last in ranges:
        if blocks and first - blocks[-1][1] - 1 <= max(last - first, blocks[-1][1] - blocks[-1][0]) + 1:
            blocks[-1] = (blocks[-1][0], last)
        else:
            blocks.append((first, last))
    apart = tuple(prefix for each in blocks for prefix in _covering(each, meant))
    return min(apart, _covering((ranges[0][0], ranges[-1][1]), meant), key=len)


def _covering(wanted: Range, without: list[Range]) -> tuple[str, ...]:
    """The fewest prefixes of the range, an address more at either end where nothing changes there (the server's own,
    as a rule).
    """
    first, last = wanted
    starts = [first - step for step in (0, 1) if first >= step and not _meets(without, first - step)]
    ends = [last + step for step in (0, 1) if last + step <= LAST and not _meets(without, last + step)]
    return min((range_prefixes(start, end) for start in starts for end in ends), key=len)


def _meets(ranges: list[Range], address: int) -> bool:
    place = bisect_right(ranges, (address, LAST))
    return place > 0 and ranges[place - 1][1] >= address


def _must_stay(facts: Facts, detour: Detour) -> bool:
    """Whether packets are to go on as they do: into the guest's own networks, nowhere (somebody refused them), where
    that cannot be told, or where a rule of others leads them that singles them out.
    """
    old = detour.old
    if detour.singled_out or isinstance(old, Unknown):
        return True
    if isinstance(old, NotSent):
        return old.failure not in (None, Failure.NO_ROUTE) or old.kind is not None
    return any(facts.view.vni_of(way.interface) is None for way in old)


def _ways(facts: Facts, guest: Guest) -> Iterator[_Way]:
    """Those of all VNIs, with all addresses that the guest has, the priorities not yet set."""
    links = {link.name: link for link in guest.interfaces}
    own = _own_among(guest, {address for vni in facts.view.server.vnis for address in vni.carried})
    for vni in facts.view.server.vnis:
        interface = facts.view.interface_of.get(vni.id)
        if interface is None or not is_plain_interface(interface):
            continue
        addresses = tuple((address, 0) for address in vni.carried if address in own)
        subnet = facts.view.subnet(vni).cidr
        first, last = prefix_range(subnet)
        # the metadata service may tell of the address alone, and no gateway is known then
        if addresses and first + 1 < last:
            yield _Way(interface, links[interface].index, subnet, format_address(first + 1), addresses)


def _own_among(guest: Guest, addresses: set[str]) -> set[str]:
    """Those that the guest holds on an interface, or makes its own by table `local` alone (agents, keepalived)."""
    own = {address.address for link in guest.interfaces for address in link.addresses}
    for route in guest.routes:
        if route.table == LOCAL_TABLE and route.type is RouteType.LOCAL:
            first, last = prefix_range(route.prefix)
            own |= {address for address in addresses if first <= parse_address(address) <= last}
    return own


def _routes(way: _Way, table: int) -> Iterator[Route]:
    """The subnet on-link, all else by its gateway."""
    for prefix, gateway in ((way.subnet, None), ("0.0.0.0/0", way.gateway)):
        route = Route(
            prefix=prefix,
            table=table,
            scope="link" if gateway is None else "global",
            nexthops=(NextHop(interface=way.interface, gateway=gateway),),
        )
        yield structs.replace(route, text=format_route(route))


def _throw(prefix: str, table: int) -> Route:
    route = Route(prefix=prefix, table=table, type=RouteType.THROW)
    return structs.replace(route, text=format_route(route))


def _fitting_table(guest: Guest, way: _Way) -> int | None:
    """A table of the guest that holds what ours would, and leads by no other interface; its refusals do no harm."""
    others = {link.vrf_table for link in guest.interfaces}
    tables = grouped(
        (route.table, route) for route in guest.routes if route.table < MAIN_TABLE - 1 or route.table > MAIN_TABLE + 1
    )
    for table, routes in sorted(tables.items()):
        if table in others or any(route.unmodelled or not _stays(route, way.interface) for route in routes):
            continue
        ways = {(route.prefix, route.nexthops[0].gateway) for route in routes if route.type is RouteType.UNICAST}
        if {(way.subnet, None), ("0.0.0.0/0", way.gateway)} <= ways:
            return table
    return None


def _stays(route: Route, interface: str) -> bool:
    if route.type is not RouteType.UNICAST:
        return route.type in _REFUSING
    hops = route.nexthops
    return len(hops) == 1 and hops[0].interface == interface and "dead" not in hops[0].flags and route.tos == 0
