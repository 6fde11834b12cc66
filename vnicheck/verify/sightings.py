"""What was seen of flows: at each end their opening packets and the answers, by which interfaces, from captures.

A capture on the server tells what enters and leaves it; of what arrives at a remote only the remote's next packet
tells, or a capture of its own.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct, field

from vnicheck.model.flow import Direction, Leg, Protocol
from vnicheck.verify.capture import CaptureError, Packet

MAX_CONVERSATIONS = 100_000
MAX_FLOWS = 5000
MAX_TIMES = 100
ANSWERED_WITHIN = 0.9
"""Seconds in which a kernel has answered a question: a capture has to go on for so long to show that it did not."""
SKEW = 0.1
"""Seconds that the clocks of two ends may differ by."""
_CLIENTS_FROM = 32768
"""Where Linux begins with the ports that it gives to who opens (net.ipv4.ip_local_port_range)."""


class FlowKey(Struct, frozen=True, kw_only=True, order=True):
    """One flow, as `predict_flow` takes it: `port` is the answering side's; 0 for icmp."""

    direction: Direction
    protocol: Protocol
    local: str
    remote: str
    port: int


class LegSighting(Struct, kw_only=True):
    """What a watched end saw of a leg's packets: how many, by interfaces (None: it is not said)."""

    interfaces: Counter[str | None] = field(default_factory=Counter)

    def add(self, interface: str | None) -> None:
        """One packet more."""
        self.interfaces[interface] += 1

    @property
    def packets(self) -> int:
        """How many: one is seen again at each device that it crosses, as those of a bond or a bridge."""
        return max(self.interfaces.values(), default=0)


class Run(Struct, kw_only=True):
    """From when to when a capture is known to have run: from its first packet to its last one. `told`: whether its
    packets have times that say so.
    """

    first: float | None = None
    last: float | None = None
    told: bool = True

    def note(self, at: float | None) -> None:
        """The next packet."""
        if at is None or (self.last is not None and at < self.last):
            self.told = False
        self.first, self.last = at if self.first is None else self.first, at

    def went_on_after(self, at: float | None, seconds: float) -> bool:
        """Whether it ran that long after a moment; True where no times tell."""
        return not self.told or self.last is None or at is None or self.last - at >= seconds

    def covers(self, at: float | None) -> bool:
        """Whether it ran at a moment of another capture; True where no times tell."""
        if not self.told or self.first is None or self.last is None or at is None:
            return True
        return self.first - SKEW <= at <= self.last + SKEW

    def within(self, other: "Run") -> "Run":
        """When both ran."""
        if not (self.told and other.told) or None in (self.first, self.last, other.first, other.last):
            return Run(told=False)
        return Run(first=max(self.first or 0.0, other.first or 0.0), last=min(self.last or 0.0, other.last or 0.0))


def _missed(times: Sequence[float], runs: Sequence[Run]) -> bool:
    """Whether none of the moments is one at which one of the captures ran."""
    return bool(times and runs) and not any(run.covers(at) for run in runs for at in times)


def run_of(packets: Iterable[Packet]) -> Run:
    """When a capture ran."""
    run = Run()
    for packet in packets:
        run.note(packet.at)
    return run


class Sighting(Struct, kw_only=True):
    """One flow. `server` and `remote`: what was seen at that end, by leg; None: nobody watched there.

    `tried`: how often a program of ours opened it, `unsent`: why it could not; `served`: one of ours answers. `taken`:
    the opener sent a packet that answers the answer, or its program was given it: it has arrived. `refused`: the
    answers were resets, `accepted`: some were none. `again`: opening packets that came after an answer had left.
    `asked`: when its opening packets came, in the capture on the server that is being read; `waited`: whether one on
    the server went on long enough after the first. `left`, `sent`: when packets left the server, and opening ones the
    remote.
    """

    server: dict[Leg, LegSighting] | None = None
    remote: dict[Leg, LegSighting] | None = None
    tried: int = 0
    unsent: str = ""
    served: bool = False
    taken: bool = False
    refused: bool = False
    accepted: bool = False
    again: int = 0
    asked: list[float | None] = field(default_factory=list)
    waited: bool = False
    left: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    apart: bool = False
    """Whether it was seen at one end when the capture of the other end is not known to have run."""

    def at_server(self, leg: Leg) -> int | None:
        """How many packets were seen there; None where nobody watched."""
        return None if self.server is None else self.server[leg].packets

    def at_remote(self, leg: Leg) -> int | None:
        """How many packets were seen there; None where nobody watched."""
        return None if self.remote is None else self.remote[leg].packets

    @property
    def shape(self) -> tuple[object, ...]:
        """All that conclusions are drawn from: what was seen at all, not how often."""
        ends = [
            None if end is None else tuple((min(seen.packets, 2), frozenset(seen.interfaces)) for seen in end.values())
            for end in (self.server, self.remote)
        ]
        return (
            *ends,
            min(self.tried, 2),
            bool(self.unsent),
            self.served,
            self.taken,
            self.refused,
            self.accepted,
            bool(self.again),
            self.waited,
            self.apart,
        )

    def interfaces(self, leg: Leg) -> set[str]:
        """Those of the server by which packets were seen to go."""
        return set() if self.server is None else {name for name in self.server[leg].interfaces if name is not None}


