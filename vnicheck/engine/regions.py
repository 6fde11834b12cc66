"""Regions: sets of remotes to which the fabric and the guest's kernel give the same answers.

The path of a flow is worked out once for each region, not for each atom of the partition: a server with thousands of
routes, whose groups name thousands of addresses, has few distinct answers.
"""

from collections.abc import Hashable, Iterable, Sequence

from msgspec import Struct

from vnicheck.engine.areas import Area, Areas, areas_of
from vnicheck.engine.partition import Range, address_atoms, to_prefixes
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
    """Remotes with what the guest does with a packet from them, and with one to them.

    `samples`: one of the remotes for each way in which the VPC's rules decide about them, the first remote first. All
    fare alike. `received` is None where no interface of the guest is known for the local address, both where there is
    no guest.
    """

    remotes: tuple[Range, ...]
    samples: tuple[int, ...]
    received: Answer | None
    sent: Answer | None
    parts: tuple[int, ...] = ()
    """Numbers of sets of remotes (`Regions.prefixes_of`) that stay together, whatever the ports."""
    number: int = 0
    """What tells it from the server's others."""
    fates: tuple[Hashable, ...] = ()
    rules: tuple[tuple[Hashable, ...], ...] = ()
    """Those of each sample (see Areas)."""
    positions: dict[Hashable, int] = {}

    @property
    def first(self) -> int:
        """One of the remotes."""
        return self.samples[0]

    def read_by(self, key: Hashable) -> tuple[Hashable, Hashable]:
        """How rules (of a key of areas) read the remotes: what they come to, and which they are. Of regions of which
        that is not known, the remotes themselves.
        """
        position = self.positions.get(key)
        if position is None:
            alone = ("remotes", self.samples)  # what rules come to is told apart by numbers too
            return alone, alone
        return self.fates[position], tuple(dict.fromkeys([rules[position] for rules in self.rules]))


class Cell(Struct, frozen=True):
    """What an area of the fabric and an atom of the kernel share: `remotes` in order, `samples` as in Region."""

    area: int
    atom: int
    remotes: list[Range]
    samples: dict[int, int]
    """By the number of the rules that decide."""


class Regions:
    """The regions of a server, by local address, and by protocol and ports where a policy rule reads them."""

    def __init__(self, view: ServerView) -> None:
        self._view = view
        self._by_ports = view.kernel is not None and view.kernel.reads_transport
        self._atoms = address_atoms(view.own_addresses(), view.kernel.address_cuts() if view.kernel is not None else ())
        self._areas = areas_of(view)
        self._cells = cells(self._areas.areas, self._atoms)
        self._known: dict[Hashable, tuple[Region, ...]] = {}
        self._parts: list[Sequence[Range]] = [cell.remotes for cell in self._cells]
        self._prefixes: dict[tuple[int, ...], tuple[str, ...]] = {}

    def prefixes_of(self, parts: tuple[int, ...]) -> tuple[str, ...]:
        """The fewest prefixes that cover these parts of regions."""
        known = self._prefixes.get(parts)
        if known is None:
            ranges = (remotes for part in parts for remotes in self._parts[part])
            known = self._prefixes[parts] = to_prefixes(ranges)
        return known

    def of(
        self, local: LocalAddress, protocol: Protocol, remote_ports: Range, local_ports: Range
    ) -> tuple[Region, ...]:
        """The regions for packets between the local address and remotes, with their ports within these ranges, by their
        first remotes.
        """
        key: Hashable = (local.key, protocol, remote_ports, local_ports) if self._by_ports else local.key
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = tuple(self._compute(local, protocol, remote_ports, local_ports))
        return known

    def _compute(
        self, local: LocalAddress, protocol: Protocol, remote_ports: Range, local_ports: Range
    ) -> Iterable[Region]:
        answers = []
        for first, _ in self._atoms:
            received = _received(self._view, local, protocol, first, remote_ports, local_ports)
            sent = _sent(self._view, local, protocol, first, remote_ports, local_ports)
            answers.append((received, sent, (_essence(received), _essence(sent))))
        gathered: dict[Hashable, _Gathering] = {}
        for number, cell in enumerate(self._cells):
            received, sent, essence = answers[cell.atom]
            key = (cell.area, essence)
            gathering = gathered.get(key)
            if gathering is None:
                gathering = gathered[key] = _Gathering(received, sent)
            gathering.add(number, cell, received, sent)
        return map(self._region, gathered.values())

    def _region(self, gathering: "_Gathering") -> Region:
        """The region gathered, as one part where regions are the same for all ports, else cell by cell."""
        number = len(self._parts)
        region = gathering.region(number, tuple(gathering.cells) if self._by_ports else (number,), self._areas)
        self._parts.append(region.remotes)
        return region


