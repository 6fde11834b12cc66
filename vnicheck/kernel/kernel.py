"""A guest's kernel over all that is not known of it: hidden state, packet marks, TOS, users, the ports of clients.

What becomes of a packet is said only where it is the same in every possible world, whichever way it comes to be.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

from vnicheck.kernel.contradicted import Contradiction, as_contradicted
from vnicheck.kernel.fib import forwarding_fate
from vnicheck.kernel.hooks import Hooks, translation
from vnicheck.kernel.host import Host, hidden_states
from vnicheck.kernel.lookup import TableMaps
from vnicheck.kernel.marks import NOTHING, marked
from vnicheck.kernel.neighbours import Neighbours
from vnicheck.kernel.open_fields import DPORT, SPORT, Box, Effort, OpenFields
from vnicheck.kernel.packet import ICMP, NO_PORTS, Transport
from vnicheck.kernel.receive import Arrivals, Received, Reception, Returns, arrives
from vnicheck.kernel.send import Departures, NotSent, Sent, the_way
from vnicheck.kernel.undetermined import Undetermined, Unknown, in_each_world, known, or_unknown
from vnicheck.kernel.worlds import ByPort, Outcome, Part, Readers, Several, common
from vnicheck.model.address import prefix_range
from vnicheck.model.address_map import AddressMap, joined, membership, zipped
from vnicheck.model.guest import Guest
from vnicheck.model.interface import beneath
from vnicheck.model.memo import Memo


class _Lookup(NamedTuple):
    """A question with one end of the packets free. `told`: of each address there all that is looked up for it, the same
    where they fare alike; `worlds`: by that, what becomes of the packets of a box in each hidden state, part by part.
    It holds the kernel, so a kernel keeps none: it would not go before Python searches for it.
    """

    told: AddressMap[tuple[Any, ...]]
    worlds: Callable[[Sequence[Any], Box], list[list[Part]]]


class Kernel:
    """The questions that the engine asks of a guest. What is not known is Unknown in a map, and raised as Undetermined
    where one packet is asked about.
    """

    def __init__(
        self, guest: Guest, like: "Kernel | None" = None, *, unmarked: bool = False, seen: Sequence[Contradiction] = ()
    ) -> None:
        """`like`: the kernel of a guest of which this is a changed copy. The tables that did not change are taken from
        there, and maps that say the same are the same. `unmarked`: packets carry no mark unless something on the guest
        is seen to mark them. `seen`: what the running kernel says otherwise.
        """
        self._guest = guest
        self._seen = seen
        self._marked = marked(guest) if unmarked else None
        self._fields = OpenFields(guest)
        if self._fields.too_many_marks and self._marked == NOTHING:
            self._fields = OpenFields(guest, marks_told_apart=False)
        self._readers = Readers(guest)
        self._tables: TableMaps = like._tables if like is not None else TableMaps()
        effort = Effort()
        self._hosts = tuple(
            Host(guest, state, fields=self._fields, tables=self._tables, effort=effort)
            for state in hidden_states(guest)
        )
        self._hooks = Hooks(guest.hooks, guest.missing.get("hooks"), beneath(guest.interfaces), self._marked)
        self._translation = translation(guest.firewall)
        self._neighbours = Neighbours(guest)
        self._effort = effort
        self.reads_transport = self._fields.read_transport
        self._known = Memo()
        self._by_port: Memo = Memo() if like is None else like._by_port
        self._same: Memo = Memo() if like is None else like._same

    @property
    def takes_marks_for_none(self) -> bool:
        """Whether some answer may rest on packets being unmarked."""
        return (self._readers.read_marks or self._hooks.read_marks) and self._marked is not None

    def interface_state(self, interface: str) -> Received | None:
        """The drop of every packet that comes in by an interface that is down; None where it is up."""
        return arrives(self._hosts[0], interface)

    def ignores_echo(self) -> bool:
        """Whether the guest is set to answer no echo requests (net.ipv4.icmp_echo_ignore_all)."""
        return self._guest.sysctls.get("net/ipv4/icmp_echo_ignore_all", 0) != 0

    def received(self, interface: str, local: int, transport: Transport) -> AddressMap[ByPort]:
        """What becomes of packets to a local address, by their source. A packet that the guest would forward is an
        answer; one that it would take as a broadcast is not modelled.
        """
        box, field = self._box(transport, sending=False)
        of_source = self._fields.read_transport and transport.of_source

        def found() -> AddressMap[ByPort]:
            computed = self._agreed(self._arriving(interface, local), box, field)
            return self._as_seen(computed, interface, local, transport)

        return self._known.once(("received", interface, local, box, field, of_source), found)

    def sent(self, local: int, transport: Transport) -> AddressMap[ByPort]:
        """Where packets from a local address leave the guest, by their destination, whatever their mark, their TOS and
        the user of the program that sends them. From 0: a program that leaves its address to the kernel.
        """
        box, field = self._box(transport, sending=True)
        of_source = self._fields.read_transport and transport.of_source

        def found() -> AddressMap[ByPort]:
            return self._as_seen(self._agreed(self._departing(local), box, field), None, local, transport)

        return self._known.once(("sent", local, box, field, of_source), found)

    def returned(self, interface: str, source: int, transport: Transport) -> AddressMap[ByPort]:
        """What becomes of packets from the address of a container that come in by an interface, by their destination.
        One that the guest forwards is an answer.
        """
        box, _ = self._box(transport, sending=False)
        key = ("returned", interface, source, box)
        return self._known.once(key, lambda: self._agreed(self._returning(interface, source), box, None))

    def take_in(self, interface: str, source: int, destination: int, transport: Transport) -> Received:
        """What becomes of packets to any address, whatever their ports within the ranges, their mark and their TOS.
        Raises Undetermined.
        """
        lookup = self._arriving(interface, destination)
        box, _ = self._box(transport, sending=False)
        found = lookup.told.at(source)
        taken = self._known.once(
            ("taken", interface, destination, box, found),
            lambda: self._judged(common(lookup.worlds(found, box), self._readers)),
        )
        assert isinstance(taken, Received | Unknown)  # noqa: S101 - the outcomes of arrivals are
        return known(taken)

    def send(self, source: int, destination: int, transport: Transport) -> Sent | NotSent:
        """Where packets from a local address leave the guest: as `sent`. Raises Undetermined."""
        lookup = self._departing(source)
        box, _ = self._box(transport, sending=True)
        sent = known(common(lookup.worlds(lookup.told.at(destination), box), self._readers))
        assert isinstance(sent, Sent | NotSent)  # noqa: S101 - the outcomes of departures are
        return sent

    @cached_property
    def ends(self) -> AddressMap[tuple[Hashable, Hashable]]:
        """Of each address two values. Those of one first value fare alike as an end of packets that the guest forwards;
        those of one second value in all that the guest does, and by the same lines.
        """
        maps = list(self._ends())
        tables = {id(table): table for host in self._hosts for table in host.tables}.values()
        fates = zipped([*maps, *[table.mapped(forwarding_fate) for table in tables]])
        return zipped([fates, zipped([*maps, *[table.mapped(id) for table in tables]])])

    def _ends(self) -> Iterator[AddressMap[Hashable]]:
        """What tells addresses apart beside tables."""
        yield self._hosts[0].own
        yield self._neighbours.fixed
        prefixes = [prefix for rule in self._guest.rules for prefix in (rule.src, rule.dst) if prefix is not None]
        yield membership([[prefix_range(prefix)] for prefix in dict.fromkeys([*prefixes, *self._hooks.prefixes()])])

    def port_cuts(self) -> set[int]:
        """The ports at which some answer may change."""
        return set(self._fields.port_cuts)

    def _as_seen(
        self, computed: AddressMap[ByPort], entering: str | None, local: int, transport: Transport
    ) -> AddressMap[ByPort]:
        """What is computed, but for what the running kernel was seen to do otherwise."""
        by_transport = self._fields.read_transport
        seen = [
            each
            for each in self._seen
            if (each.local, each.entering) == (local, entering)
            and (not by_transport or (each.protocol, each.of_source) == (transport.proto, transport.of_source))
        ]
        return self.shared(as_contradicted(computed, seen, self._followed))

    def _followed(self, seen: Contradiction) -> Outcome:
        if isinstance(seen.outcome, Received):
            return self._judged(seen.outcome)
        return self._undisturbed(seen.outcome, self._neighbours.fixed.at(seen.remote))

    def _states(self, interface: str | None) -> tuple[Host, ...]:
        """The hidden states that can differ for what comes in by an interface, or is sent (None): whether local routes
        were changed counts only where a source may be accepted without a look at the way back.
        """
        if interface is not None and or_unknown(lambda: self._hosts[0].conf.rp_filter(interface)) == 0:
            return self._hosts
        return tuple({host.state.custom_rules: host for host in self._hosts}.values())

    def _arriving(self, interface: str, local: int) -> _Lookup:
        """Packets to a local address, by their source."""
        return self._entering(Arrivals, interface, local, self._reception)

    def _returning(self, interface: str, source: int) -> _Lookup:
        """Packets from the address of a container, by their destination."""
        return self._entering(Returns, interface, source, _in_each_state)

    def _entering(
        self, kind: type[Arrivals], interface: str, end: int, worlds: Callable[..., list[list[Part]]]
    ) -> _Lookup:
        def asked() -> tuple[AddressMap[tuple[Any, ...]], list[Arrivals]]:
            arrivals = [kind(host, interface, end) for host in self._states(interface)]
            return zipped([self._hooks.ipsec(end), *[each.situations for each in arrivals]]), arrivals

        told, arrivals = self._known.once((kind, interface, end), asked)
        return _Lookup(told, partial(worlds, arrivals, self._hooks.program(interface)))

    def _departing(self, local: int) -> _Lookup:
        """Packets from a local address, by their destination."""

        def asked() -> tuple[AddressMap[tuple[Any, ...]], list[Departures]]:
            ways = [Departures(host, local) for host in self._states(None)]
            return zipped([self._hooks.ipsec(local), self._neighbours.fixed, *[each.found for each in ways]]), ways

        told, departures = self._known.once(("departing", local), asked)
        return _Lookup(told, partial(self._departure, departures))

    def _box(self, transport: Transport, *, sending: bool) -> tuple[Box, int | None]:
        """The packets, and the field of the port that the flow is about where some rule may tell its values apart.
        What no policy rule reads is left out, so that all protocols share one answer.
        """
        marks = None if self._marked is None else self._marked.sent if sending else self._marked.incoming
        if not self._fields.read_transport:
            return self._fields.box(0, NO_PORTS, NO_PORTS, sending=sending, marks=marks), None
        proto, sports, dports, of_source = transport
        box = self._fields.box(proto, sports, dports, sending=sending, marks=marks)
        return box, None if proto == ICMP else SPORT if of_source else DPORT

    def _reception(
        self, arrivals: Sequence[Arrivals], doubt: Unknown | None, found: Sequence[Any], box: Box
    ) -> list[list[Part]]:
        worlds = _in_each_state(arrivals, doubt, found, box)
        if any(_is_not_local(fate) for each in worlds for _, fate in each):
            # whoever answers for an address that is none of the guest's may do so by a mark (TPROXY)
            worlds = _in_each_state(arrivals, doubt, found, self._fields.of_any_mark(box))
        return [[(part, self._unless_led_elsewhere(fate)) for part, fate in each] for each in worlds]

    def _unless_led_elsewhere(self, fate: Outcome) -> Outcome:
        return self._translation if self._translation is not None and _is_not_local(fate) else fate

    def _judged(self, outcome: Outcome) -> Outcome:
        """An outcome but for what is not modelled of it."""
        if isinstance(outcome, Several):
            return in_each_world(outcome, self._judged)
        if not isinstance(outcome, Received):
            return outcome
        if outcome.reception is Reception.BROADCAST:
            return Unknown("the destination is a broadcast address to the guest")
        if outcome.reception in {Reception.DELIVERED, Reception.FORWARDED}:
            doubt = self._hooks.source_match or self._hooks.everywhere
            leaving = (self._hooks.program_out(interface) for interface in outcome.egress)
            doubt = doubt or next((program for program in leaving if program is not None), None)
            if doubt is not None:
                return doubt
        return outcome

    def _departure(self, departures: Sequence[Departures], found: Sequence[Any], box: Box) -> list[list[Part]]:
        ipsec, fixed, *trees = found
        if ipsec is not None:
            return [[(box, ipsec)]]
        return [
            [(part, self._undisturbed(the_way(ways), fixed)) for part, ways in each.ways(tree, box)]
            for each, tree in zip(departures, trees, strict=True)
        ]

    def _undisturbed(self, way: Sent | NotSent | Unknown, fixed: frozenset[str]) -> Sent | NotSent | Unknown:
        """A way out, where nothing that is not modelled may change it. `fixed`: the interfaces by which the remote is a
        permanent neighbour.
        """
        if isinstance(way, Several):
            return in_each_world(way, lambda world: self._undisturbed(world, fixed))
        if isinstance(way, Unknown):
            return way
        if isinstance(way, NotSent):
            return self._hooks.everywhere or way
        return self._hooks.program_out(way.interface) or self._neighbours.doubt(way, fixed) or way

    def _agreed(self, lookup: _Lookup, box: Box, field: int | None) -> AddressMap[ByPort]:
        """What all worlds come to, by what is told of an address, and by the port that the flow is about."""
        known = Memo()

        def agree(found: Sequence[Any]) -> ByPort:
            try:
                parts = list(self._ports_apart(lookup.worlds(found, box), field, box))
            except Undetermined as reason:
                parts = [(0, Unknown(str(reason)))]
            ports = joined((start, self._judged(outcome)) for start, outcome in parts)
            return self._same_ports(ports)

        return lookup.told.mapped(lambda found: known.once(found, lambda: agree(found)))

    def _port_by_port(
        self, maps: Sequence[AddressMap[AddressMap[Any]]], judge: Callable[[tuple[Any, ...]], Outcome]
    ) -> AddressMap[ByPort]:
        """What is judged of what several maps hold, remote by remote and port by port."""
        known = Memo()

        def judged(at: tuple[AddressMap[Any], ...]) -> ByPort:
            return known.once(at, lambda: self._same_ports(zipped(at).mapped(judge)))

        return self.shared(zipped(maps).mapped(judged))

    def _same_ports(self, ports: ByPort) -> ByPort:
        """The same map wherever ports fare the same."""
        return self._by_port.once((*ports.starts, *ports.values), lambda: ports)

    def shared(self, found: AddressMap[ByPort]) -> AddressMap[ByPort]:
        """The same map wherever all that it says is the same, also with the kernel that this one is like."""
        return self._same.once((tuple(found.starts), tuple(map(id, found.values))), lambda: found)

    def _ports_apart(self, worlds: list[list[Part]], field: int | None, box: Box) -> Iterable[tuple[int, Outcome]]:
        """The first port of each stretch that fares alike, with what all worlds come to there."""
        if field is None or all(part[field] == box[field] for each in worlds for part, _ in each):
            return [(0, common(worlds, self._readers))]
        readers: dict[int, list[tuple[int, int]]] = {}
        for host, each in enumerate(worlds):
            for number, (part, _) in enumerate(each):
                ports = part[field]
                self._effort.spend(ports.bit_count())
                while ports:
                    low = ports & -ports
                    readers.setdefault(low.bit_length() - 1, []).append((host, number))
                    ports ^= low
        known: dict[tuple[tuple[int, int], ...], Outcome] = {}
        found = []
        starts = self._fields.port_starts()
        for place in sorted(readers):
            which = tuple(readers[place])
            if which not in known:
                here: list[list[Part]] = [[] for _ in worlds]
                for host, number in which:
                    part, outcome = worlds[host][number]
                    here[host].append((part if len(which) == 1 else part.narrowed(field, 1 << place), outcome))
                known[which] = common(here, self._readers)
            found.append((starts[place], known[which]))
        return [(0, found[0][1]), *found[1:]]


def _in_each_state(
    arrivals: Sequence[Arrivals], doubt: Unknown | None, found: Sequence[Any], box: Box
) -> list[list[Part]]:
    """What becomes of packets that come in. `doubt`: a program that sees them first."""
    ipsec, *situations = found
    doubt = doubt or ipsec
    if doubt is not None:
        return [[(box, doubt)]]
    return [list(each.outcomes(at, box)) for each, at in zip(arrivals, situations, strict=True)]


def _is_not_local(fate: Outcome) -> bool:
    return isinstance(fate, Received) and fate.reception is Reception.NOT_LOCAL
