"""Where a packet that the guest sends leaves it (net/ipv4/route.c, ip_route_output_key_hash_rcu).

A SYN-ACK, an echo reply and a datagram of a bound socket all look their route up with the source address that they
answer from, without regard to the interface by which the request came in.
"""

from msgspec import Struct

from vnicheck.kernel.fib import Failure, Match
from vnicheck.kernel.host import Host
from vnicheck.kernel.packet import ICMP, Packet
from vnicheck.kernel.rules import LOOPBACK, Lookup
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import format_address
from vnicheck.model.guest import RouteType

_WORDS = {
    Failure.NO_ROUTE: "no route leads to the remote",
    Failure.BLACKHOLE: "a blackhole swallows it",
    Failure.UNREACHABLE: "the remote is declared unreachable",
    Failure.PROHIBIT: "the remote is prohibited",
}


class Sent(Struct, frozen=True):
    """By which interface and to which gateway (None: on-link) the packet leaves, and the lines that decided it."""

    interface: str
    gateway: str | None
    by: str


class NotSent(Struct, frozen=True):
    """Why no packet leaves. `failure` is None where the source is not an address of the guest."""

    failure: Failure | None
    reason: str
    by: str = ""


def send(host: Host, packet: Packet) -> Sent | NotSent:
    """The route of a packet that the guest sends from one of its addresses. Raises Undetermined."""
    if packet.source not in host.addresses:
        return NotSent(None, f"{format_address(packet.source)} is not an address of the guest")
    found = host.lookup(
        Lookup(
            destination=packet.destination,
            source=packet.source,
            iif=LOOPBACK,
            mark=packet.mark,
            uid=0 if packet.proto == ICMP else None,
            proto=packet.proto,
            sport=packet.sport,
            dport=packet.dport,
        )
    )
    if not isinstance(found.match, Match):
        return NotSent(found.match.failure, _WORDS[found.match.failure], found.match.by)
    route = found.match.route
    if route.type is not RouteType.UNICAST:
        return NotSent(
            Failure.UNREACHABLE, f"the remote is a {route.type} address to the guest", f"route '{route.text}'"
        )
    nexthops = found.match.nexthops
    if found.match.length == 0 and found.table is not None and nexthops[0].gateway is not None:
        nexthops = (*nexthops, *host.tables[found.table].siblings(found.match))
    ways = {(nexthop.interface, nexthop.gateway) for nexthop in nexthops}
    if len(ways) != 1:
        names = ", ".join(sorted({f"{interface or '?'} via {gateway or 'the link'}" for interface, gateway in ways}))
        raise Undetermined(f"several next hops of equal cost: {names}")
    interface, gateway = ways.pop()
    if interface is None:
        raise Undetermined(f"the route names no interface: {route.text}")
    return Sent(interface, gateway, f"rule '{found.rule}', route '{route.text}'")
