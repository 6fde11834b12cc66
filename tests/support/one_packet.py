"""What the maps say of single packets, in one state of the kernel: a box of one packet, at one address."""

from tests.support.packet import Packet
from vnicheck.kernel.host import Host
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.open_fields import TOS, UID, Box
from vnicheck.kernel.packet import Transport
from vnicheck.kernel.receive import Arrivals, Received, Reception
from vnicheck.kernel.send import Departures, NotSent, Sent, the_way
from vnicheck.kernel.undetermined import Undetermined, Unknown, known
from vnicheck.model.address import Range


def receive(host: Host, packet: Packet, interface: str) -> Received:
    """What becomes of it. Raises Undetermined."""
    arrivals = Arrivals(host, interface, packet.destination)
    ((_, outcome),) = arrivals.outcomes(arrivals.situations.at(packet.source), _box_of(host, packet))
    received = known(outcome)
    assert isinstance(received, Received)
    return received


def routes_out(host: Host, packet: Packet) -> tuple[Sent, ...] | NotSent:
    """Every way that it may take. Raises Undetermined."""
    departures = Departures(host, packet.source)
    ((_, ways),) = departures.ways(departures.found.at(packet.destination), _box_of(host, packet))
    if isinstance(ways, Unknown):
        raise Undetermined(ways.reason)
    return ways


def send(host: Host, packet: Packet) -> Sent | NotSent:
    """The way that it takes. Raises Undetermined."""
    way = the_way(routes_out(host, packet))
    if isinstance(way, Unknown):
        raise Undetermined(way.reason)
    return way


def taken(kernel: Kernel, interface: str, packet: Packet, sports: Range, dports: Range) -> Received:
    """What becomes of it in every state, where the guest keeps it. Raises Undetermined."""
    received = kernel.take_in(interface, packet.source, packet.destination, Transport(packet.proto, sports, dports))
    if received.reception is Reception.FORWARDED:
        raise Undetermined(f"{received.reason}, which is not modelled")
    return received


def sent_by(kernel: Kernel, packet: Packet, sports: Range, dports: Range) -> Sent | NotSent:
    """The way that it takes in every state. Raises Undetermined."""
    return kernel.send(packet.source, packet.destination, Transport(packet.proto, sports, dports))


def _box_of(host: Host, packet: Packet) -> Box:
    fields, ports = host.fields, ((packet.sport, packet.sport), (packet.dport, packet.dport))
    box = fields.box(packet.proto, *ports, sending=False, marks=(packet.mark,))
    return box.narrowed(TOS, 1 << packet.tos).narrowed(UID, fields.users(packet.uid, packet.uid))
