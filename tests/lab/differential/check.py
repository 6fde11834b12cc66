"""One configuration from its commands to its tally."""

import random
from collections.abc import Sequence

import msgspec

from tests.lab.differential import inject, sandbox
from tests.lab.differential.compare import Disagreement, Tally, compare_all
from tests.lab.differential.every_world import compare_worlds
from tests.lab.differential.questions import questions
from tests.lab.differential.rtnetlink import KernelAnswer, Question, RouteSocket
from tests.support.one_packet import receive
from vnicheck.kernel.host import HiddenState, Host
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.receive import Received, Reception
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.guest import Guest

_NOBODY = Question(interface=None, source=0, destination=0, proto=0)
_PACKETS = 6
_TRIES = 3


def check(commands: Sequence[str], seed: str, also: Sequence[Question] = ()) -> Tally:
    """Apply the commands in a new namespace of this process, collect it both ways, and ask everything.

    The kernel notes a lost carrier some time after the fact; where it did so between our looks, all is done again. So
    is a difference between the two forms: one that is no accident shows every time.
    """
    for _ in range(_TRIES):
        sandbox.enter_new_namespace()
        applied = sandbox.apply(commands)
        guest = sandbox.collect(plain=False)
        tally = _check_collected(guest, applied.state, seed, also)
        if not tally.disagreements:
            break
        later = sandbox.collect(plain=False)
        same = (guest.interfaces, guest.routes) == (later.interfaces, later.routes)
        if same and not any(disagreement.what.startswith("forms") for disagreement in tally.disagreements):
            break
    return tally


def _check_collected(guest: Guest, state: HiddenState, seed: str, also: Sequence[Question]) -> Tally:
    tally = Tally(configurations=1)
    _compare_forms(guest, sandbox.collect(plain=True), tally)
    host, kernel = Host(guest, state), Kernel(guest)
    asked = [*also, *questions(guest, kernel, seed)]
    with RouteSocket() as route_socket:
        refused = compare_all(guest, host, kernel, asked, route_socket, tally)
        compare_worlds(guest, host, asked, route_socket, tally)
    inject.inject(guest, _sample(host, asked, seed), tally)
    with RouteSocket() as route_socket:
        _tell_refusals_apart(guest, host, refused, route_socket, tally)
    return tally


def ask_one(commands: Sequence[str], question: Question) -> tuple[KernelAnswer, list[Disagreement]]:
    """The kernel's answer to one question of a configuration, and where the model gives another."""
    sandbox.enter_new_namespace()
    applied = sandbox.apply(commands)
    if refused := [command for command in commands if command not in applied.taken]:
        raise ValueError(f"the kernel refused {refused}")
    guest = sandbox.collect(plain=False)
    tally = Tally()
    host = Host(guest, applied.state)
    with RouteSocket() as route_socket:
        answer = route_socket.ask(question)
        compare_all(guest, host, Kernel(guest), [question], route_socket, tally)
    if not tally.compared:
        raise ValueError(f"the model does not say: {tally.undetermined}")
    return answer, tally.disagreements


def _compare_forms(guest: Guest, plain: Guest, tally: Tally) -> None:
    """Both forms of the collection must give one model."""
    for key in Guest.__struct_fields__:
        one, other = getattr(guest, key), getattr(plain, key)
        if one != other and key != "counters":
            tally.disagreements.append(Disagreement(f"forms: {key}", _NOBODY, str(one), str(other)))
    if guest.unmodelled or guest.missing or any(route.unmodelled for route in guest.routes):
        tally.disagreements.append(
            Disagreement("not understood", _NOBODY, str(guest.unmodelled), f"{guest.missing} {guest.routes}")
        )


def _sample(host: Host, asked: Sequence[Question], seed: str) -> list[tuple[Question, Received]]:
    """A few questions as the UDP datagrams without a mark that are to be sent, with the model's answers."""
    chooser = random.Random(f"{seed} packets")
    datagrams = [
        msgspec.structs.replace(
            question, proto=inject.UDP, mark=0, sport=question.sport or 7, dport=question.dport or 7
        )
        for question in asked
        if question.interface is not None and question.interface.startswith("v")
    ]
    sample = []
    for question in chooser.sample(datagrams, min(_PACKETS, len(datagrams))):
        try:
            sample.append((question, receive(host, question.packet(), question.interface or "")))
        except Undetermined:
            continue
    return sample


def _tell_refusals_apart(
    guest: Guest, host: Host, refused: Sequence[tuple[Question, Received]], route_socket: RouteSocket, tally: Tally
) -> None:
    """With rp_filter off everywhere, what is still refused was no matter of rp_filter.

    Turning it off can also open the quick path: there odd types of sources pass, and the guest's own addresses are
    refused whatever route they have.
    """
    for interface in ("all", *(link.name for link in guest.interfaces)):
        sandbox.write_sysctl(f"net/ipv4/conf/{interface}/rp_filter=0")
    quick = not (host.state.custom_rules or host.state.custom_local_routes or host.realms)
    for question, received in refused:
        still = route_socket.ask(question).errno != 0
        if received.reception is Reception.RP_FILTER:
            agrees = not still or (quick and question.source in host.addresses)
        elif received.reception is Reception.MARTIAN_SOURCE:
            agrees = still or quick or host.conf.either(question.interface or "", "accept_local")
        else:
            agrees = still
        if not agrees:
            tally.disagreements.append(
                Disagreement(
                    "refusal", question, "still refused" if still else "accepted without rp_filter", str(received)
                )
            )
