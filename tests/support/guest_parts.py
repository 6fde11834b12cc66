"""A guest from separate texts, as people paste them: `ip a`, `ip r`, `ip rule`, `sysctl -a | grep rp_filter`."""

import msgspec

from vnicheck.guest.assemble import NOT_COLLECTED, Via
from vnicheck.guest.parsers.links import parse_links
from vnicheck.guest.parsers.names import Names
from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.guest.parsers.rules import parse_rules
from vnicheck.guest.parsers.sysctls import parse_sysctls
from vnicheck.model.address import LAST, format_address, mask, split_prefix
from vnicheck.model.guest import (
    DEFAULT_TABLE,
    LOCAL_TABLE,
    MAIN_TABLE,
    Guest,
    Interface,
    InterfaceAddress,
    NextHop,
    OperatingSystem,
    PolicyRule,
    Route,
    RouteType,
    Unmodelled,
)
from vnicheck.model.lines import format_route, format_rule


def guest_from_parts(
    *,
    collected_at: str,
    via: Via = "file",
    addresses_text: str | None = None,
    routes_text: str | None = None,
    rules_text: str | None = None,
    sysctl_text: str | None = None,
    main_only: bool = False,
    os: OperatingSystem | None = None,
    network_managers: tuple[str, ...] = (),
    names: Names | None = None,
) -> Guest:
    """The guest that the texts describe. What is not given stands in `missing` as "not collected".

    `main_only`: `routes_text` is `ip route` without `table all`; then `missing` has `routes_local`, and what rests on
    the local table cannot be told, unless `with_default_tables` adds it.

    Raises CollectionError `guest_unreadable` where a text is none of what it should be.
    """
    missing: dict[str, str] = {}
    unmodelled: list[Unmodelled] = []

    def given(key: str, text: str | None, lines: tuple[str, ...]) -> None:
        if text is None:
            missing[key] = NOT_COLLECTED
        unmodelled.extend(Unmodelled(section=key, text=line) for line in lines)

    links = parse_links(addresses_text or "", names)
    given("interfaces", addresses_text, links.unmodelled)
    routes = parse_routes(routes_text or "", names)
    given("routes", routes_text, routes.unmodelled)
    if routes_text is not None and main_only:
        missing["routes_local"] = "only the main table was collected (`ip route`, not `ip route show table all`)"
    rules = parse_rules(rules_text or "", names)
    given("rules", rules_text, rules.unmodelled)
    sysctls, strange = parse_sysctls(sysctl_text or "")
    given("sysctls", sysctl_text, strange)
    return Guest(
        collected_at=collected_at,
        via=via,
        os=os if os is not None else OperatingSystem(),
        interfaces=links.items,
        routes=routes.items,
        rules=rules.items,
        sysctls=sysctls,
        counters={},
        network_managers=network_managers,
        missing=missing,
        unmodelled=tuple(unmodelled),
    )


def with_default_tables(guest: Guest) -> Guest:
    """The guest with the rules and the local table that Linux makes by itself, where these were not collected.

    Only for a caller who asserts that nobody changed them: the three rules, and for each address of an interface the
    entries of net/ipv4/fib_frontend.c, fib_add_ifaddr (local, and broadcast where the interface is up). What was
    collected stays as it is.
    """
    missing = dict(guest.missing)
    rules, routes = guest.rules, guest.routes
    if missing.pop("rules", None) is not None:
        rules = _default_rules()
    if missing.pop("routes_local", None) is not None:
        routes = (*routes, *_local_routes(guest.interfaces))
    return msgspec.structs.replace(guest, rules=rules, routes=routes, missing=missing)


def _default_rules() -> tuple[PolicyRule, ...]:
    rules = [
        PolicyRule(priority=0, table=LOCAL_TABLE),
        PolicyRule(priority=32766, table=MAIN_TABLE),
        PolicyRule(priority=32767, table=DEFAULT_TABLE),
    ]
    return tuple(msgspec.structs.replace(rule, text=format_rule(rule)) for rule in rules)


def _local_routes(interfaces: tuple[Interface, ...]) -> tuple[Route, ...]:
    """By prefix, as the kernel dumps them; among equals in the order of the interfaces."""
    routes: dict[Route, None] = {}
    for interface in interfaces:
        for address in interface.addresses:
            for route in _routes_of(interface, address):
                routes.setdefault(route)
    return tuple(sorted(routes, key=lambda route: split_prefix(route.prefix)))


def _routes_of(interface: Interface, address: InterfaceAddress) -> list[Route]:
    source = _primary(interface, address)
    routes = [_local_route(f"{address.address}/32", RouteType.LOCAL, interface.name, source)]
    if not interface.up:
        return routes
    far, length = split_prefix(address.peer if address.peer is not None else address.prefix)
    network = far & mask(length)
    broadcasts = [address.broadcast] if address.broadcast not in {None, "255.255.255.255"} else []
    if not address.secondary and length < 31 and network >> 24 != 0:
        broadcasts.append(format_address(network | (~mask(length) & LAST)))
        if "LOOPBACK" in interface.flags:
            prefix = f"{format_address(network)}/{length}"
            routes.append(_local_route(prefix, RouteType.LOCAL, interface.name, source))
    routes += [
        _local_route(f"{broadcast}/32", RouteType.BROADCAST, interface.name, source)
        for broadcast in dict.fromkeys(broadcasts)
    ]
    return routes


def _primary(interface: Interface, address: InterfaceAddress) -> str:
    """The source that the kernel notes: for a secondary address the primary one of its subnet."""
    if address.secondary:
        _, length = split_prefix(address.prefix)
        wanted = split_prefix(address.prefix)[0] & mask(length)
        for other in interface.addresses:
            value, other_length = split_prefix(other.prefix)
            if not other.secondary and other_length == length and value & mask(length) == wanted:
                return other.address
    return address.address


def _local_route(prefix: str, kind: RouteType, interface: str, source: str) -> Route:
    route = Route(
        prefix=prefix,
        table=LOCAL_TABLE,
        type=kind,
        scope="host" if kind is RouteType.LOCAL else "link",
        protocol="kernel",
        source=source,
        nexthops=(NextHop(interface=interface),),
    )
    return msgspec.structs.replace(route, text=format_route(route))
