"""The model's worlds beside the kernel's: each packet that a flow leaves open (its mark, TOS and user) is asked of the
kernel, and what becomes of it has to be what the model says of all of them, or of one of its worlds.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import product

from msgspec.structs import replace

from tests.lab.differential.compare import (
    Disagreement,
    Tally,
    compare_one,
    input_agrees,
    output_agrees_over_worlds,
    show,
)
from tests.lab.differential.questions import tos_values, users
from tests.lab.differential.rtnetlink import KernelAnswer, Question, RouteSocket
from vnicheck.kernel.host import Host
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.open_fields import ECHO_REQUEST_AS_PORT, marks
from vnicheck.kernel.packet import ICMP, NO_PORTS, Transport
from vnicheck.kernel.receive import Received, Reception
from vnicheck.kernel.send import EQUAL_COST
from vnicheck.kernel.undetermined import Several, Unknown
from vnicheck.kernel.worlds import HIDDEN, Outcome
from vnicheck.model.guest import Guest

_EVERY = 5
"""One question in so many is asked in every world."""
Asked = list[tuple[Question, KernelAnswer]]


def compare_worlds(
    guest: Guest, host: Host, asked: Iterable[Question], route_socket: RouteSocket, tally: Tally
) -> None:
    """Compares both models, of packets of any mark and of packets that nothing marks, and what the host in its true
    hidden state makes of each packet.
    """
    every_mark = marks(guest.rules) or (0,)
    every_tos, every_user = tos_values(guest), users(guest)
    kernels = ((Kernel(guest), every_mark), (Kernel(guest, unmarked=True), (0,)))
    for number, question in enumerate(asked):
        if number % _EVERY or (question.interface is not None and not route_socket.knows(question.interface)):
            continue
        for kernel, asked_marks in kernels:
            outcome = _outcome(kernel, question)
            worlds = [
                (each, route_socket.ask(each))
                for mark, tos in product(asked_marks, every_tos)
                for each in _sent_by(replace(question, mark=mark, tos=tos), every_user)
            ]
            whole = asked_marks is every_mark
            _compare(guest, question, outcome, worlds, tally, whole=whole)
            for each, answer in worlds if whole else ():
                compare_one(host, each, answer, _forwards(guest, question), tally)


def _sent_by(question: Question, every_user: list[int]) -> Iterator[Question]:
    if question.interface is not None:
        yield replace(question, uid=0)
        return
    for uid in every_user:
        yield replace(question, uid=uid)
        if question.proto == ICMP:
            yield replace(question, uid=uid, dport=ECHO_REQUEST_AS_PORT)


def _outcome(kernel: Kernel, question: Question) -> Outcome:
    sports = dports = NO_PORTS
    if question.proto != ICMP:
        sports, dports = (question.sport, question.sport), (question.dport, question.dport)
    local, remote = question.source, question.destination
    if question.interface is None:
        found = kernel.sent(local, Transport(question.proto, sports, dports))
    else:
        local, remote = remote, local
        found = kernel.received(question.interface, local, Transport(question.proto, sports, dports))
    return found.at(remote).at(dports[0])


def _compare(guest: Guest, question: Question, outcome: Outcome, worlds: Asked, tally: Tally, *, whole: bool) -> None:
    tally.in_every_world += len(worlds)
    if isinstance(outcome, Unknown) and not isinstance(outcome, Several):
        tally.not_told[outcome.reason.partition(" (")[0]] += len(worlds)
        return
    possible = outcome.worlds if isinstance(outcome, Several) else (outcome,)
    agrees = _input(_forwards(guest, question)) if question.interface is not None else output_agrees_over_worlds
    for each, answer in worlds:
        if not any(agrees(one, answer) for one in possible):
            tally.disagreements.append(Disagreement("in one world", each, show(answer), str(outcome)))
    if not isinstance(outcome, Several):
        return
    tally.of_several_worlds += len(worlds)
    if not whole or outcome.reason == HIDDEN or outcome.reason.startswith(EQUAL_COST):
        return  # the kernel has one of the hidden states, and chooses by a hash
    for one in possible:
        if not any(agrees(one, answer) for _, answer in worlds):
            tally.disagreements.append(Disagreement("a world that is none", question, "no packet", str(one)))


def _forwards(guest: Guest, question: Question) -> bool:
    return bool(guest.sysctls.get(f"net/ipv4/conf/{question.interface}/forwarding", 0))


def _input(forwarding: bool) -> Callable[[Received, KernelAnswer], bool]:
    def agrees(one: Received, answer: KernelAnswer) -> bool:
        if one.reception is Reception.NOT_LOCAL:
            return answer.errno != 0  # for which reason, in one of the worlds alone
        return input_agrees(one, answer, forwarding)

    return agrees
