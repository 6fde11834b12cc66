"""A flow that the guest opens from one of its addresses: it leaves by the guest's routes; the reply comes to the VNI
that owns the address.
"""

from msgspec import Struct

from vnicheck.engine.border import BorderCrossing, enter_guest, leave_guest
from vnicheck.engine.crossing import (
    comes_by_another,
    cross_ingress_route,
    cross_remote_acl,
    cross_spoofing_check,
    cross_vni,
    cross_vpc_route,
)
from vnicheck.engine.walk import Opening, Path, Section, Walk
from vnicheck.fabric.check import unknown
from vnicheck.fabric.floating_ip import to_internet
from vnicheck.fabric.public_range import from_range
from vnicheck.model.cloud import Vni
from vnicheck.model.flow import Leg, Outcome, Scope, Stage


class _Frame(Struct, frozen=True):
    """What flows between a local address and a remote meet whatever their protocol and ports, and the VNIs by which
    their packets leave and come back.
    """

    exit: BorderCrossing
    leaves: Vni
    source: Section
    onward: Section
    arrival: Section
    entrance: BorderCrossing


def outbound_path(walk: Walk, opening: Opening) -> Path:
    """Every check of the request and of the reply, each evaluated as if those before it had passed."""
    key = ("outbound", opening.local.key, opening.remotes, opening.ports_in_guest)
    frame = walk.once(key, lambda: _frame(walk, opening))
    if isinstance(frame, BorderCrossing):
        # nothing leaves by a VNI, or we cannot tell by which: the reply's checks would rest on a guess
        return Path.of_own((frame.steps,), None, frame.interface)
    leaves, owner, entrance = frame.leaves, opening.local.vni, frame.entrance
    request = cross_vni(walk, Leg.REQUEST, leaves, opening, arriving=False)
    reply = cross_vni(walk, Leg.REPLY, owner, opening, arriving=True, seen=leaves.id == owner.id)
    received = cross_remote_acl(walk, Leg.REQUEST, leaves, opening, sends=False)
    answered = cross_remote_acl(walk, Leg.REPLY, owner, opening, sends=True)
    sent = (frame.exit.steps, frame.source, request, frame.onward, *received, *answered)
    if comes_by_another(frame.arrival):
        return Path.of_own((*sent, frame.arrival), None, frame.exit.interface)
    return Path.of_own((*sent, frame.arrival, reply, entrance.steps), entrance.interface, frame.exit.interface)


def _frame(walk: Walk, opening: Opening) -> _Frame | BorderCrossing:
    view, local = walk.view, opening.local
    leaving = leave_guest(walk, Leg.REQUEST, opening)
    leaves = leaving.vni
    if leaves is None:
        return leaving
    at = view.at(leaves)
    onward = [cross_vpc_route(walk, leaves, opening)]
    if opening.scope is Scope.INTERNET and local.address in view.public:
        onward.append(from_range(view.fabric, view.server.vpc.id, local.number, view.subnet(leaves).zone))
    elif opening.scope is Scope.INTERNET and local.address in local.vni.untranslated and leaves.id != local.vni.id:
        onward.append(unknown(Stage.FLOATING_IP, f"{local.address} is a floating IP of {local.vni.name}"))
    elif opening.scope is Scope.INTERNET and onward[0].outcome is not Outcome.UNKNOWN:
        # where a route may lead it elsewhere, what leaves there needs no floating IP here
        onward.append(to_internet(view.fabric, leaves, view.subnet(leaves), local.address))
    return _Frame(
        exit=leaving,
        leaves=leaves,
        source=walk.section(Leg.REQUEST, at, cross_spoofing_check(walk, leaves, opening)),
        onward=walk.section(Leg.REQUEST, at, *onward),
        arrival=walk.section(Leg.REPLY, view.at(local.vni), *cross_ingress_route(walk, opening)),
        entrance=enter_guest(walk, Leg.REPLY, opening),
    )
