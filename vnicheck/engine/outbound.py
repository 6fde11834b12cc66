"""A flow that the guest opens from one of its addresses: it leaves by the guest's routes; the reply comes to the VNI
that owns the address.
"""

from vnicheck.engine.path import (
    Opening,
    Path,
    Steps,
    client_ports,
    cross_acl,
    cross_groups,
    cross_state_filter,
    enter_guest,
    leave_guest,
)
from vnicheck.engine.server_view import ServerView
from vnicheck.fabric.floating_ip import to_internet
from vnicheck.fabric.ingress_route import ingress_route
from vnicheck.fabric.spoofing_check import spoofing_check
from vnicheck.fabric.vpc_route import vpc_route
from vnicheck.model.flow import Leg, Scope


def outbound_path(view: ServerView, opening: Opening) -> Path:
    """Every check of the request and of the reply, each evaluated as if those before it had passed."""
    owner = opening.local.vni
    ours, theirs = (client_ports(view, opening.protocol),), opening.ports
    request = Steps(Leg.REQUEST)
    egress, leaves = leave_guest(view, request, opening)
    if leaves is None:
        # nothing leaves by a VNI, or we cannot tell by which: the reply's checks would rest on a guess
        return Path(tuple(request.taken), None, egress)
    subnet = view.subnet(leaves)
    at = view.at(leaves)
    request.add(
        at,
        spoofing_check(leaves, view.assume, opening.local.address, opening.scope),
        cross_state_filter(view, leaves, opening, seen=True),
        cross_groups(view, leaves, opening, arriving=False, dports=theirs, answer=False, seen=False),
        cross_acl(view, leaves, opening, arriving=False, sports=ours, dports=theirs, answer=False),
        vpc_route(view.fabric, subnet, view.assume, opening.remote, opening.scope, own=view.reserved),
    )
    if opening.scope is Scope.INTERNET:
        request.add(at, to_internet(view.fabric, leaves, subnet, opening.local.address))
    reply = Steps(Leg.REPLY)
    same = leaves.id == owner.id
    reply.add(
        view.at(owner),
        *ingress_route(view.fabric, view.subnet(owner), opening.local.number, opening.scope),
        cross_acl(view, owner, opening, arriving=True, sports=theirs, dports=ours, answer=True),
        cross_state_filter(view, owner, opening, seen=same),
        cross_groups(view, owner, opening, arriving=True, dports=ours, answer=True, seen=same),
    )
    ingress = enter_guest(view, reply, opening)
    return Path((*request.taken, *reply.taken), ingress, egress)
