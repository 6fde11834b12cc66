"""What the guest does with a packet that comes in by an interface (net/ipv4/route.c, ip_route_input_slow)."""

from enum import StrEnum

import msgspec
from msgspec import Struct

from vnicheck.kernel.fib import Failure, Match
from vnicheck.kernel.host import Host
from vnicheck.kernel.packet import Packet
from vnicheck.kernel.rules import Lookup
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.kernel.validate import SourceCheck, Validation, validate_source
from vnicheck.model.address import LAST, format_address
from vnicheck.model.guest import RouteType


class Reception(StrEnum):
    """What becomes of the packet: the contract's drop codes, and three fates that are no drop."""

    DELIVERED = "delivered"
    BROADCAST = "broadcast"
    FORWARDED = "forwarded"
    INTERFACE_DOWN = "interface_down"
    NOT_LOCAL = "not_local"
    MARTIAN_SOURCE = "martian_source"
    RP_FILTER = "rp_filter"


class Received(Struct, frozen=True):
    """The answer, its reason (without the remote's address), and the line that decided it.

    `delivered` means handed to the transport protocol; `broadcast` the same for a broadcast address. `failure` tells
    how the lookup of the destination ended where it found no route. `egress` and `gateways`: the interfaces by which a
    forwarded packet may leave, and the next hops that it may be handed to (None: on-link).
    """

    reception: Reception
    reason: str
    by: str = ""
    failure: Failure | None = None
    egress: tuple[str, ...] = ()
    gateways: tuple[str | None, ...] = ()


_REFUSALS = {SourceCheck.MARTIAN: Reception.MARTIAN_SOURCE, SourceCheck.RP_FILTER: Reception.RP_FILTER}


def arrives(host: Host, interface: str) -> Received | None:
    """The drop of any packet on an interface that is down or without carrier; None where packets arrive."""
    link = host.interface(interface)
    if link.up and link.carrier:
        return None
    return Received(Reception.INTERFACE_DOWN, f"{interface} is down" if not link.up else f"{interface} has no carrier")


def receive(host: Host, packet: Packet, interface: str) -> Received:
    """What becomes of a packet to a unicast address, on an interface that is up. Raises Undetermined.

    Delivery does not ask on which interface the address is (weak host model).
    """
    host.require_facts()
    host.interface(interface)
    if _is_special(packet.destination):
        raise Undetermined(f"packets to {format_address(packet.destination)} are not modelled")
    if _is_special(packet.source):
        if packet.source >> 24 != 127 or not host.conf.either(interface, "route_localnet"):
            return Received(Reception.MARTIAN_SOURCE, "the source is no unicast address")
        raise Undetermined("packets from 127.0.0.0/8 are not modelled where route_localnet is on")
    reads_ports = host.reads_ports
    found = host.lookup(
        Lookup(
            destination=packet.destination,
            source=packet.source,
            iif=interface,
            mark=packet.mark,
            tos=packet.tos,
            proto=packet.proto if reads_ports else 0,
            sport=packet.sport if reads_ports else 0,
            dport=packet.dport if reads_ports else 0,
        )
    )
    if isinstance(found.match, Match) and found.match.route.type is RouteType.LOCAL:
        return _accept(validate_source(host, packet, interface), Reception.DELIVERED)
    destination = format_address(packet.destination)
    not_local = f"{destination} is not an address of the guest"
    if not isinstance(found.match, Match):
        return Received(Reception.NOT_LOCAL, not_local, found.match.by, found.match.failure)
    route = found.match.route
    if route.type is RouteType.BROADCAST:
        if host.conf.both(interface, "bc_forwarding"):
            raise Undetermined(f"the guest forwards packets to the broadcast address {destination}")
        unaddressed = msgspec.structs.replace(packet, destination=0)
        return _accept(validate_source(host, unaddressed, interface), Reception.BROADCAST)
    if route.type is not RouteType.UNICAST or not host.conf.forwarding(interface):
        return Received(Reception.NOT_LOCAL, not_local, f"route '{route.text}'")
    return _forward(host, packet, interface, found.match)


def _accept(validation: Validation, fate: Reception) -> Received:
    return Received(_REFUSALS.get(validation.check, fate), validation.reason, validation.by)


def _forward(host: Host, packet: Packet, interface: str, match: Match) -> Received:
    """The source is validated as if the packet that leads back came in by the interface where this one leaves."""
    hops = match.nexthops if len(match.route.nexthops) == 1 else match.route.nexthops
    hops = tuple(hop for hop in hops if len(hops) == 1 or host.may_carry(hop))
    egress = tuple(dict.fromkeys(hop.interface or "" for hop in hops))
    gateways = tuple(dict.fromkeys(hop.gateway for hop in hops))
    fates = {validate_source(host, packet, interface, device) for device in egress}
    if len({fate.check for fate in fates}) != 1:
        raise Undetermined(f"the guest forwards the packet by one of {', '.join(egress)}")
    validation = fates.pop()
    by = f"route '{match.route.text}'"
    if validation.check is SourceCheck.ACCEPTED:
        reason = f"the guest forwards it by {' or '.join(egress)}"
        return Received(Reception.FORWARDED, reason, by, egress=egress, gateways=gateways)
    return _accept(validation, Reception.FORWARDED)


def _is_special(address: int) -> bool:
    """0.0.0.0, 127.0.0.0/8, 224.0.0.0/4, and 255.255.255.255."""
    return address in {0, LAST} or address >> 24 == 127 or address >> 28 == 14
