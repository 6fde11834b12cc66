"""What the guest's netfilter rules make of a flow's packets, by the other end's address and by port.

A packet that a rule drops, or may drop, is not known to get through: the model knows what rules say, not whether they
are meant. One that they lead to another address is not taken by the server itself.
"""

from collections.abc import Callable, Iterable
from functools import cached_property, partial

from msgspec import Struct
from msgspec.structs import replace

from vnicheck.kernel.filter_addresses import address_sets
from vnicheck.kernel.filter_chains import AtHook, Chains, TooManyRulesError
from vnicheck.kernel.filter_match import Packets, Turn, address_range, port_range
from vnicheck.kernel.filter_tracking import FROM_OWN, ON, TO_OWN, Tracking
from vnicheck.kernel.marks import reflects_marks
from vnicheck.kernel.packet import NO_PORTS, Transport
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import Range, parse_address
from vnicheck.model.address_map import AddressMap, constant, joined, membership
from vnicheck.model.firewall import Firewall, FirewallRule, Selector, Verdict
from vnicheck.model.guest import Guest
from vnicheck.model.interface import beneath
from vnicheck.model.memo import Memo

_PORTS = 65536
_IN = ("ingress", "prerouting", "input")
_OUT = ("output", "postrouting", "egress")
_THROUGH = ("ingress", "prerouting", "forward", "postrouting", "egress")
_EVERY = tuple(dict.fromkeys((*_IN, *_OUT, *_THROUGH)))
_ADDRESSES = {Selector.SOURCE, Selector.DESTINATION}
_PORT_SELECTORS = {Selector.SOURCE_PORT, Selector.DESTINATION_PORT}


class Led(Struct, frozen=True):
    """A rule leads the connection to another address, or may do so: `target`, where it says which. `to`: the one
    address and the ports to which it surely leads all connections to `ports`; None: it is not known.
    """

    rule: str
    target: str | None
    surely: bool
    ports: Range = NO_PORTS
    to: tuple[int, Range] | None = None


Judged = Led | Unknown | None
"""None: the packets get through, as they are."""
Rulings = AddressMap[Judged]
_UNTRACKED = Unknown("netfilter keeps it out of connection tracking, and translates nothing of it")
_TOO_MANY = Unknown("the firewall's rules tell too many packets apart")


