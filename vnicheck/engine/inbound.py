"""A flow that a remote opens to one of the server's addresses: the request, then the reply by the guest's routes."""

from vnicheck.engine.path import (
    Opening,
    Path,
    Ranges,
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
from vnicheck.fabric.check import unknown
from vnicheck.fabric.floating_ip import back_to_internet, from_internet
from vnicheck.model.flow import Leg, Protocol, Scope


def inbound_path(walk: Walk, opening: Opening) -> Path:
    """Every check of the request and of the reply, each evaluated as if those before it had passed."""
    view, local = walk.view, opening.local
    vni = local.vni
    theirs, ours = (client_ports(view, opening.protocol),), opening.ports
    request = Steps(walk, Leg.REQUEST)
    at = view.at(vni)
    if opening.scope is Scope.INTERNET:
        key = ("from_internet", local.address)
        request.add(at, walk.once(key, lambda: from_internet(view.fabric, vni, local.address)))
    request.add(
        at,
        *cross_ingress_route(request, opening),
        cross_acl(request, vni, opening, arriving=True, sports=theirs, dports=ours, answer=False),
        cross_groups(request, vni, opening, arriving=True, dports=ours, answer=False, seen=False),
        cross_state_filter(request, vni, opening, seen=True),
    )
    ingress = enter_guest(request, opening)
    reply, egress = _reply(walk, opening, sports=ours, dports=theirs)
    return Path((*request.taken, *reply.taken), ingress, egress)


def _reply(walk: Walk, opening: Opening, sports: Ranges, dports: Ranges) -> tuple[Steps, str | None]:
    view, arrived = walk.view, opening.local.vni
    reply = Steps(walk, Leg.REPLY)
    if opening.protocol is Protocol.ICMP and view.kernel is not None and view.kernel.ignores_echo():
        reply.add(view.at(arrived), unknown("echo_reply", "the guest is set to ignore echo requests"))
    egress, leaves = leave_guest(reply, opening)
    if leaves is not None:
        same = leaves.id == arrived.id
        reply.add(
            view.at(leaves),
            cross_spoofing_check(reply, leaves, opening, translated_elsewhere=not view.assume.fip_return),
            cross_state_filter(reply, leaves, opening, seen=same),
            cross_groups(reply, leaves, opening, arriving=False, dports=dports, answer=True, seen=same),
            cross_acl(reply, leaves, opening, arriving=False, sports=sports, dports=dports, answer=True),
            cross_vpc_route(reply, leaves, opening),
        )
        if opening.scope is Scope.INTERNET:
            key = ("back_to_internet", arrived.id, leaves.id)
            reply.add(view.at(leaves), walk.once(key, lambda: back_to_internet(arrived, leaves, view.assume)))
    return reply, egress
