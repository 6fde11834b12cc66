"""The VPC's checks of a flow's packets, as they leave or arrive by a VNI."""

from vnicheck.engine.walk import Opening, Ranges, Walk
from vnicheck.fabric.check import Check
from vnicheck.fabric.ingress_route import ingress_route
from vnicheck.fabric.network_acl import CrossingPacket, network_acl
from vnicheck.fabric.security_group import (
    GroupedPacket,
    answer_to_seen,
    security_groups,
)
from vnicheck.fabric.spoofing_check import spoofing_check
from vnicheck.fabric.state_filter import state_filter
from vnicheck.fabric.transport import ECHO_REPLY, ECHO_REQUEST
from vnicheck.fabric.vpc_route import vpc_route
from vnicheck.model.cloud import Vni
from vnicheck.model.flow import Scope


def acl_packet(opening: Opening, *, arriving: bool, sports: Ranges, dports: Ranges, answer: bool) -> CrossingPacket:
    """A packet of the flow as an ACL sees it, that arrives from, or leaves for, the remotes."""
    return CrossingPacket(
        direction="inbound" if arriving else "outbound",
        protocol=opening.protocol,
        remotes=opening.remotes.samples,
        local=opening.local.number,
        sports=sports,
        dports=dports,
        icmp_type=ECHO_REPLY if answer else ECHO_REQUEST,
    )


def group_packet(opening: Opening, *, arriving: bool, dports: Ranges, answer: bool) -> GroupedPacket:
    """A packet of the flow as security groups see it."""
    return GroupedPacket(
        direction="inbound" if arriving else "outbound",
        protocol=opening.protocol,
        remotes=opening.remotes.samples,
        local=opening.local.number,
        dports=dports,
        opening=not answer,
        icmp_type=ECHO_REPLY if answer else ECHO_REQUEST,
    )


def cross_acl(
    walk: Walk,
    vni: Vni,
    opening: Opening,
    *,
    arriving: bool,
    sports: Ranges,
    dports: Ranges,
    answer: bool,
) -> Check:
    """The ACL of the VNI's subnet, for a packet that arrives from, or leaves for, the remote."""
    view, subnet = walk.view, walk.view.subnet(vni)
    key = (
        "acl",
        subnet.id,
        opening.remotes.samples,
        opening.local.key,
        opening.protocol,
        arriving,
        answer,
        sports,
        dports,
    )
    return walk.once(
        key,
        lambda: network_acl(
            view.fabric,
            subnet,
            acl_packet(opening, arriving=arriving, sports=sports, dports=dports, answer=answer),
        ),
    )


def cross_state_filter(walk: Walk, vni: Vni, opening: Opening, *, seen: bool) -> Check:
    """The state filter of the VNI. `seen`: it has seen the flow's opening packet."""
    view = walk.view
    return walk.once(
        ("state", vni.id, opening.protocol, seen),
        lambda: state_filter(vni, view.assume, opening.protocol, auto_filters=view.auto_filters, saw_opening=seen),
    )


def cross_groups(
    walk: Walk,
    vni: Vni,
    opening: Opening,
    *,
    arriving: bool,
    dports: Ranges,
    answer: bool,
    seen: bool,
) -> Check:
    """The security groups of the VNI. `seen`: they have admitted the opening packet that this one answers."""
    if answer and (seen or not walk.view.assume.sg_stateless):
        answered = walk.once(("answered", vni.id, seen), lambda: answer_to_seen(vni, walk.view.assume, seen=seen))
        if answered is not None:
            return answered
    fabric = walk.view.fabric
    return walk.once(
        ("groups", vni.id, opening.remotes.samples, opening.local.key, opening.protocol, arriving, answer, dports),
        lambda: security_groups(fabric, vni, group_packet(opening, arriving=arriving, dports=dports, answer=answer)),
    )


def cross_spoofing_check(walk: Walk, vni: Vni, opening: Opening, *, translated_elsewhere: bool = False) -> Check:
    """The IP spoofing check of the VNI by which a packet from the local address leaves."""
    view, local, scope = walk.view, opening.local.address, opening.scope
    return walk.once(
        ("spoofing", vni.id, local, scope, translated_elsewhere),
        lambda: spoofing_check(
            vni,
            view.assume,
            local,
            scope,
            siblings=view.reserved,
            sibling=view.sibling,
            translated_elsewhere=translated_elsewhere,
        ),
    )


def cross_vpc_route(walk: Walk, vni: Vni, opening: Opening) -> Check:
    """The VPC routing table of the VNI's subnet, for a packet to the remote."""
    view = walk.view
    return walk.once(
        ("vpc_route", vni.subnet, opening.remote, opening.scope),
        lambda: vpc_route(view.fabric, view.subnet(vni), view.assume, opening.remote, opening.scope, own=view.reserved),
    )


def cross_ingress_route(walk: Walk, opening: Opening) -> tuple[Check, ...]:
    """The VPC routing tables that a packet to the local address meets where it comes in."""
    view, local = walk.view, opening.local
    return walk.once(
        ("ingress_route", local.key, opening.scope, opening.remote if opening.scope is Scope.VPC else None),
        lambda: ingress_route(
            view.fabric, view.subnet(local.vni), local.vni, local.number, opening.scope, opening.remote
        ),
    )
