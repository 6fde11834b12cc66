"""What the guest does with a packet that comes in by an interface (net/ipv4/route.c, ip_route_input_slow)."""

from enum import StrEnum

from msgspec import Struct

from vnicheck.kernel.fib import Match
from vnicheck.kernel.host import Host
from vnicheck.kernel.packet import Packet
from vnicheck.kernel.rules import Lookup
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.kernel.validate import SourceCheck, validate_source
from vnicheck.model.address import format_address
from vnicheck.model.guest import RouteType


class Reception(StrEnum):
    """What becomes of the packet, by the contract's drop codes."""

    DELIVERED = "delivered"
    INTERFACE_DOWN = "interface_down"
    NOT_LOCAL = "not_local"
    MARTIAN_SOURCE = "martian_source"
    RP_FILTER = "rp_filter"


class Received(Struct, frozen=True):
    """The answer, its reason (without the remote's address), and the line that decided it.

    `delivered` means handed to the transport protocol.
    """

    reception: Reception
    reason: str
    by: str = ""


_CHECKS = {
    SourceCheck.ACCEPTED: Reception.DELIVERED,
    SourceCheck.MARTIAN: Reception.MARTIAN_SOURCE,
    SourceCheck.RP_FILTER: Reception.RP_FILTER,
}


def arrives(host: Host, interface: str) -> Received | None:
    """The drop of any packet on an interface that is down or without carrier; None where packets arrive."""
    link = host.interface(interface)
    if link.up and link.carrier:
        return None
    return Received(Reception.INTERFACE_DOWN, f"{interface} is down" if not link.up else f"{interface} has no carrier")


def receive(host: Host, packet: Packet, interface: str) -> Received:
    """Whether a packet to what should be a local address is delivered, on an interface that is up.

    Delivery does not ask on which interface the address is (weak host model). A guest that forwards it is not
    modelled. The source must be a unicast address outside 0.0.0.0/8 and 127.0.0.0/8. Raises Undetermined.
    """
    destination = format_address(packet.destination)
    reads_ports = host.reads_ports
    found = host.lookup(
        Lookup(
            destination=packet.destination,
            source=packet.source,
            iif=interface,
            mark=packet.mark,
            proto=packet.proto if reads_ports else 0,
            sport=packet.sport if reads_ports else 0,
            dport=packet.dport if reads_ports else 0,
        )
    )
    if not isinstance(found.match, Match):
        return Received(Reception.NOT_LOCAL, f"{destination} is not an address of the guest", found.match.by)
    kind = found.match.route.type
    if kind is RouteType.BROADCAST:
        raise Undetermined(f"{destination} is a broadcast address to the guest")
    if kind is not RouteType.LOCAL:
        if host.conf.forwarding(interface):
            raise Undetermined(f"the guest forwards packets to {destination}")
        by = f"route '{found.match.route.text}'"
        return Received(Reception.NOT_LOCAL, f"{destination} is not an address of the guest", by)
    validation = validate_source(host, packet, interface)
    return Received(_CHECKS[validation.check], validation.reason, validation.by)
