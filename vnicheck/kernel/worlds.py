"""A guest's kernel over all that is not known of it: hidden state, packet marks, the ports that a client may use.

Each question is answered in every possible world; an answer is given only where all of them agree.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from vnicheck.kernel.host import Host, hidden_states
from vnicheck.kernel.packet import ICMP, Packet
from vnicheck.kernel.receive import Received, arrives, receive
from vnicheck.kernel.send import NotSent, Sent, send
from vnicheck.kernel.undetermined import Undetermined, agreed
from vnicheck.model.address import LAST, prefix_range
from vnicheck.model.guest import Guest

Range = tuple[int, int]
NO_PORTS: Range = (0, 0)
Answer = TypeVar("Answer", Received, Sent | NotSent)
Key = TypeVar("Key", bound=Hashable)


class Kernel:
    """The questions that the engine asks of a guest. Every answer may be an Undetermined exception."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._hosts = tuple(Host(guest, state) for state in hidden_states(guest))
        self._marks = tuple(sorted({0} | {rule.fwmark for rule in guest.rules if rule.fwmark is not None}))
        self._port_cuts = _port_cuts(guest)
        self.reads_transport = bool(self._port_cuts) or any(
            rule.ipproto is not None or rule.uid_range is not None for rule in guest.rules
        )
        self._received: dict[tuple[str, Packet, Range, Range], Received | str] = {}
        self._sent: dict[tuple[Packet, Range, Range], Sent | NotSent | str] = {}

    def interface_state(self, interface: str) -> Received | None:
        """The drop of every packet that comes in by an interface that is down; None where it is up."""
        return arrives(self._hosts[0], interface)

    def receive(self, interface: str, packet: Packet, sports: Range, dports: Range) -> Received:
        """What becomes of a packet to a local address, whatever its ports within the ranges (0, 0 for ICMP)."""
        packet, sports, dports = self._essential(packet, sports, dports)
        key = (interface, packet, sports, dports)
        return _remembered(
            self._received,
            key,
            lambda: self._in_all_worlds(
                lambda host, variant: receive(host, variant, interface), packet, sports, dports
            ),
        )

    def send(self, packet: Packet, sports: Range, dports: Range) -> Sent | NotSent:
        """Where a packet from a local address leaves the guest, whatever its ports within the ranges."""
        packet, sports, dports = self._essential(packet, sports, dports)
        return _remembered(
            self._sent, (packet, sports, dports), lambda: self._in_all_worlds(send, packet, sports, dports)
        )

    def ignores_echo(self) -> bool:
        """Whether the guest is set to answer no echo requests (net.ipv4.icmp_echo_ignore_all)."""
        return self._guest.sysctls.get("net/ipv4/icmp_echo_ignore_all", 0) != 0

    def address_cuts(self) -> set[int]:
        """The addresses at which some answer may change: the first of every prefix and the first after it."""
        prefixes = {route.prefix for route in self._guest.routes}
        prefixes.update(prefix for rule in self._guest.rules for prefix in (rule.src, rule.dst) if prefix is not None)
        cuts = {cut for first, last in map(prefix_range, prefixes) for cut in (first, last + 1)}
        return {cut for cut in cuts if cut <= LAST}

    def port_cuts(self) -> set[int]:
        """The ports at which some answer may change."""
        return set(self._port_cuts)

    def _essential(self, packet: Packet, sports: Range, dports: Range) -> tuple[Packet, Range, Range]:
        """The packet without what no policy rule reads, so that all protocols share one answer."""
        if self.reads_transport:
            return packet, sports, dports
        return Packet(packet.source, packet.destination, 0), NO_PORTS, NO_PORTS

    def _in_all_worlds(
        self, ask: Callable[[Host, Packet], Answer], packet: Packet, sports: Range, dports: Range
    ) -> Answer:
        variants = [
            Packet(packet.source, packet.destination, packet.proto, sport, dport, mark)
            for sport in self._representatives(packet.proto, sports)
            for dport in self._representatives(packet.proto, dports)
            for mark in self._marks
        ]
        answers: dict[Hashable, Answer] = {}
        for host in self._hosts:
            for variant in variants:
                answer = ask(host, variant)
                answers.setdefault(_essence(answer), answer)
        if len(variants) > 1:
            differs = "it depends on the packet's mark or on a port that is not known"
        else:
            differs = "it depends on whether rules or local routes were ever changed on the guest, which no dump shows"
        return answers[agreed(answers, differs)]

    def _representatives(self, proto: int, ports: Range) -> Iterable[int]:
        first, last = ports
        return (first, *(cut for cut in self._port_cuts if proto != ICMP and first < cut <= last))


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
        return answer.reception
    if isinstance(answer, Sent):
        return answer.interface, answer.gateway
    return "not sent", answer.failure


def _port_cuts(guest: Guest) -> tuple[int, ...]:
    ranges = [ports for rule in guest.rules for ports in (rule.sport, rule.dport) if ports is not None]
    return tuple(sorted({port for first, last in ranges for port in (first, last + 1) if port <= 65535}))