def nothing_seen() -> dict[Leg, LegSighting]:
    """Of an end that is watched."""
    return {leg: LegSighting() for leg in Leg}


class Sightings:
    """Those of one server. `own`: its addresses; `floating`: the address that each floating IP leads to."""

    def __init__(self, own: Collection[str], floating: Mapping[str, str]) -> None:
        self._own, self._floating = frozenset(own), dict(floating)
        self._conversations: dict[tuple[object, ...], _Conversation] = {}
        self.flows: dict[FlowKey, Sighting] = {}
        self.foreign = 0
        """Packets between others."""
        self.unopened = 0
        """Packets of flows whose opening packet was not seen."""
        self.sent: set[tuple[Protocol, str]] = set()
        """Protocols and remotes that a captured answer left the server for: answers are not kept out of the capture."""
        self.named: set[str] = set()
        """The interfaces that captures on the server name."""
        self.watched_server = False
        """Whether all interfaces of the server were watched, so that what was not seen there was not there."""
        self.watched_remotes: set[str] = set()
        self.met: dict[tuple[Direction, str, str], bool] = {}
        """By direction, local address and remote, whether our program at the answering end was asked by the opener."""
        self.unfiltered = False
        """Whether nothing was left out of what was watched."""
        self._server_runs: list[Run] = []
        self._remote_runs: dict[str, Run] = {}

    def add_server(self, packets: Iterable[Packet], *, whole: bool = True, run: Run | None = None) -> None:
        """A capture on the server, `whole`: of all its interfaces. `run`: when those of single interfaces all ran.
        Raises CaptureError.
        """
        self._conversations.clear()
        self.watched_server = self.watched_server or whole
        seen = Run()
        for packet in packets:
            seen.note(packet.at)
            from_us, to_us = packet.source in self._own, packet.destination in self._own
            if from_us is to_us or (packet.out is not None and packet.out is not from_us):
                self.foreign += not (from_us and to_us)
                continue
            self.named.update([packet.interface] if packet.interface is not None else [])
            if from_us:
                self.sent.update([(packet.protocol, packet.destination)] if not _opens(packet) else ())
                self._take(packet, packet.source, packet.destination, from_server=True, here=True)
            else:
                self._take(packet, packet.destination, packet.source, from_server=False, here=True)

        ran = run or seen
        self._server_runs.append(ran)
        for flow in self.flows.values():
            flow.waited = flow.waited or (bool(flow.asked) and ran.went_on_after(flow.asked[0], ANSWERED_WITHIN))
            flow.asked.clear()

    def judge_times(self) -> None:
        """Once all is added: of each flow, whether the capture of the other end may have missed it."""
        for key, seen in self.flows.items():
            remote = self._remote_runs.get(key.remote)
            seen.apart = (remote is not None and _missed(seen.left, [remote])) or _missed(seen.sent, self._server_runs)

    def add_remote(self, packets: Iterable[Packet], remote: str) -> None:
        """A capture on a remote, which is `remote` for the server. Raises CaptureError."""
        self._conversations.clear()
        self.watched_remotes.add(remote)
        read = list(packets)
        self._remote_runs[remote] = run_of(read)
        alone = all(remote not in {packet.source, packet.destination} for packet in read)  # behind NAT, it has another
        for packet in read:
            to_server = self._dialled(packet.destination)
            from_server = self._dialled(packet.source)
            own = alone or remote in {packet.source, packet.destination}
            if (to_server is None) is (from_server is None) or not own:
                self.foreign += 1
            elif to_server is not None:
                self._take(packet, to_server, remote, from_server=False, here=False)
            elif from_server is not None:
                self._take(packet, from_server, remote, from_server=True, here=False)

    def of(self, key: FlowKey) -> Sighting:
        """The flow's, made where there is none."""
        return self.flows.setdefault(key, Sighting())

    def _dialled(self, address: str) -> str | None:
        address = self._floating.get(address, address)
        return address if address in self._own else None

    def _take(self, packet: Packet, local: str, remote: str, *, from_server: bool, here: bool) -> None:
        ours, theirs = (
            (packet.source_port, packet.destination_port)
            if from_server
            else (packet.destination_port, packet.source_port)
        )
        opener = _opens(packet)
        ends: tuple[object, ...] = (packet.protocol, local, ours, remote, theirs)
        if packet.protocol is Protocol.ICMP:
            ends = (*ends, from_server is opener)  # either side may ask with one number
        known = self._conversations.get(ends)
        if known is None:
            if not opener:
                self.unopened += 1
                return
            if len(self._conversations) >= MAX_CONVERSATIONS:
                raise CaptureError(
                    f"it has more than {MAX_CONVERSATIONS} conversations; capture fewer, as in: host ADDRESS"
                )
            key = FlowKey(
                direction=Direction.OUTBOUND if from_server else Direction.INBOUND,
                protocol=packet.protocol,
                local=local,
                remote=remote,
                port=0 if packet.protocol is Protocol.ICMP else packet.destination_port,
            )
            if key not in self.flows and len(self.flows) >= MAX_FLOWS:
                raise CaptureError(f"it has more than {MAX_FLOWS} flows; capture fewer, as in: host ADDRESS")
            known = self._conversations[ends] = _Conversation(self.of(key), opened_by_server=from_server)
        known.take(packet, from_server=from_server, opens=opener, here=here)


