"""Regions: sets of remotes to which the fabric and the guest's kernel give the same answers.

The path of a flow is worked out once for each region, not for each atom of the partition: a server with thousands of
routes has few distinct answers.
"""

from collections.abc import Hashable, Iterable

from msgspec import Struct

from vnicheck.engine.partition import Range, address_atoms
from vnicheck.engine.server_view import LocalAddress, ServerView
from vnicheck.kernel.packet import Packet
from vnicheck.kernel.receive import Received
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.flow import Protocol


class Answer(Struct, frozen=True):
    """What the kernel does with a packet (text: why that is not known), and the lines that decided it."""

    outcome: Received | Sent | NotSent | str
    deciders: tuple[str, ...] = ()


class Region(Struct, frozen=True):
    """Remotes (`first` is one of them) with what the guest does with a packet from them, and with one to them.

    `received` is None where no interface of the guest is known for the local address, both where there is no guest.
    """

    remotes: tuple[Range, ...]
    first: int
    received: Answer | None
    sent: Answer | None


class Regions:
    """The regions of a server, by local address, and by protocol and ports where a policy rule reads them."""

    def __init__(self, view: ServerView, fabric_cuts: Iterable[int]) -> None:
        self._view = view
        own = view.own_addresses()
        areas = address_atoms(own, fabric_cuts)
        kernel_cuts = view.kernel.address_cuts() if view.kernel is not None else set()
        atoms = address_atoms(own, kernel_cuts.union(first for first, _ in areas))
        self._atoms = list(zip(_areas_of(atoms, areas), atoms, strict=True))
        self._known: dict[Hashable, tuple[Region, ...]] = {}

    def of(
        self, local: LocalAddress, protocol: Protocol, remote_ports: Range, local_ports: Range
    ) -> tuple[Region, ...]:
        """The regions for packets between the local address and remotes, with their ports within these ranges."""
        key: Hashable = (local.address, protocol, remote_ports, local_ports)
        if self._view.kernel is None or not self._view.kernel.reads_transport:
            key = local.address
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = tuple(self._compute(local, protocol, remote_ports, local_ports))
        return known

    def _compute(
        self, local: LocalAddress, protocol: Protocol, remote_ports: Range, local_ports: Range
    ) -> Iterable[Region]:
        gathered: dict[Hashable, _Gathering] = {}
        for area, atom in self._atoms:
            received = _received(self._view, local, protocol, atom[0], remote_ports, local_ports)
            sent = _sent(self._view, local, protocol, atom[0], remote_ports, local_ports)
            key = (area, _essence(received), _essence(sent))
            gathering = gathered.get(key)
            if gathering is None:
                gathering = gathered[key] = _Gathering(received, sent)
            gathering.add(atom, received, sent)
        return [gathering.region() for gathering in gathered.values()]


def region_of(
    view: ServerView, local: LocalAddress, protocol: Protocol, remote: int, remote_ports: Range, local_ports: Range
) -> Region:
    """The region that one remote is for itself: both answers for it alone."""
    atom = (remote, remote)
    received = _received(view, local, protocol, remote, remote_ports, local_ports)
    sent = _sent(view, local, protocol, remote, remote_ports, local_ports)
    gathering = _Gathering(received, sent)
    gathering.add(atom, received, sent)
    return gathering.region()


def _received(
    view: ServerView, local: LocalAddress, protocol: Protocol, remote: int, remote_ports: Range, local_ports: Range
) -> Received | str | None:
    interface = view.interface_of.get(local.vni.id)
    if view.kernel is None or interface is None:
        return None
    packet = Packet(remote, local.number, protocol.number)
    try:
        return view.kernel.receive(interface, packet, sports=remote_ports, dports=local_ports)
    except Undetermined as reason:
        return str(reason)


def _sent(
    view: ServerView, local: LocalAddress, protocol: Protocol, remote: int, remote_ports: Range, local_ports: Range
) -> Sent | NotSent | str | None:
    if view.kernel is None:
        return None
    packet = Packet(local.number, remote, protocol.number)
    try:
        return view.kernel.send(packet, sports=local_ports, dports=remote_ports)
    except Undetermined as reason:
        return str(reason)


class _Gathering:
    """A region in the making."""

    def __init__(self, received: Received | str | None, sent: Sent | NotSent | str | None) -> None:
        self._received = received
        self._sent = sent
        self._remotes: list[Range] = []
        self._received_by: dict[str, None] = {}
        self._sent_by: dict[str, None] = {}

    def add(self, atom: Range, received: Received | str | None, sent: Sent | NotSent | str | None) -> None:
        """One more atom with these answers."""
        if self._remotes and self._remotes[-1][1] + 1 == atom[0]:
            self._remotes[-1] = (self._remotes[-1][0], atom[1])
        else:
            self._remotes.append(atom)
        if isinstance(received, Received) and received.by:
            self._received_by[received.by] = None
        if isinstance(sent, Sent | NotSent) and sent.by:
            self._sent_by[sent.by] = None

    def region(self) -> Region:
        """The region gathered."""
        received = None if self._received is None else Answer(self._received, tuple(self._received_by))
        sent = None if self._sent is None else Answer(self._sent, tuple(self._sent_by))
        return Region(tuple(self._remotes), self._remotes[0][0], received, sent)


def _essence(outcome: Received | Sent | NotSent | str | None) -> Hashable:
    """What an answer comes to, whichever line decided it."""
    if isinstance(outcome, Sent):
        return outcome.interface, outcome.gateway
    if isinstance(outcome, Received):
        return outcome.reception, outcome.reason
    if isinstance(outcome, NotSent):
        return outcome.failure, outcome.reason
    return outcome


def _areas_of(atoms: list[Range], areas: list[Range]) -> Iterable[int]:
    """For each atom, the index of the area that holds it; both are in order, and every atom lies in one area."""
    index = 0
    for first, _ in atoms:
        while areas[index][1] < first:
            index += 1
        yield index
