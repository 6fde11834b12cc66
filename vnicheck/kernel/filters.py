"""What the guest's netfilter rules make of a flow's packets, by the other end's address and by port.

A packet that a rule drops, or may drop, is not known to get through: the model knows what rules say, not whether they
are meant. One that they lead to another address is not taken by the server itself.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from itertools import pairwise

import msgspec
from msgspec import Struct

from vnicheck.kernel.filter_chains import Chains, Passage, TooManyRulesError
from vnicheck.kernel.filter_match import Packets, address_range, port_range
from vnicheck.kernel.packet import Packet
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import Range, parse_address
from vnicheck.model.address_map import AddressMap, constant, joined, membership
from vnicheck.model.firewall import Firewall, FirewallRule, Selector, Verdict
from vnicheck.model.guest import Guest
from vnicheck.model.memo import Memo

_PORTS = 65536
_IN = ("ingress", "prerouting", "input")
_OUT = ("output", "postrouting", "egress")
_THROUGH = ("ingress", "prerouting", "forward", "postrouting", "egress")
_EVERY = tuple(dict.fromkeys((*_IN, *_OUT, *_THROUGH)))
_ADDRESSES = {Selector.SOURCE, Selector.DESTINATION}
_PORT_SELECTORS = {Selector.SOURCE_PORT, Selector.DESTINATION_PORT}


class Led(Struct, frozen=True):
    """A rule leads the connection to another address or port, or may do so: `target`, where it says which."""

    rule: str
    target: str | None
    surely: bool


Judged = Led | Unknown | None
"""None: the packets get through, as they are."""
ByPort = AddressMap[Judged]
_TOO_MANY = Unknown("the firewall's rules tell too many packets apart")


class Filters:
    """The firewall of a guest. Answers are by the other end's address and by the port that the flow is about."""

    def __init__(self, guest: Guest, firewall: Firewall) -> None:
        self._chains = Chains(firewall)
        self._of = (firewall, guest.interfaces)
        self._known = Memo()
        self._first_address = {
            interface.name: parse_address(interface.addresses[0].address)
            for interface in guest.interfaces
            if interface.addresses
        }
        self._own = {parse_address(each.address) for link in guest.interfaces for each in link.addresses}
        strange = firewall.unmodelled
        self._strange = Unknown(f"a line of the firewall is not understood ({strange[0]})") if strange else None
        self.matters = self._strange is not None or self._chains.matters(*_IN, *_OUT, *_THROUGH)
        """Whether any packet may fare worse by it."""

    def are_of(self, guest: Guest) -> bool:
        """Whether these are the filters of a guest."""
        return self._of[0] is guest.firewall and self._of[1] == guest.interfaces

    def incoming(
        self, interface: str, local: int, proto: int, sports: Range, dports: Range, *, answer: bool
    ) -> AddressMap[ByPort]:
        """Of packets to a local address that come in by an interface. An `answer` belongs to a connection that the
        server opened, and it is the source port that the flow is about.
        """
        known = self._packets(proto, sports, dports, answer=answer)
        own = True if local in self._own else None
        packets = msgspec.structs.replace(known, iif=interface, destination=local, own=own)
        return self._by_remote(_IN, packets)

    def outgoing(
        self, interface: str, local: int, proto: int, sports: Range, dports: Range, *, answer: bool
    ) -> AddressMap[ByPort]:
        """Of packets from a local address that leave by an interface: as `incoming`."""
        known = self._packets(proto, sports, dports, answer=answer)
        return self._by_remote(_OUT, msgspec.structs.replace(known, oif=interface, source=local, own=False))

    def forwarded(
        self, iif: str, oif: str, packet: Packet, sports: Range, dports: Range, *, answer: bool
    ) -> Unknown | None:
        """Of packets that the guest forwards as they are."""
        known = self._packets(packet.proto, sports, dports, answer=answer)
        packets = msgspec.structs.replace(
            known, iif=iif, source=packet.source, destination=packet.destination, own=False
        )
        ruling = self._guarded(lambda: self._passed_on(packets, iif, oif))
        return ruling if isinstance(ruling, Unknown) else None

    @cached_property
    def named(self) -> AddressMap[int]:
        """Which of the sets of addresses that rules name hold an address: all that they tell apart."""
        return membership(list(_address_sets(self._chains.rules_of(*_EVERY))))

    def port_cuts(self) -> set[int]:
        """The ports at which some answer may change."""
        return set(_port_cuts(self._chains.rules_of(*_EVERY)))

    def _passed_on(self, packets: Packets, iif: str, oif: str) -> Unknown | None:
        for hook in _THROUGH:
            if hook == "forward":
                packets = msgspec.structs.replace(packets, oif=oif)
            if hook == "postrouting":
                packets = msgspec.structs.replace(packets, iif=None)
            passage, packets = self._chains.pass_hook(hook, packets, oif if hook == "egress" else iif)
            doubt = _stopped(passage) or _translated(passage)
            if doubt is not None:
                return doubt
        return None

    def _taken(self, packets: Packets) -> Judged:
        for hook in _IN:
            passage, packets = self._chains.pass_hook(hook, packets, packets.iif)
            doubt = _stopped(passage)
            if doubt is not None:
                return doubt
            for rule, surely in passage.translated:
                return Led(rule.text, rule.target, surely) if hook == "prerouting" else _translated(passage)
        return None

    def _sent(self, packets: Packets) -> Judged:
        device = packets.oif
        for hook in _OUT:
            passage, packets = self._chains.pass_hook(hook, packets, device)
            kept = tuple(each for each in passage.translated if not self._keeps_source(each[0], packets, device))
            doubt = _stopped(passage) or _translated(Passage(translated=kept))
            if doubt is not None:
                return doubt
        return None

    def _keeps_source(self, rule: FirewallRule, packets: Packets, device: str | None) -> bool:
        """Whether the source that a rule gives is the one that the packets have."""
        if rule.verdict is Verdict.MASQUERADE:
            return device is not None and self._first_address.get(device) == packets.source
        if rule.verdict is not Verdict.SNAT or rule.target is None:
            return False
        return address_range(rule.target.split(":")[0]) == (packets.source, packets.source)

    def _packets(self, proto: int, sports: Range, dports: Range, *, answer: bool) -> Packets:
        return Packets(
            iif=None,
            oif=None,
            source=0,
            destination=0,
            proto=proto,
            sports=sports,
            dports=dports,
            state="established" if answer else "new",
            connection_marked=self._chains.marks_connections,
        )

    def _guarded(self, judge: Callable[[], Judged]) -> Judged:
        if self._strange is not None:
            return self._strange
        try:
            return judge()
        except TooManyRulesError:
            return _TOO_MANY

    def _by_remote(self, hooks: tuple[str, ...], packets: Packets) -> AddressMap[ByPort]:
        """What is judged of packets from or to each remote; those that the same rules name fare alike."""
        if self._strange is not None:
            return constant(constant(self._strange))
        if not self._chains.matters(*hooks):
            return constant(constant(None))
        return self._known.once((hooks, packets), lambda: self._told_apart(hooks, packets))

    def _told_apart(self, hooks: tuple[str, ...], packets: Packets) -> AddressMap[ByPort]:
        rules = list(self._chains.rules_of(*hooks))
        apart, cuts = membership(list(_address_sets(rules))), _port_cuts(rules)
        judge, end = (self._taken, "source") if hooks is _IN else (self._sent, "destination")
        field, ports = ("sports", packets.sports) if packets.state == "established" else ("dports", packets.dports)

        def by_port(remote: int) -> Iterator[tuple[int, Judged]]:
            starts = [ports[0], *(cut for cut in cuts if ports[0] < cut <= ports[1])]
            for start, after in pairwise([*starts, ports[1] + 1]):
                some = msgspec.structs.replace(packets, **{end: remote, field: (start, after - 1)})
                yield 0 if start == ports[0] else start, self._guarded(partial(judge, some))

        firsts: dict[int, int] = {}
        for first, held in zip(apart.starts, apart.values, strict=True):
            firsts.setdefault(held, first)
        told = {held: joined(by_port(first)) for held, first in firsts.items()}
        return AddressMap(apart.starts, [told[held] for held in apart.values])


def _stopped(passage: Passage) -> Unknown | None:
    if not passage.stopped:
        return None
    return Unknown(f"the guest's firewall stops it, or may do so ({passage.stopped[0].text})")


def _translated(passage: Passage) -> Unknown | None:
    if not passage.translated:
        return None
    return Unknown(f"netfilter may give it other addresses ({passage.translated[0][0].text})")


def _address_sets(rules: Iterable[FirewallRule]) -> Iterator[list[Range]]:
    told = {match.values for rule in rules for match in rule.matches if match.selector in _ADDRESSES}
    for values in sorted(told):
        yield [each for value in values if (each := address_range(value)) is not None]


def _port_cuts(rules: Iterable[FirewallRule]) -> list[int]:
    told = {
        value for rule in rules for match in rule.matches if match.selector in _PORT_SELECTORS for value in match.values
    }
    ranges = [each for value in told if (each := port_range(value)) is not None]
    return sorted({cut for first, last in ranges for cut in (first, last + 1) if 0 < cut < _PORTS})