class _Conversation:
    """A flow's packets between two pairs of ports, as one capture has them."""

    def __init__(self, sighting: Sighting, *, opened_by_server: bool) -> None:
        self._sighting, self._opened_by_server = sighting, opened_by_server
        self._answered = False

    def take(self, packet: Packet, *, from_server: bool, opens: bool, here: bool) -> None:
        seen = self._sighting
        if here and seen.server is None:
            seen.server = nothing_seen()
        if not here and seen.remote is None:
            seen.remote = nothing_seen()
        end = seen.server if here else seen.remote
        assert end is not None  # noqa: S101 - made above
        if packet.at is not None and len(seen.left) + len(seen.sent) < MAX_TIMES:
            seen.left += [packet.at] if here and from_server else []
            seen.sent += [packet.at] if opens and not here and not from_server else []
        if from_server is self._opened_by_server:
            seen.asked += [packet.at] if opens and here and not seen.asked else []
            if not opens and packet.protocol is Protocol.TCP:
                seen.taken = seen.taken or self._answered
                return
            seen.again += here and self._answered and packet.protocol is Protocol.TCP
            end[Leg.REQUEST].add(packet.interface)
        elif _answers(packet):
            seen.refused = seen.refused or ("R" in packet.flags and not self._answered)
            seen.accepted = seen.accepted or "R" not in packet.flags
            self._answered = True
            end[Leg.REPLY].add(packet.interface)


def _opens(packet: Packet) -> bool:
    if packet.protocol is Protocol.TCP:
        return "S" in packet.flags and "." not in packet.flags
    if packet.flags in {"request", "reply"}:
        return packet.flags == "request"
    # which end opened is not to be told of two ports of one kind: the capture may have begun in the middle
    return packet.destination_port < _CLIENTS_FROM <= packet.source_port


def place_in_conversation(packet: Packet) -> int:
    """By which the packets of one may be sorted: what opens it, what answers, and the rest."""
    return 0 if _opens(packet) else 1 if _answers(packet) else 2


def _answers(packet: Packet) -> bool:
    """Whether it is an answer to an opening packet, not what comes later."""
    return packet.protocol is not Protocol.TCP or packet.flags.startswith("S") or "R" in packet.flags