def cells(of: Sequence[Area], atoms: list[Range]) -> list[Cell]:
    """The areas cut along the atoms, which leave out what is no remote; by their first remotes."""
    found = []
    for number, area in enumerate(of):
        stretch = 0
        cell: Cell | None = None
        for atom, (low, high) in enumerate(atoms):
            while stretch < len(area.stretches) and area.stretches[stretch][1] < low:
                stretch += 1
            position = stretch
            while position < len(area.stretches) and area.stretches[position][0] <= high:
                first, last = area.stretches[position]
                first, last = max(first, low), min(last, high)
                if cell is None or cell.atom != atom:
                    cell = Cell(number, atom, [], {})
                    found.append(cell)
                if cell.remotes and cell.remotes[-1][1] + 1 == first:
                    cell.remotes[-1] = (cell.remotes[-1][0], last)
                else:
                    cell.remotes.append((first, last))
                cell.samples.setdefault(area.numbers[position], first)
                position += 1
            stretch = max(stretch, position - 1)
    found.sort(key=lambda cell: cell.remotes[0])
    return found


def region_of(
    view: ServerView, local: LocalAddress, protocol: Protocol, remote: int, remote_ports: Range, local_ports: Range
) -> Region:
    """The region that one remote is for itself: both answers for it alone."""
    received = _received(view, local, protocol, remote, remote_ports, local_ports)
    sent = _sent(view, local, protocol, remote, remote_ports, local_ports)
    gathering = _Gathering(received, sent)
    gathering.add(0, Cell(0, 0, [(remote, remote)], {0: remote}), received, sent)
    return gathering.region(0, (0,), None)


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
        self.cells: list[int] = []
        self._area = 0
        self._remotes: list[Range] = []
        self._samples: dict[int, int] = {}
        self._received_by: dict[str, None] = {}
        self._sent_by: dict[str, None] = {}

    def add(self, number: int, cell: Cell, received: Received | str | None, sent: Sent | NotSent | str | None) -> None:
        """One more cell with these answers; cells come in order."""
        self._area = cell.area
        self.cells.append(number)
        self._remotes += cell.remotes
        for rules, remote in cell.samples.items():
            self._samples.setdefault(rules, remote)
        if isinstance(received, Received) and received.by:
            self._received_by[received.by] = None
        if isinstance(sent, Sent | NotSent) and sent.by:
            self._sent_by[sent.by] = None

    def region(self, number: int, parts: tuple[int, ...], areas: Areas | None) -> Region:
        """The region gathered, of an area where there are any."""
        return Region(
            remotes=tuple(self._remotes),
            samples=tuple(self._samples.values()),
            received=None if self._received is None else Answer(self._received, tuple(self._received_by)),
            sent=None if self._sent is None else Answer(self._sent, tuple(self._sent_by)),
            parts=parts,
            number=number,
            fates=() if areas is None else areas.areas[self._area].fates,
            rules=() if areas is None else tuple([areas.rules[rules] for rules in self._samples]),
            positions={} if areas is None else areas.positions,
        )


def _essence(outcome: Received | Sent | NotSent | str | None) -> Hashable:
    """What an answer comes to, whichever line decided it."""
    if isinstance(outcome, Sent):
        return outcome.interface, outcome.gateway
    if isinstance(outcome, Received):
        return outcome.reception, outcome.reason
    if isinstance(outcome, NotSent):
        return outcome.failure, outcome.reason
    return outcome
