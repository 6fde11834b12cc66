"""The model's answer beside the kernel's."""

import errno
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, field

from tests.lab.differential.rtnetlink import KernelAnswer, Question, RouteSocket
from tests.support.one_packet import receive, routes_out, sent_by, taken
from tests.support.packet import Packet
from vnicheck.kernel.fib import Failure
from vnicheck.kernel.host import Host
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.packet import ICMP, NO_PORTS
from vnicheck.kernel.receive import Received, Reception
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import format_address, parse_address
from vnicheck.model.flow import Decider, GuestLines
from vnicheck.model.guest import Guest

_REJECTED_SOURCE = (errno.EINVAL, errno.EXDEV)
_FAILURES = {
    Failure.NO_ROUTE: errno.ENETUNREACH,
    Failure.BLACKHOLE: errno.EINVAL,
    Failure.UNREACHABLE: errno.EHOSTUNREACH,
    Failure.PROHIBIT: errno.EACCES,
}
_CLIENT_PORTS = (1024, 65535)


class Disagreement(Struct, frozen=True):
    """A question with both answers, as text."""

    what: str
    question: Question
    kernel: str
    model: str

    def __str__(self) -> str:
        return f"{self.what}: {describe(self.question)}\n  kernel: {self.kernel}\n  model:  {self.model}"


class Tally(Struct):
    """What was asked: answers compared, those left undetermined by their reason, and all that differ.

    `in_every_world`: answers for each mark, TOS and user that a flow leaves open; `of_several_worlds`: those of them
    where the model says that it depends on these; `not_told`: those of which it says nothing.
    """

    configurations: int = 0
    input: int = 0
    output: int = 0
    over_worlds: int = 0
    in_every_world: int = 0
    of_several_worlds: int = 0
    packets: int = 0
    undetermined: Counter[str] = field(default_factory=Counter)
    undetermined_over_worlds: Counter[str] = field(default_factory=Counter)
    not_told: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    disagreements: list[Disagreement] = field(default_factory=list)

    @property
    def compared(self) -> int:
        """Answers of one exactly known kernel that were compared."""
        return self.input + self.output

    def add(self, other: "Tally") -> None:
        """Count another tally in."""
        self.configurations += other.configurations
        self.input += other.input
        self.output += other.output
        self.over_worlds += other.over_worlds
        self.in_every_world += other.in_every_world
        self.of_several_worlds += other.of_several_worlds
        self.packets += other.packets
        self.undetermined += other.undetermined
        self.undetermined_over_worlds += other.undetermined_over_worlds
        self.not_told += other.not_told
        self.outcomes += other.outcomes
        self.disagreements += other.disagreements


def describe(question: Question) -> str:
    """The question as the `ip route get` that asks it."""
    words = [f"ip route get {format_address(question.destination)}"]
    if question.source:
        words.append(f"from {format_address(question.source)}")
    if question.interface is not None:
        words.append(f"iif {question.interface}")
    words.append(f"ipproto {question.proto}")
    for name in ("sport", "dport", "mark", "tos", "uid"):
        value = getattr(question, name)
        if value:
            words.append(f"{name} {hex(value) if name in {'tos', 'mark'} else value}")
    return " ".join(words)


def compare_all(
    guest: Guest, host: Host, kernel: Kernel, asked: Iterable[Question], route_socket: RouteSocket, tally: Tally
) -> list[tuple[Question, Received]]:
    """Ask each question of the kernel, of the host in its true hidden state, and of the model over all worlds.

    Returns the packets whose source the kernel refused, with the model's answer: the caller tells the reasons apart.
    """
    forwarding = {
        interface.name: bool(guest.sysctls.get(f"net/ipv4/conf/{interface.name}/forwarding", 0))
        for interface in guest.interfaces
    }
    refused: list[tuple[Question, Received]] = []
    for number, question in enumerate(asked):
        if question.interface is not None and not route_socket.knows(question.interface):
            continue
        answer = route_socket.ask(question)
        forwards = forwarding.get(question.interface or "", False)
        received = compare_one(host, question, answer, forwards, tally)
        if received is not None and answer.errno in _REJECTED_SOURCE:
            refused.append((question, received))
        if number % 3 == 0:
            _compare_over_worlds(kernel, question, answer, forwards, tally)
    return refused


def compare_one(
    host: Host, question: Question, answer: KernelAnswer, forwarding: bool, tally: Tally
) -> Received | None:
    """One exactly known packet; of one that comes in, the model's answer where there is one."""
    try:
        if question.interface is None:
            _compare_output(host, question, answer, tally)
            return None
        received = receive(host, question.packet(), question.interface)
    except Undetermined as reason:
        tally.undetermined[_category(reason)] += 1
        return None
    _compare_input(question, received, answer, forwarding, tally)
    return received


