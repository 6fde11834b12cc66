"""Source validation, of which rp_filter is a part (net/ipv4/fib_frontend.c, __fib_validate_source)."""

from enum import StrEnum

from msgspec import Struct

from vnicheck.kernel.fib import Match
from vnicheck.kernel.host import Found, Host
from vnicheck.kernel.packet import Packet
from vnicheck.kernel.rules import LOOPBACK, Lookup
from vnicheck.model.guest import RouteType

STRICT = 1
_MODES = {0: "off", 1: "strict", 2: "loose"}


class SourceCheck(StrEnum):
    """What becomes of the source address: accepted, a martian, or refused by reverse path filtering."""

    ACCEPTED = "accepted"
    MARTIAN = "martian_source"
    RP_FILTER = "rp_filter"


class Validation(Struct, frozen=True):
    """The answer, its reason in words (without the packet's addresses), and the route or rule that decided it."""

    check: SourceCheck
    reason: str
    by: str = ""


def validate_source(host: Host, packet: Packet, interface: str, egress: str | None = None) -> Validation:
    """Whether the guest accepts the packet's source address on the interface where it comes in.

    `egress` is the interface by which a forwarded packet would leave; None for local delivery. Raises Undetermined.
    """
    rp_filter = host.conf.rp_filter(interface)
    off = Validation(SourceCheck.ACCEPTED, f"rp_filter is off on {interface}")
    quick = (
        rp_filter == 0
        and not host.realms
        and (egress != interface or not host.conf.either(interface, "send_redirects"))
    )
    if quick and not host.state.custom_rules and not host.state.custom_local_routes:
        if packet.source in host.addresses and not host.conf.either(interface, "accept_local"):
            return Validation(SourceCheck.MARTIAN, "the source is one of the guest's own addresses")
        return off

    found = _reverse_lookup(host, packet, interface, egress)
    mode = f"rp_filter is {_MODES[rp_filter]} on {interface}"
    if not isinstance(found.match, Match):
        if rp_filter == 0:
            return off
        return Validation(SourceCheck.RP_FILTER, f"{mode} and no route leads back", found.match.by)
    route = found.match.route
    by = f"route '{route.text}'"
    if route.type is not RouteType.UNICAST and not (
        (quick or route.type is RouteType.LOCAL) and host.conf.either(interface, "accept_local")
    ):
        return Validation(SourceCheck.MARTIAN, f"the source is a {route.type} address to the guest", by)
    devices = [nexthop.interface for nexthop in route.nexthops]
    if interface in devices:
        return Validation(SourceCheck.ACCEPTED, f"the way back leaves by {interface} too", by)
    if rp_filter == 0:
        return off
    way = f"the way back leaves by {' or '.join(device or '?' for device in devices)}"
    if not host.interface(interface).addresses:
        return Validation(SourceCheck.RP_FILTER, f"{interface} has no IPv4 address and {way}", by)
    if rp_filter == STRICT:
        return Validation(SourceCheck.RP_FILTER, f"{mode} and {way}", by)
    return Validation(SourceCheck.ACCEPTED, f"{mode}, and {way}", by)


def _reverse_lookup(host: Host, packet: Packet, interface: str, egress: str | None) -> Found:
    """The lookup of the way back: addresses and ports swapped, as if a packet were routed out of loopback."""
    mark = packet.mark if packet.mark != 0 and host.conf.either(interface, "src_valid_mark") else 0
    reads_ports = host.reads_ports
    return host.lookup(
        Lookup(
            destination=packet.source,
            source=packet.destination,
            iif=egress or LOOPBACK,
            mark=mark,
            proto=packet.proto if reads_ports else 0,
            sport=packet.dport if reads_ports else 0,
            dport=packet.sport if reads_ports else 0,
        )
    )
