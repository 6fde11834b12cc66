"""A flow that a remote opens to one of the server's addresses: the request, then the reply by the guest's routes."""

from vnicheck.engine.path import (
    Opening,
    Path,
    Ranges,
    Steps,
    client_ports,
    cross_acl,
    cross_groups,
    cross_state_filter,
    enter_guest,
    leave_guest,
)
from vnicheck.engine.server_view import ServerView
from vnicheck.fabric.check import unknown
from vnicheck.fabric.floating_ip import back_to_internet, from_internet
from vnicheck.fabric.ingress_route import ingress_route
from vnicheck.fabric.spoofing_check import spoofing_check
from vnicheck.fabric.vpc_route import vpc_route
from vnicheck.model.flow import Leg, Protocol, Scope


def inbound_path(view: ServerView, opening: Opening) -> Path:
    """Every check of the request and of the reply, each evaluated as if those before it had passed."""
    vni = opening.local.vni
    theirs, ours = (client_ports(view, opening.protocol),), opening.ports
    request = Steps(Leg.REQUEST)
    at = view.at(vni)
    if opening.scope is Scope.INTERNET:
        request.add(at, from_internet(view.fabric, vni, opening.local.address))
    request.add(
        at,
        *ingress_route(view.fabric, view.subnet(vni), opening.local.number, opening.scope),
        cross_acl(view, vni, opening, arriving=True, sports=theirs, dports=ours, answer=False),
        cross_groups(view, vni, opening, arriving=True, dports=ours, answer=False, seen=False),
        cross_state_filter(view, vni, opening, seen=True),
    )
    ingress = enter_guest(view, request, opening)
    reply, egress = _reply(view, opening, sports=ours, dports=theirs)
    return Path((*request.taken, *reply.taken), ingress, egress)


def _reply(view: ServerView, opening: Opening, sports: Ranges, dports: Ranges) -> tuple[Steps, str | None]:
    arrived = opening.local.vni
    reply = Steps(Leg.REPLY)
    if opening.protocol is Protocol.ICMP and view.kernel is not None and view.kernel.ignores_echo():
        reply.add(view.at(arrived), unknown("echo_reply", "the guest is set to ignore echo requests"))
    egress, leaves = leave_guest(view, reply, opening)
    if leaves is not None:
        subnet = view.subnet(leaves)
        same = leaves.id == arrived.id
        reply.add(
            view.at(leaves),
            spoofing_check(
                leaves,
                view.assume,
                opening.local.address,
                opening.scope,
                translated_elsewhere=not view.assume.fip_return,
            ),
            cross_state_filter(view, leaves, opening, seen=same),
            cross_groups(view, leaves, opening, arriving=False, dports=dports, answer=True, seen=same),
            cross_acl(view, leaves, opening, arriving=False, sports=sports, dports=dports, answer=True),
            vpc_route(view.fabric, subnet, view.assume, opening.remote, opening.scope, own=view.reserved),
        )
        if opening.scope is Scope.INTERNET:
            reply.add(view.at(leaves), back_to_internet(arrived, leaves, view.assume))
    return reply, egress
