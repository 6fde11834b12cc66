"""A flow that a remote opens to one of the server's addresses: the request, then the reply by the guest's routes."""

from msgspec import Struct

from vnicheck.engine.border import BorderCrossing, answered_elsewhere, enter_guest, leave_guest
from vnicheck.engine.crossing import (
    comes_by_another,
    cross_ingress_route,
    cross_remote_acl,
    cross_spoofing_check,
    cross_vni,
    cross_vpc_route,
)
from vnicheck.engine.ports import balanced_by
from vnicheck.engine.walk import Opening, Path, Section, Walk
from vnicheck.fabric.check import unknown
from vnicheck.fabric.floating_ip import back_to_internet, from_internet
from vnicheck.fabric.load_balancer import Balanced
from vnicheck.fabric.public_range import from_range
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
    entrance: BorderCrossing
    exit: BorderCrossing
    departure: _Departure | None


def inbound_path(walk: Walk, opening: Opening) -> Path:
    """Every check of the request and of the reply, each evaluated as if those before it had passed."""
    vni = opening.local.vni
    key = ("inbound", opening.local.key, opening.remotes, opening.ports_in_guest)
    frame = walk.once(key, lambda: _frame(walk, opening))
    request = cross_vni(walk, Leg.REQUEST, vni, opening, arriving=True)
    balanced = balanced_by(walk, opening)
    sent = cross_remote_acl(walk, Leg.REQUEST, vni, opening, sends=True)
    arrived = (*sent, *_from_internet(walk, opening, balanced), frame.arrival, request, frame.entrance.steps)
    if comes_by_another(frame.arrival):
        return Path.of_own(arrived[: arrived.index(frame.arrival) + 1], None, None)
    steps = (*arrived, *_unanswered(walk, opening), frame.exit.steps)
    leaves = frame.departure
    if leaves is not None:
        same = leaves.vni.id == vni.id
        reply = cross_vni(walk, Leg.REPLY, leaves.vni, opening, arriving=False, seen=same)
        out = _to_internet(walk, leaves.vni, opening, balanced)
        received = cross_remote_acl(walk, Leg.REPLY, leaves.vni, opening, sends=False)
        steps = (*steps, leaves.source, reply, leaves.onward, *out, *received)
    return Path.of_own(steps, frame.entrance.interface, frame.exit.interface)


def _from_internet(walk: Walk, opening: Opening, balanced: Balanced | None) -> tuple[Section, ...]:
    view, local = walk.view, opening.local
    if opening.scope is not Scope.INTERNET or local.address in view.public:
        return ()
    key = ("from_internet", local.key, balanced)
    check = walk.once(key, lambda: from_internet(view.fabric, local.vni, local.address, balanced))
    return (walk.section(Leg.REQUEST, view.at(local.vni), check),)


def _to_internet(walk: Walk, leaves: Vni, opening: Opening, balanced: Balanced | None) -> tuple[Section, ...]:
    view, local = walk.view, opening.local
    if opening.scope is not Scope.INTERNET:
        return ()
    if local.address in view.public:
        zone = view.subnet(leaves).zone
        key: tuple[object, ...] = ("from_range", local.key, zone)
        check = walk.once(key, lambda: from_range(view.fabric, view.server.vpc.id, local.number, zone))
    else:
        key = ("back_to_internet", local.vni.id, leaves.id, balanced)
        check = walk.once(key, lambda: back_to_internet(local.vni, leaves, view.assume, balanced))
    return (walk.section(Leg.REPLY, view.at(leaves), check),)


def _unanswered(walk: Walk, opening: Opening) -> tuple[Section, ...]:
    kernel = walk.view.kernel
    if opening.protocol is not Protocol.ICMP or kernel is None or not kernel.ignores_echo():
        return ()
    check = walk.once("echo_reply", lambda: unknown(Stage.ECHO_REPLY, "the guest is set to ignore echo requests"))
    return (walk.section(Leg.REPLY, walk.view.at(opening.local.vni), check),)


def _frame(walk: Walk, opening: Opening) -> _Frame:
    view, local = walk.view, opening.local
    leaving = answered_elsewhere(walk, opening) or leave_guest(walk, Leg.REPLY, opening)
    return _Frame(
        arrival=walk.section(Leg.REQUEST, view.at(local.vni), *cross_ingress_route(walk, opening)),
        entrance=enter_guest(walk, Leg.REQUEST, opening),
        exit=leaving,
        departure=None if leaving.vni is None else _departure(walk, leaving.vni, opening),
    )


def _departure(walk: Walk, leaves: Vni, opening: Opening) -> _Departure:
    view = walk.view
    at = view.at(leaves)
    source = cross_spoofing_check(walk, leaves, opening, translated_elsewhere=not view.assume.fip_return)
    return _Departure(
        vni=leaves,
        source=walk.section(Leg.REPLY, at, source),
        onward=walk.section(Leg.REPLY, at, cross_vpc_route(walk, leaves, opening)),
    )
