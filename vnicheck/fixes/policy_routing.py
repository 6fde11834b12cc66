"""Policy routing: what the guest sends from an address leaves by the interface of that address, by a table of its own.

For each VNI a table (a fitting one of the guest's own, or a new one) and for each address a rule that leads there. What
the main table leads into the guest's own networks (containers, tunnels), or refuses, stays with it: rules ahead of the
address's own see to that. Nothing of others is touched; ours come behind their rules (`behind`), or, where that fixes
nothing because one of theirs takes the packets first, ahead of them.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct, structs

from vnicheck.findings.facts import Facts
from vnicheck.fixes.actions import steps_of
from vnicheck.fixes.effects import AddRoutes, AddRule
from vnicheck.fixes.free_numbers import FIRST, free_table, priorities_before_main, priorities_before_others
from vnicheck.model.address import format_address, merge_ranges, parse_address, prefix_range, range_prefixes
from vnicheck.model.flow import Fix
from vnicheck.model.guest import LOCAL_TABLE, MAIN_TABLE, Guest, NextHop, PolicyRule, Route, RouteType
from vnicheck.model.lines import format_route, format_rule, is_plain_interface

MOST_RULES = 64
"""More rules than this are no fix that anybody would keep up."""
_REFUSING = {RouteType.BLACKHOLE, RouteType.UNREACHABLE, RouteType.PROHIBIT, RouteType.THROW}


class _Way(Struct, frozen=True):
    """How the addresses of a VNI are to leave."""

    interface: str
    index: int
    subnet: str
    gateway: str
    addresses: tuple[str, ...]


def policy_routing_for(facts: Facts, locals_: Iterable[str]) -> tuple[Fix, ...]:
    """What lets replies leave by the interface of their own address, where we know it and its gateway; else none."""
    commands = tuple(step.command for effect in propose(facts, locals_) for step in steps_of(effect))
    return (Fix("policy routing", commands),) if commands else ()


def propose(facts: Facts, locals_: Iterable[str], *, behind: bool = True) -> tuple[AddRoutes | AddRule, ...]:
    """The routes and rules for these addresses, none where the guest or we do not know enough of them; `behind` the
    rules of others, or ahead of them.
    """
    guest = facts.guest_with("interfaces", "routes", "rules")
    if guest is None:
        return ()
    ways = list(_ways(facts, guest, set(locals_)))
    kept = _kept_prefixes(facts, guest)
    count = sum(len(way.addresses) for way in ways) * (len(kept) + 1)
    if not 0 < count <= MOST_RULES:
        return ()
    wanted = FIRST + min(way.index for way in ways)
    priorities = (
        priorities_before_main(guest, wanted, count, ordered=bool(kept))
        if behind
        else None
        if _leads_inside_elsewhere(facts, guest)
        else priorities_before_others(guest, count)
    )
    if priorities is None:
        return ()
    free = iter(priorities)
    tables: list[int] = []
    effects: list[AddRoutes | AddRule] = []
    for way in ways:
        table = _fitting_table(guest, way)
        if table is None:
            table = free_table(guest, FIRST + way.index, tables)
            effects.append(AddRoutes(table=table, routes=tuple(_routes(way, table))))
        tables.append(table)
        effects += [
            AddRule(rule=_rule(next(free), address, *whither))
            for address in way.addresses
            for whither in (*((MAIN_TABLE, prefix) for prefix in kept), (table, None))
        ]
    return tuple(effects)


def held_back(facts: Facts, locals_: Iterable[str]) -> str | None:
    """What keeps policy routing from all that it could do for these addresses; None where nothing does."""
    guest = facts.guest_with("interfaces", "routes", "rules")
    if guest is None:
        return None
    kept = _kept_prefixes(facts, guest)
    count = sum(len(way.addresses) for way in _ways(facts, guest, set(locals_))) * (len(kept) + 1)
    if count > MOST_RULES:
        return f"policy routing would take {count} rules, and we make {MOST_RULES} at most"
    if _leads_inside_elsewhere(facts, guest):
        return "rules of others lead into the server's own networks, and rules of ours do not go ahead of them"
    return None


def _ways(facts: Facts, guest: Guest, wanted: set[str]) -> Iterator[_Way]:
    links = {link.name: link for link in guest.interfaces}
    own = _own_among(guest, {address for vni in facts.view.server.vnis for address in vni.addresses})
    for vni in facts.view.server.vnis:
        interface = facts.view.interface_of.get(vni.id)
        if interface is None or not is_plain_interface(interface):
            continue
        addresses = tuple(address for address in vni.addresses if address in wanted & own)
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


def _fitting_table(guest: Guest, way: _Way) -> int | None:
    """A table of the guest that holds what ours would, and leads by no other interface; its refusals do no harm."""
    others = {link.vrf_table for link in guest.interfaces}
    tables: dict[int, list[Route]] = {}
    for route in guest.routes:
        if route.table < MAIN_TABLE - 1 or route.table > MAIN_TABLE + 1:
            tables.setdefault(route.table, []).append(route)
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


def _kept_prefixes(facts: Facts, guest: Guest) -> list[str]:
    """What the main table leads into the guest's own networks, or refuses, in the fewest prefixes."""
    kept = []
    for route in guest.routes:
        if route.table != MAIN_TABLE or route.prefix == "0.0.0.0/0":
            continue
        inside = route.type is RouteType.UNICAST and all(
            facts.is_inside(hop.interface) and hop.interface != "lo" for hop in route.nexthops
        )
        if inside or route.type in _REFUSING:
            kept.append(prefix_range(route.prefix))
    return [prefix for first, last in merge_ranges(kept) for prefix in range_prefixes(first, last)]


def _leads_inside_elsewhere(facts: Facts, guest: Guest) -> bool:
    """Whether another table than main leads into the guest's own networks (Tailscale's 52, a CNI's): rules ahead of
    the one that leads there would take its packets.
    """
    return any(
        route.table not in (LOCAL_TABLE, MAIN_TABLE)
        and any(facts.is_inside(hop.interface) and hop.interface != "lo" for hop in route.nexthops)
        for route in guest.routes
    )


def _rule(priority: int, address: str, table: int, prefix: str | None) -> PolicyRule:
    rule = PolicyRule(priority=priority, src=f"{address}/32", dst=prefix, table=table)
    return structs.replace(rule, text=format_rule(rule))
