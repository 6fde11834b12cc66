"""Where a packet that the guest sends leaves it (net/ipv4/route.c, ip_route_output_key_hash_rcu).

A SYN-ACK, an echo reply and a datagram of a bound socket all look their route up with the source address that they
answer from, without regard to the interface by which the request came in. A UDP program that is bound to no address and
does not name the one that it was asked at (IP_PKTINFO) looks its route up without a source, and the route chooses one.
"""

from msgspec import Struct

from vnicheck.kernel.fib import Failure, Match
from vnicheck.kernel.host import Host
from vnicheck.kernel.open_fields import Box, Tree, leaves
from vnicheck.kernel.rules import LOOPBACK, Found
from vnicheck.kernel.source import choose_source
from vnicheck.kernel.undetermined import Several, Undetermined, Unknown, or_unknown
from vnicheck.model.address import format_address
from vnicheck.model.address_map import AddressMap, constant
from vnicheck.model.flow import Decider, GuestLines
from vnicheck.model.guest import NextHop, Route, RouteType
from vnicheck.model.memo import Memo

_WORDS = {
    Failure.NO_ROUTE: "no route leads to the remote",
    Failure.BLACKHOLE: "a blackhole swallows it",
    Failure.UNREACHABLE: "the remote is declared unreachable",
    Failure.PROHIBIT: "the remote is prohibited",
}
EQUAL_COST = "several next hops of equal cost"
_ONTO_THE_LINK = {RouteType.UNICAST, RouteType.ANYCAST}


class Sent(Struct, frozen=True):
    """By which interface and to which gateway (None: on-link) the packet leaves, and the lines that decided it.

    `source`: the address that the kernel chooses where the program names none.
    """

    interface: str
    gateway: str | None
    by: Decider
    source: str | None = None
    ruling: Unknown | None = None
    """What the guest's firewall, where it was read, may make of it beside that."""
    sender: tuple[str, str] | None = None
    """The address and the device of the container for which the guest forwards it."""

    @property
    def essence(self) -> tuple[object, ...]:
        """What it comes to, whatever its words."""
        return self.interface, self.gateway, self.source, self.sender


class NotSent(Struct, frozen=True):
    """Why no packet leaves. `failure` is None where the source is not an address of the guest; `kind` is the type of
    the route where the remote is to the guest no address of another host. `refused_at`: the interface by which a
    container's packet comes in that the guest does not forward, for the `refusal` that its reception tells.
    """

    failure: Failure | None
    reason: str
    by: Decider = ""
    kind: RouteType | None = None
    refused_at: str | None = None
    refusal: str = ""

    @property
    def essence(self) -> tuple[object, ...]:
        """What it comes to, whatever its words."""
        return "not sent", self.failure, self.kind, self.refused_at, self.refusal


def to_no_host(route: Route) -> NotSent:
    """What becomes of packets to an address that the route declares none of another host."""
    reason = f"the remote is a {route.type} address to the guest"
    return NotSent(Failure.UNREACHABLE, reason, GuestLines(route=route.text), route.type)


Ways = tuple[Sent, ...] | NotSent | Unknown


class Departures:
    """Packets that the guest sends from one of its addresses, or from 0 (the program names none), by their destination.

    `found`: what the lookup of each destination finds; `ways` says how packets leave.
    """

    def __init__(self, host: Host, source: int) -> None:
        self._host = host
        self._source = source
        self._made = Memo()
        found = or_unknown(self._found)
        self.found: AddressMap[Tree] = found if isinstance(found, AddressMap) else constant(found)

    def ways(self, found: Tree, box: Box) -> list[tuple[Box, Ways]]:
        """Every way among which the kernel may choose by a hash or by the state of its neighbours, for the packets of a
        box, part by part.
        """
        try:
            return [(part, self.ways_of(leaf)) for part, leaf in leaves(found, box, self._host.effort)]
        except Undetermined as reason:
            return [(box, Unknown(str(reason)))]

    def _found(self) -> AddressMap[Tree] | NotSent:
        host, source = self._host, self._source
        host.require_facts()
        _require_no_vrf(host, source)
        if source != 0 and not host.is_local_source(source):
            return NotSent(None, f"{format_address(source)} is not an address of the guest")
        return host.lookups.by_destination(source, LOOPBACK)

    def ways_of(self, found: Found | NotSent | Unknown) -> Ways:
        """Every way of what is found for some packets."""
        if not isinstance(found, Found):
            return found
        return self._made.once(found, lambda: or_unknown(lambda: self._ways_of(found)))

    def _ways_of(self, found: Found) -> tuple[Sent, ...] | NotSent:
        match = found.match
        if not isinstance(match, Match):
            return NotSent(match.failure, _WORDS[match.failure], match.by)
        route = match.route
        if route.type not in _ONTO_THE_LINK:
            return to_no_host(route)
        several = [nexthop for nexthop in route.nexthops if self._host.may_carry(nexthop)]
        hops = match.nexthops[:1] if len(route.nexthops) == 1 else several
        ways = [(hop, route) for hop in hops] + [(rival.nexthops[0], rival) for rival in match.rivals]
        made = [_way(self._host, *way, found.rule, choose=self._source == 0) for way in ways]
        return tuple(made if len(made) == 1 else dict.fromkeys(made))


def the_way(ways: Ways) -> Sent | NotSent | Unknown:
    """The way, where all that the kernel may choose from lead the same."""
    if not isinstance(ways, tuple):
        return ways
    if not ways:
        return Unknown("no next hop of the route can carry it")
    if len(ways) > 1 and len({(way.interface, way.gateway) for way in ways}) != 1:
        names = sorted({f"{way.interface} via {way.gateway}" if way.gateway else f"{way.interface}" for way in ways})
        return Several(f"{EQUAL_COST}: {', '.join(names)}", ways)
    return ways[0]


def _way(host: Host, nexthop: NextHop, route: Route, rule: str, *, choose: bool) -> Sent:
    if nexthop.interface is None:
        raise Undetermined(f"the route names no interface: {route.text}")
    gateway = nexthop.gateway if host.uses_gateway(nexthop, route) else None
    source = choose_source(host, route, nexthop) if choose else None
    if source is not None and source.startswith("127.") and nexthop.interface != LOOPBACK:
        raise Undetermined(f"no address but a loopback one suits the route: {route.text}")
    return Sent(nexthop.interface, gateway, GuestLines(rule, route.text), source)


def _require_no_vrf(host: Host, source: int) -> None:
    owner = host.interfaces.get(host.addresses.get(source, ""))
    master = host.interfaces.get(owner.master) if owner is not None and owner.master is not None else None
    if master is not None and master.kind == "vrf":
        raise Undetermined(f"the source is an address of VRF {master.name}, which is not modelled")
