"""A flow that a remote opens to one of the server's addresses: the request, then the reply by the guest's routes."""

from msgspec import Struct

from vnicheck.engine.border import Passage, answered_elsewhere, enter_guest, leave_guest
from vnicheck.engine.crossing import (
    cross_ingress_route,
    cross_spoofing_check,
    cross_vni,
    cross_vpc_route,
)
from vnicheck.engine.walk import Opening, Path, Section, Walk
from vnicheck.fabric.check import unknown
from vnicheck.fabric.floating_ip import back_to_internet, from_internet
from vnicheck.model.cloud import Vni
from vnicheck.model.flow import Leg, Protocol, Scope, Stage


class _Departure(Struct, frozen=True):
    """The VNI by which replies leave, and what it checks of them whatever their protocol and ports."""

    vni: Vni
    source: Section
    onward: Section


class _Frame(Struct, frozen=True):
    """What flows between a remote and a local address meet whatever their protocol and ports."""

    arrival: Section
    entrance: Passage
    exit: Passage
    departure: _Departure | None


def inbound_path(walk: Walk, opening: Opening) -> Path:
    """Every check of the request and of the reply, each evaluated as if those before it had passed."""
    vni = opening.local.vni
    key = ("inbound", opening.local.key, opening.remotes.number, opening.ports_in_guest)
    frame = walk.once(key, lambda: _frame(walk, opening))
    request = cross_vni(walk, Leg.REQUEST, vni, opening, arriving=True)
    steps = (frame.arrival, request, frame.entrance.steps, *_unanswered(walk, opening), frame.exit.steps)
    leaves = frame.departure
    if leaves is not None:
        same = leaves.vni.id == vni.id
        reply = cross_vni(walk, Leg.REPLY, leaves.vni, opening, arriving=False, seen=same)
        steps = (*steps, leaves.source, reply, leaves.onward)
    return Path(steps, frame.entrance.interface, frame.exit.interface)


def _unanswered(walk: Walk, opening: Opening) -> tuple[Section, ...]:
    kernel = walk.view.kernel
    if opening.protocol is not Protocol.ICMP or kernel is None or not kernel.ignores_echo():
        return ()
    check = walk.once("echo_reply", lambda: unknown(Stage.ECHO_REPLY, "the guest is set to ignore echo requests"))
    return (walk.steps(Leg.REPLY, walk.view.at(opening.local.vni), check),)


def _frame(walk: Walk, opening: Opening) -> _Frame:
    view, local = walk.view, opening.local
    arrival = [*cross_ingress_route(walk, opening)]
    if opening.scope is Scope.INTERNET:
        arrival.insert(0, from_internet(view.fabric, local.vni, local.address))
    leaving = answered_elsewhere(walk, opening) or leave_guest(walk, Leg.REPLY, opening)
    return _Frame(
        arrival=walk.steps(Leg.REQUEST, view.at(local.vni), *arrival),
        entrance=enter_guest(walk, Leg.REQUEST, opening),
        exit=leaving,
        departure=None if leaving.vni is None else _departure(walk, leaving.vni, opening),
    )


def _departure(walk: Walk, leaves: Vni, opening: Opening) -> _Departure:
    view, arrived = walk.view, opening.local.vni
    at = view.at(leaves)
    onward = [cross_vpc_route(walk, leaves, opening)]
    if opening.scope is Scope.INTERNET:
        onward.append(back_to_internet(arrived, leaves, view.assume))
    source = cross_spoofing_check(walk, leaves, opening, translated_elsewhere=not view.assume.fip_return)
    return _Departure(
        vni=leaves,
        source=walk.steps(Leg.REPLY, at, source),
        onward=walk.steps(Leg.REPLY, at, *onward),
    )
