"""A flow that the guest opens from one of its addresses: it leaves by the guest's routes; the reply comes to the VNI
that owns the address.
"""

from vnicheck.engine.path import (
    Opening,
    Path,
    Steps,
    Walk,
    client_ports,
    cross_acl,
    cross_groups,
    cross_ingress_route,
    cross_spoofing_check,
    cross_state_filter,
    cross_vpc_route,
    enter_guest,
    leave_guest,
)
from vnicheck.fabric.floating_ip import to_internet
from vnicheck.model.flow import Leg, Scope


def outbound_path(walk: Walk, opening: Opening) -> Path:
    """Every check of the request and of the reply, each evaluated as if those before it had passed."""
    view, local = walk.view, opening.local
    owner = local.vni
    ours, theirs = (client_ports(view, opening.protocol),), opening.ports
    request = Steps(walk, Leg.REQUEST)
    egress, leaves = leave_guest(request, opening)
    if leaves is None:
        # nothing leaves by a VNI, or we cannot tell by which: the reply's checks would rest on a guess
        return Path(tuple(request.taken), None, egress)
    at = view.at(leaves)
    request.add(
        at,
        cross_spoofing_check(request, leaves, opening),
        cross_state_filter(request, leaves, opening, seen=True),
        cross_groups(request, leaves, opening, arriving=False, dports=theirs, answer=False, seen=False),
        cross_acl(request, leaves, opening, arriving=False, sports=ours, dports=theirs, answer=False),
        cross_vpc_route(request, leaves, opening),
    )
    if opening.scope is Scope.INTERNET:
        key = ("to_internet", leaves.id, local.address)
        subnet = view.subnet(leaves)
        request.add(at, walk.once(key, lambda: to_internet(view.fabric, leaves, subnet, local.address)))
    reply = Steps(walk, Leg.REPLY)
    same = leaves.id == owner.id
    reply.add(
        view.at(owner),
        *cross_ingress_route(reply, opening),
        cross_acl(reply, owner, opening, arriving=True, sports=theirs, dports=ours, answer=True),
        cross_state_filter(reply, owner, opening, seen=same),
        cross_groups(reply, owner, opening, arriving=True, dports=ours, answer=True, seen=same),
    )
    ingress = enter_guest(reply, opening)
    return Path((*request.taken, *reply.taken), ingress, egress)
