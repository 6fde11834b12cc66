"""A guest's kernel over all that is not known of it: hidden state, packet marks, the ports that a client may use.

Each question is answered in every possible world; an answer is given only where all of them agree.
"""

from collections.abc import Callable, Hashable
from itertools import product
from typing import TypeVar

from vnicheck.kernel import variants
from vnicheck.kernel.hooks import Hooks
from vnicheck.kernel.host import Host, hidden_states
from vnicheck.kernel.packet import ICMP, Packet
from vnicheck.kernel.receive import Received, Reception, arrives, receive
from vnicheck.kernel.send import NotSent, Sent, send
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import LAST, parse_address, prefix_range
from vnicheck.model.guest import Guest

Range = tuple[int, int]
NO_PORTS: Range = (0, 0)
Answer = TypeVar("Answer", Received, Sent | NotSent)
Key = TypeVar("Key", bound=Hashable)

_HIDDEN = "it depends on whether rules or local routes were ever changed on the guest, which no dump shows"
_OPEN = {"mark": "the packet's mark", "tos": "the packet's TOS", "uid": "the user of the program", "sport": "a port"}


class Kernel:
    """The questions that the engine asks of a guest. Every answer may be an Undetermined exception."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._hosts = tuple(Host(guest, state) for state in hidden_states(guest))
        self._hooks = Hooks(guest.hooks, guest.missing.get("hooks"))
        self._marks = variants.marks(guest.rules)
        self._tos = variants.tos_values(guest.rules, guest.routes)
        self._users = variants.users(guest.rules)
        self._port_cuts = variants.port_cuts(guest.rules)
        self.reads_transport = bool(self._port_cuts) or any(rule.ipproto is not None for rule in guest.rules)
        self._received: dict[tuple[str, Packet, Range, Range], Received | str] = {}
        self._sent: dict[tuple[Packet, Range, Range], Sent | NotSent | str] = {}

    def interface_state(self, interface: str) -> Received | None:
        """The drop of every packet that comes in by an interface that is down; None where it is up."""
        return arrives(self._hosts[0], interface)

    def receive(self, interface: str, packet: Packet, sports: Range, dports: Range) -> Received:
        """What becomes of a packet to a local address, whatever its ports within the ranges (0, 0 for ICMP), its mark
        and its TOS. A packet that the guest would forward, or take as a broadcast, is not modelled.
        """
        received = self.take_in(interface, packet, sports, dports)
        if received.reception is Reception.FORWARDED:
            raise Undetermined(f"{received.reason}, which is not modelled")
        return received

    def take_in(self, interface: str, packet: Packet, sports: Range, dports: Range) -> Received:
        """What becomes of a packet to any address: as `receive`, but one that the guest forwards is an answer too."""
        packet, sports, dports = self._essential(packet, sports, dports)
        key = (interface, packet, sports, dports)

        def compute() -> Received:
            self._hooks.require_no_program(interface)
            self._hooks.require_no_ipsec(packet.source, packet.destination)
            received = self._in_all_worlds(
                lambda host, variant: receive(host, variant, interface), self._variants(packet, sports, dports, (0,))
            )
            if received.reception is Reception.BROADCAST:
                raise Undetermined("the destination is a broadcast address to the guest")
            if received.reception in {Reception.DELIVERED, Reception.FORWARDED}:
                self._hooks.require_no_source_match()
            return received

        return _remembered(self._received, key, compute)

    def send(self, packet: Packet, sports: Range, dports: Range) -> Sent | NotSent:
        """Where a packet from a local address leaves the guest, whatever its ports within the ranges, its mark, its TOS
        and the user of the program that sends it. From 0: a program that leaves its address to the kernel.
        """
        packet, sports, dports = self._essential(packet, sports, dports)

        def compute() -> Sent | NotSent:
            self._hooks.require_no_ipsec(packet.source, packet.destination)
            return self._in_all_worlds(send, self._variants(packet, sports, dports, self._users))

        return _remembered(self._sent, (packet, sports, dports), compute)

    def ignores_echo(self) -> bool:
        """Whether the guest is set to answer no echo requests (net.ipv4.icmp_echo_ignore_all)."""
        return self._guest.sysctls.get("net/ipv4/icmp_echo_ignore_all", 0) != 0

    def address_cuts(self) -> set[int]:
        """The addresses at which some answer may change: the first of every prefix and the first after it."""
        prefixes = {route.prefix for route in self._guest.routes} | self._hooks.prefixes()
        prefixes.update(prefix for rule in self._guest.rules for prefix in (rule.src, rule.dst) if prefix is not None)
        ranges = [prefix_range(prefix) for prefix in prefixes]
        for interface in self._guest.interfaces:
            ranges += [(own, own) for own in (parse_address(address.address) for address in interface.addresses)]
        return {cut for first, last in ranges for cut in (first, last + 1) if cut <= LAST}

    def port_cuts(self) -> set[int]:
        """The ports at which some answer may change."""
        return set(self._port_cuts)

    def _essential(self, packet: Packet, sports: Range, dports: Range) -> tuple[Packet, Range, Range]:
        """The packet without what no policy rule reads, so that all protocols share one answer."""
        if self.reads_transport:
            return packet, sports, dports
        return Packet(packet.source, packet.destination, 0), NO_PORTS, NO_PORTS

    def _variants(self, packet: Packet, sports: Range, dports: Range, users: tuple[int, ...]) -> list[Packet]:
        """One packet for each way in which what is open may matter."""
        if self._marks is None:
            raise Undetermined("the policy rules tell too many packet marks apart")
        if not self.reads_transport and len(self._marks) == len(self._tos) == len(users) == 1:
            return [packet]
        ours = variants.ports_within(self._port_cuts, packet.proto, sports)
        theirs = variants.ports_within(self._port_cuts, packet.proto, dports)
        if packet.proto == ICMP and self.reads_transport and users is self._users:
            theirs = (*theirs, variants.ECHO_REQUEST_AS_PORT)
        return [
            Packet(packet.source, packet.destination, packet.proto, sport, dport, mark, tos, uid)
            for sport, dport, mark, tos, uid in product(ours, theirs, self._marks, self._tos, users)
        ]

    def _in_all_worlds(self, ask: Callable[[Host, Packet], Answer], packets: list[Packet]) -> Answer:
        if len(packets) == len(self._hosts) == 1:
            return ask(self._hosts[0], packets[0])
        answers: dict[Hashable, tuple[Answer, Packet]] = {}
        for packet in packets:
            of_packet: set[Hashable] = set()
            for host in self._hosts:
                answer = ask(host, packet)
                essence = _essence(answer)
                of_packet.add(essence)
                answers.setdefault(essence, (answer, packet))
            if len(of_packet) > 1:
                raise Undetermined(_HIDDEN)
        if len(answers) > 1:
            raise Undetermined(f"it depends on {_difference([packet for _, packet in answers.values()])}")
        return next(iter(answers.values()))[0]


def _difference(packets: list[Packet]) -> str:
    """What tells packets of different fates apart, in words."""
    first = packets[0]
    names = [name for name in _OPEN if any(getattr(packet, name) != getattr(first, name) for packet in packets)]
    if any(packet.dport != first.dport for packet in packets) and "sport" not in names:
        names.append("sport")
    return " and ".join(_OPEN[name] for name in names) + ", which the flow leaves open"


def _remembered(memory: dict[Key, Answer | str], key: Key, compute: Callable[[], Answer]) -> Answer:
    """The answer computed once for each key; the words of an Undetermined are remembered as text."""
    answer = memory.get(key)
    if answer is None:
        try:
            answer = compute()
        except Undetermined as undetermined:
            answer = str(undetermined)
        memory[key] = answer
    if isinstance(answer, str):
        raise Undetermined(answer)
    return answer


def _essence(answer: Received | Sent | NotSent) -> Hashable:
    """What an answer comes to, whatever its words."""
    if isinstance(answer, Received):
        return answer.reception, answer.egress, answer.gateways
    if isinstance(answer, Sent):
        return answer.interface, answer.gateway, answer.source
    return "not sent", answer.failure, answer.kind