class Filters:
    """The firewall of a guest. Answers are by the other end's address and by the port that the flow is about."""

    def __init__(self, guest: Guest, firewall: Firewall) -> None:
        links = [link for link in guest.interfaces if len(link.addresses) == 1]
        self._only_address = {link.name: parse_address(link.addresses[0].address) for link in links}
        """Of several the kernel takes one by the next hop."""
        self._chains = Chains(firewall, self._only_address, beneath(guest.interfaces))
        self._of = (firewall, guest.interfaces)
        self._reflects = reflects_marks(guest)
        self._known = Memo()
        self._own = {parse_address(each.address) for link in guest.interfaces for each in link.addresses}
        arp = self._chains.against_arp()
        self._arp = (
            None if arp is None else Unknown(f"a rule may keep the guest from finding its next hop by ARP ({arp})")
        )
        self._bridged: dict[str | None, Unknown] = {}
        frames = self._chains.against_frames()
        if frames is not None:
            bridges = {link.name for link in guest.interfaces if link.kind == "bridge"}
            masters = {link.master for link in guest.interfaces if link.master is not None}  # kinds may be hidden
            doubt = Unknown(f"a rule may stop what crosses the bridge ({frames})")
            self._bridged = dict.fromkeys(sorted(bridges | masters), doubt)
        strange = firewall.unmodelled
        self._strange = Unknown(f"a line of the firewall is not understood ({strange[0]})") if strange else None
        rules = list(self._chains.rules_of(*_EVERY))
        self._tracking = Tracking(self._chains, rules, [link.name for link in guest.interfaces])
        self.matters = (
            self._strange is not None
            or self._arp is not None
            or bool(self._bridged)
            or self._chains.matters(*_IN, *_OUT, *_THROUGH)
        )
        """Whether any packet may fare worse by it."""

    def are_of(self, guest: Guest) -> bool:
        """Whether these are the filters of a guest."""
        same = self._of[0] is guest.firewall and self._of[1] == guest.interfaces
        return same and self._reflects == reflects_marks(guest)

    def incoming(self, interface: str, local: int, transport: Transport) -> AddressMap[Rulings]:
        """Of packets to a local address that come in by an interface. Those about whose source ports a flow is belong
        to a connection that the server opened.
        """

        def judge(remote: int, ports: Range) -> Judged:
            packets = self._packets(transport.at(ports), remote, local, iif=interface)
            return self._tracking.all_of(packets, TO_OWN, self._taken)

        key = (_IN, interface, local, transport)
        return self._known.once(key, lambda: self._by_remote(_IN, Selector.SOURCE, judge, transport.ports))

    def outgoing(self, interface: str, local: int, transport: Transport, *, led: bool = False) -> AddressMap[Rulings]:
        """Of packets from a local address that leave by an interface: as `incoming`. `led`: they answer what was led to
        another port of it.
        """

        def judge(remote: int, ports: Range) -> Judged:
            packets = self._packets(transport.at(ports), local, remote, oif=interface)
            marked = self._reflects and transport.of_source and self._chains.marks_connections
            packets = replace(packets, own=False, sent=True, translated=led, marked=marked)
            return self._tracking.all_of(packets, FROM_OWN, self._sent)

        key = (_OUT, interface, local, transport, led)
        return self._known.once(key, lambda: self._by_remote(_OUT, Selector.DESTINATION, judge, transport.ports))

    def led_on(self, led: Led, iif: str, oif: str | None, local: int, transport: Transport) -> AddressMap[Rulings]:
        """Of packets to a local address that a rule surely leads elsewhere and that are forwarded there, or (without
        `oif`) to another port of it.
        """

        assert led.to is not None  # noqa: S101 - the caller has looked
        address, there = led.to

        def judge(remote: int, ports: Range) -> Judged:
            packets = self._packets(transport.at(ports), remote, local, iif=iif)
            led_to = address, ports if there == led.ports else there
            if oif is None:
                return self._tracking.all_of(packets, TO_OWN, partial(self._taken, led=True), led_to=led_to)
            on = partial(self._passed_on, iif=iif, oif=oif, led=True)
            return self._tracking.all_of(packets, ON, on, led_to=led_to)

        key = ("led on", led, iif, oif, local, transport)
        return self._known.once(key, lambda: self._by_remote(_IN + _THROUGH, Selector.SOURCE, judge, led.ports))

    def led_back(self, led: Led, iif: str, oif: str, local: int, transport: Transport) -> AddressMap[Rulings]:
        """Of what answers them: it is forwarded as it comes from where they were led, and gets the local address for
        its source somewhere behind that.
        """
        assert led.to is not None  # noqa: S101 - the caller has looked
        senders = (led.to, (local, led.ports))

        def judge(remote: int, _: Range) -> Judged:
            said = []
            for source, sports in senders:
                packets = self._packets(transport.at(sports), source, remote, iif=iif)
                packets = replace(packets, translated=True, own=False)
                said.append(self._tracking.all_of(packets, ON, partial(self._passed_on, iif=iif, oif=oif)))
            return said[0] or said[1]

        key = ("led back", led, iif, oif, local, transport)
        return self._known.once(key, lambda: self._by_remote(_THROUGH, Selector.DESTINATION, judge, NO_PORTS))

    def forwarded(
        self, iif: str, oif: str, source: int, destination: int, transport: Transport, *, answered: bool = True
    ) -> Unknown | None:
        """Of packets that the guest forwards as they are. Not `answered`: what answers them goes past the guest."""
        packets = replace(self._packets(transport, source, destination, iif=iif), own=False)
        on = partial(self._passed_on, iif=iif, oif=oif)
        ruling = self._guarded(lambda: self._tracking.all_of(packets, ON, on, answered=answered))
        return ruling if isinstance(ruling, Unknown) else None

    @cached_property
    def named(self) -> AddressMap[int]:
        """Which of the sets of addresses that rules name hold an address: all that they tell apart."""
        return membership(list(address_sets(self._chains.rules_of(*_EVERY), _ADDRESSES)))

    def port_cuts(self) -> set[int]:
        """The ports at which some answer may change."""
        return set(_port_cuts(self._chains.rules_of(*_EVERY)))

    def _passed_on(self, packets: Packets, iif: str, oif: str, *, led: bool = False) -> Unknown | None:
        """`led`: they are given their destination on the way."""
        beneath = self._arp or self._bridged.get(iif) or self._bridged.get(oif)
        if beneath is not None:
            return beneath
        for hook in _THROUGH:
            if hook == "forward":
                packets = replace(packets, oif=oif)
            if hook == "postrouting":
                packets = replace(packets, iif=None)
            passage, packets = self._chains.pass_hook(hook, packets, oif if hook == "egress" else iif)
            doubt = _stopped(passage, packets) or (None if led and hook == "prerouting" else _translated(passage))
            doubt = doubt or _untranslated(packets)
            if doubt is not None:
                return doubt
        return None

    def _taken(self, packets: Packets, *, led: bool = False) -> Judged:
        """`led`: they are given another port on the way."""
        if packets.iif in self._bridged:
            return self._bridged[packets.iif]
        ports = packets.dports
        for hook in _IN:
            passage, packets = self._chains.pass_hook(hook, packets, packets.iif)
            doubt = _stopped(passage, packets) or (_untranslated(packets) if led else None)
            if doubt is not None:
                return doubt
            if passage.translated and hook != "prerouting":
                return _translated(passage)
            if passage.translated and not led:
                rule, surely = passage.translated[0]
                to = (packets.destination, packets.dports) if packets.translated and surely else None
                return Led(rule.text, rule.target, surely, ports, to)
        return None

    def _sent(self, packets: Packets) -> Judged:
        device = packets.oif
        beneath = self._arp or self._bridged.get(device)
        if beneath is not None:
            return beneath
        for hook in _OUT:
            passage, packets = self._chains.pass_hook(hook, packets, device)
            kept = tuple(each for each in passage.translated if not self._keeps_source(each[0], packets, device))
            doubt = _stopped(passage, packets) or _translated(AtHook(translated=kept)) or _untranslated(packets)
            if doubt is not None:
                return doubt
        return None

    def _keeps_source(self, rule: FirewallRule, packets: Packets, device: str | None) -> bool:
        """Whether the source that a rule gives is the one that the packets have."""
        if rule.verdict is Verdict.MASQUERADE:
            return device is not None and self._only_address.get(device) == packets.source
        if rule.verdict is not Verdict.SNAT or rule.target is None:
            return False
        return address_range(rule.target.split(":")[0]) == (packets.source, packets.source)

    def _packets(
        self, transport: Transport, source: int, destination: int, iif: str | None = None, oif: str | None = None
    ) -> Packets:
        return Packets(
            iif=iif,
            oif=oif,
            source=source,
            destination=destination,
            proto=transport.proto,
            sports=transport.sports,
            dports=transport.dports,
            turn=Turn.ANSWERS if transport.of_source else Turn.OPENS,
            state="established" if transport.of_source else "new",
            own=True if destination in self._own else None,
            connection_marked=self._chains.marks_connections,
        )

    def _guarded(self, judge: Callable[[], Judged]) -> Judged:
        if self._strange is not None:
            return self._strange
        try:
            return judge()
        except TooManyRulesError:
            return _TOO_MANY

    def _by_remote(
        self, hooks: tuple[str, ...], end: Selector, judge: Callable[[int, Range], Judged], ports: Range
    ) -> AddressMap[Rulings]:
        """What is judged of each remote; those fare alike that the same rules name, for the end at which it is."""
        if self._strange is not None:
            return constant(constant(self._strange))
        if not (self._chains.matters(*hooks) or self._bridged or (self._arp is not None and hooks != _IN)):
            return constant(constant(None))
        if self._chains.untracks:  # whether they are tracked is asked of what goes the other way, too
            rules, ends = list(self._chains.rules_of(*_EVERY)), _ADDRESSES
        else:
            rules, ends = list(self._chains.rules_of(*hooks)), {end}
        apart = membership(list(address_sets(rules, ends)))
        cuts = _port_cuts(rules)
        known = Memo()
        ruled = [
            known.once(held, partial(self._by_port, judge, first, ports, cuts))
            for first, held in zip(apart.starts, apart.values, strict=True)
        ]
        return AddressMap(apart.starts, ruled)

    def _by_port(self, judge: Callable[[int, Range], Judged], remote: int, ports: Range, cuts: list[int]) -> Rulings:
        """Ports are told apart where a rule that was asked does so; such as are led elsewhere, where any rule does."""
        judged: dict[int, Judged] = {}
        waiting = [ports]
        while waiting:
            first, last = waiting.pop()
            self._chains.cuts.clear()
            ruling = self._guarded(partial(judge, remote, (first, last)))
            told = cuts if isinstance(ruling, Led) else sorted(self._chains.cuts)
            inside = [cut for cut in told if first < cut <= last]
            if inside:
                waiting += zip([first, *inside], [*[cut - 1 for cut in inside], last], strict=True)
            else:
                judged[first] = ruling
        return joined((0 if first == ports[0] else first, judged[first]) for first in sorted(judged))


def _stopped(passage: AtHook, packets: Packets) -> Unknown | None:
    if not passage.stopped:
        return None
    what = "what follows a connection's first packet" if packets.turn is Turn.FOLLOWS else "it"
    return Unknown(f"the guest's firewall stops {what}, or may do so ({passage.stopped[0].text})")


def _untranslated(packets: Packets) -> Unknown | None:
    """A connection's addresses are translated in what is tracked alone."""
    return _UNTRACKED if packets.translated and packets.state in {None, "untracked"} else None


def _translated(passage: AtHook) -> Unknown | None:
    if not passage.translated:
        return None
    return Unknown(f"netfilter may give it other addresses ({passage.translated[0][0].text})")


def _port_cuts(rules: Iterable[FirewallRule]) -> list[int]:
    told = {
        value for rule in rules for match in rule.matches if match.selector in _PORT_SELECTORS for value in match.values
    }
    ranges = [each for value in told if (each := port_range(value)) is not None]
    return sorted({cut for first, last in ranges for cut in (first, last + 1) if 0 < cut < _PORTS})