def _compare_output(host: Host, question: Question, answer: KernelAnswer, tally: Tally) -> None:
    ways = routes_out(host, question.packet())
    if not isinstance(ways, NotSent) and len({(way.interface, way.gateway, way.source) for way in ways}) > 1:
        tally.undetermined["several next hops (the kernel's choice is one of the candidates)"] += 1
    else:
        tally.output += 1
    tally.outcomes[_outcome(ways)] += 1
    if not output_agrees(ways, answer):
        tally.disagreements.append(Disagreement("output", question, show(answer), str(ways)))


def output_agrees(ways: tuple[Sent, ...] | NotSent, answer: KernelAnswer) -> bool:
    if isinstance(ways, NotSent):
        if ways.kind is not None:
            return answer.type == ways.kind.value
        if ways.failure is None:
            return answer.errno in {errno.ENETUNREACH, errno.EINVAL}
        return answer.errno == _errno(ways.failure, ways.by)
    return answer.type in {"unicast", "anycast"} and any(
        (way.interface, None if way.gateway is None else parse_address(way.gateway))
        == (answer.interface, answer.gateway)
        and (way.source is None or parse_address(way.source) == answer.source)
        for way in ways
    )


def _errno(failure: Failure, by: Decider) -> int:
    """A rule and a route of one name differ in their error (net/ipv4/fib_rules.c, fib_semantics.c)."""
    if failure is Failure.UNREACHABLE and isinstance(by, GuestLines) and by.rule is not None:
        return errno.ENETUNREACH
    return _FAILURES[failure]


def _compare_input(
    question: Question, received: Received, answer: KernelAnswer, forwarding: bool, tally: Tally
) -> None:
    tally.input += 1
    tally.outcomes[f"in {received.reception}"] += 1
    if not input_agrees(received, answer, forwarding):
        tally.disagreements.append(Disagreement("input", question, show(answer), str(received)))


def input_agrees(received: Received, answer: KernelAnswer, forwarding: bool) -> bool:
    if received.reception is Reception.DELIVERED:
        return answer.type == "local"
    if received.reception is Reception.BROADCAST:
        return answer.type == "broadcast"
    if received.reception is Reception.FORWARDED:
        return answer.type == "unicast" and answer.interface in received.egress
    if received.reception is Reception.NOT_LOCAL:
        if not forwarding:
            return answer.errno == errno.EHOSTUNREACH
        if received.failure is None:
            return answer.errno == errno.EINVAL
        return answer.errno == _errno(received.failure, received.by)
    return answer.errno in _REJECTED_SOURCE


def _compare_over_worlds(
    kernel: Kernel, question: Question, answer: KernelAnswer, forwarding: bool, tally: Tally
) -> None:
    """Whatever it does not know of a packet, the model must never contradict the kernel on it."""
    bare = Packet(question.source, question.destination, question.proto)
    sports = dports = NO_PORTS
    if question.proto != ICMP:
        dports = (question.dport, question.dport)
        sports = _CLIENT_PORTS if question.sport >= _CLIENT_PORTS[0] else (question.sport, question.sport)
    try:
        if question.interface is None:
            sent = sent_by(kernel, bare, sports, dports)
            agrees = output_agrees_over_worlds(sent, answer)
            shown = str(sent)
        else:
            received = taken(kernel, question.interface, bare, sports, dports)
            agrees = (answer.type == "local") == (received.reception is Reception.DELIVERED)
            agrees = agrees and (received.reception is not Reception.NOT_LOCAL or answer.errno != 0)
            shown = str(received)
    except Undetermined as reason:
        tally.undetermined_over_worlds[_category(reason)] += 1
        return
    tally.over_worlds += 1
    if not agrees:
        tally.disagreements.append(Disagreement("over all worlds", question, show(answer), shown))


def output_agrees_over_worlds(sent: Sent | NotSent, answer: KernelAnswer) -> bool:
    if isinstance(sent, Sent):
        return output_agrees((sent,), answer)
    if (
        sent.kind is None and sent.failure is Failure.UNREACHABLE
    ):  # by a rule or by a route, whichever the true world has
        return answer.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH}
    return output_agrees(sent, answer)


def _outcome(ways: tuple[Sent, ...] | NotSent) -> str:
    if not isinstance(ways, NotSent):
        return "out sent" if len(ways) == 1 else "out one of several"
    return f"out {ways.kind or ways.failure or 'foreign source'}"


def show(answer: KernelAnswer) -> str:
    if answer.errno:
        return errno.errorcode.get(answer.errno, str(answer.errno))
    gateway = "" if answer.gateway is None else f" via {format_address(answer.gateway)}"
    source = "" if answer.source is None else f" src {format_address(answer.source)}"
    return f"{answer.type}{gateway} dev {answer.interface}{source}"


_CATEGORIES = (
    "several next hops", "depends on the packet's mark", "depends on the packet's TOS", "the user of the program",
    "a port", "no dump shows", "is an address of the guest itself", "broadcast", "forwards", "forwarded",
    "one of the guest's own", "not understood",
)  # fmt: skip


def _category(reason: Undetermined) -> str:
    text = str(reason)
    return next((category for category in _CATEGORIES if category in text), text)
