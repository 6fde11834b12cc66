"""Source validation, of which rp_filter is a part (net/ipv4/fib_frontend.c, fib_validate_source)."""

from enum import StrEnum

from msgspec import Struct

from vnicheck.kernel.fib import Match
from vnicheck.kernel.host import Found, Host
from vnicheck.kernel.packet import Packet
from vnicheck.kernel.release import QUICK_CHECK_OF_SOURCE, REVERSE_PORTS_SWAPPED, is_at_least
from vnicheck.kernel.rules import LOOPBACK, Lookup
from vnicheck.kernel.undetermined import Undetermined
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

    `egress` is the interface by which a forwarded packet would leave; None for local delivery. For a packet to a
    broadcast address the caller sets the destination to 0, as the kernel does. Raises Undetermined.
    """
    rp_filter = host.conf.rp_filter(interface)
    mode = f"rp_filter is {_MODES[rp_filter]} on {interface}"
    accepted = Validation(SourceCheck.ACCEPTED, mode)
    quick = (
        rp_filter == 0
        and not host.realms
        and (egress != interface or not host.conf.either(interface, "send_redirects"))
    )
    if quick:
        if host.conf.either(interface, "accept_local"):
            return accepted
        if not host.state.custom_rules and not host.state.custom_local_routes:
            if packet.source not in host.addresses:
                return accepted
            return _martian(host, quick, "the source is one of the guest's own addresses")

    found = _reverse_lookup(host, packet, interface, egress)
    if not isinstance(found.match, Match):
        if rp_filter == 0:
            return accepted
        return Validation(SourceCheck.RP_FILTER, f"{mode} and no route leads back", found.match.by)
    route = found.match.route
    by = f"route '{route.text}'"
    own = route.type is RouteType.LOCAL and host.conf.either(interface, "accept_local")
    if route.type is not RouteType.UNICAST and not own:
        return _martian(host, quick, f"the source is a {route.type} address to the guest", by)
    devices = list(dict.fromkeys(nexthop.interface for nexthop in route.nexthops))
    if interface in devices:
        return Validation(SourceCheck.ACCEPTED, f"the way back leaves by {interface} too", by)
    if rp_filter == 0 or (route.type is RouteType.LOCAL and interface == LOOPBACK):
        return accepted
    way = f"the way back leaves by {' or '.join(device or '?' for device in devices)}"
    if not host.interface(interface).addresses:
        return Validation(SourceCheck.RP_FILTER, f"{mode}, {interface} has no IPv4 address, and {way}", by)
    if rp_filter == STRICT:
        return Validation(SourceCheck.RP_FILTER, f"{mode} and {way}", by)
    return Validation(SourceCheck.ACCEPTED, f"{mode}, and {way}", by)


def _martian(host: Host, quick: bool, reason: str, by: str = "") -> Validation:
    if quick and not is_at_least(host.release, QUICK_CHECK_OF_SOURCE):
        raise Undetermined(f"{reason}, which kernels before 4.15 accept where rp_filter is off")
    return Validation(SourceCheck.MARTIAN, reason, by)


def _reverse_lookup(host: Host, packet: Packet, interface: str, egress: str | None) -> Found:
    """The lookup of the way back: addresses and ports swapped, as if a packet were routed out of loopback."""
    mark = packet.mark if packet.mark != 0 and host.conf.either(interface, "src_valid_mark") else 0
    ports = (packet.dport, packet.sport) if host.reads_ports else (0, 0)

    def lookup(sport: int, dport: int) -> Found:
        return host.lookup(
            Lookup(
                destination=packet.source,
                source=packet.destination,
                iif=egress or LOOPBACK,
                mark=mark,
                tos=packet.tos,
                proto=packet.proto if host.reads_ports else 0,
                sport=sport,
                dport=dport,
            )
        )

    found = lookup(*ports)
    if (
        ports != (0, 0)
        and not is_at_least(host.release, REVERSE_PORTS_SWAPPED)
        and lookup(*reversed(ports)).match != found.match
    ):
        raise Undetermined("it depends on whether the kernel swaps the ports when it looks up the way back (since 5.8)")
    return found
