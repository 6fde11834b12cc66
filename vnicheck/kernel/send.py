"""Where a packet that the guest sends leaves it (net/ipv4/route.c, ip_route_output_key_hash_rcu).

A SYN-ACK, an echo reply and a datagram of a bound socket all look their route up with the source address that they
answer from, without regard to the interface by which the request came in. A UDP program that is bound to no address and
does not name the one that it was asked at (IP_PKTINFO) looks its route up without a source, and the route chooses one.
"""

from collections.abc import Iterable

from msgspec import Struct

from vnicheck.kernel.fib import Failure, Match
from vnicheck.kernel.host import Found, Host
from vnicheck.kernel.packet import Packet
from vnicheck.kernel.rules import LOOPBACK, Lookup
from vnicheck.kernel.source import choose_source
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import format_address
from vnicheck.model.guest import NextHop, Route, RouteType

_WORDS = {
    Failure.NO_ROUTE: "no route leads to the remote",
    Failure.BLACKHOLE: "a blackhole swallows it",
    Failure.UNREACHABLE: "the remote is declared unreachable",
    Failure.PROHIBIT: "the remote is prohibited",
}
_ONTO_THE_LINK = {RouteType.UNICAST, RouteType.ANYCAST}


class Sent(Struct, frozen=True):
    """By which interface and to which gateway (None: on-link) the packet leaves, and the lines that decided it.

    `source`: the address that the kernel chooses where the program names none.
    """

    interface: str
    gateway: str | None
    by: str
    source: str | None = None


class NotSent(Struct, frozen=True):
    """Why no packet leaves. `failure` is None where the source is not an address of the guest; `kind` is the type of
    the route where the remote is to the guest no address of another host.
    """

    failure: Failure | None
    reason: str
    by: str = ""
    kind: RouteType | None = None


def send(host: Host, packet: Packet) -> Sent | NotSent:
    """The route of a packet that the guest sends from one of its addresses, or from 0: the program names none.

    Raises Undetermined.
    """
    ways = routes_out(host, packet)
    if isinstance(ways, NotSent):
        return ways
    if len(ways) > 1 and len({(way.interface, way.gateway) for way in ways}) != 1:
        names = sorted({f"{way.interface} via {way.gateway}" if way.gateway else f"{way.interface}" for way in ways})
        raise Undetermined(f"several next hops of equal cost: {', '.join(names)}")
    return ways[0]


def routes_out(host: Host, packet: Packet) -> tuple[Sent, ...] | NotSent:
    """Every way among which the kernel may choose by a hash or by the state of its neighbours. Raises Undetermined."""
    host.require_facts()
    _require_no_vrf(host, packet.source)
    if packet.source != 0 and not host.is_local_source(packet.source):
        return NotSent(None, f"{format_address(packet.source)} is not an address of the guest")
    found = host.lookup(
        Lookup(
            destination=packet.destination,
            source=packet.source,
            iif=LOOPBACK,
            mark=packet.mark,
            tos=packet.tos,
            uid=packet.uid,
            proto=packet.proto,
            sport=packet.sport,
            dport=packet.dport,
        )
    )
    if not isinstance(found.match, Match):
        return NotSent(found.match.failure, _WORDS[found.match.failure], found.match.by)
    route = found.match.route
    if route.type not in _ONTO_THE_LINK:
        reason = f"the remote is a {route.type} address to the guest"
        return NotSent(Failure.UNREACHABLE, reason, f"route '{route.text}'", route.type)
    ways = _ways(host, found, found.match, packet.tos)
    return tuple(dict.fromkeys(_way(host, *way, choose=packet.source == 0) for way in ways))


def _ways(host: Host, found: Found, match: Match, tos: int) -> Iterable[tuple[NextHop, Route, str]]:
    """The nexthops that may be chosen, each with its route and the rule that led there."""
    route = match.route
    several = [nexthop for nexthop in route.nexthops if host.may_carry(nexthop)]
    for nexthop in match.nexthops[:1] if len(route.nexthops) == 1 else several:
        yield nexthop, route, found.rule
    if match.length == 0 and len(route.nexthops) == 1 and found.table == route.table:
        for other in host.tables[found.table].default_choices(match, tos=tos)[1:]:
            yield other.nexthops[0], other, found.rule


def _way(host: Host, nexthop: NextHop, route: Route, rule: str, *, choose: bool) -> Sent:
    if nexthop.interface is None:
        raise Undetermined(f"the route names no interface: {route.text}")
    gateway = nexthop.gateway if host.uses_gateway(nexthop) else None
    source = choose_source(host, route, nexthop) if choose else None
    if source is not None and source.startswith("127.") and nexthop.interface != LOOPBACK:
        raise Undetermined(f"no address but a loopback one suits the route: {route.text}")
    return Sent(nexthop.interface, gateway, f"rule '{rule}', route '{route.text}'", source)


def _require_no_vrf(host: Host, source: int) -> None:
    owner = host.interfaces.get(host.addresses.get(source, ""))
    master = host.interfaces.get(owner.master) if owner is not None and owner.master is not None else None
    if master is not None and master.kind == "vrf":
        raise Undetermined(f"the source is an address of VRF {master.name}, which is not modelled")
