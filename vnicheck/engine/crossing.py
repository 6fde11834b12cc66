"""The VPC's checks of a flow's packets, as they leave or arrive by a VNI.

What rules say is remembered for the fabric, by how they read a flow: another flow, be it another server's, that they
read alike is told the same.
"""

from collections.abc import Hashable

from msgspec import Struct

from vnicheck.engine.areas import of_acl, of_groups
from vnicheck.engine.server_view import ServerView
from vnicheck.engine.walk import Opening, Ranges, Walk
from vnicheck.fabric.answers import Answers
from vnicheck.fabric.check import Check
from vnicheck.fabric.ingress_route import ingress_route
from vnicheck.fabric.memory import remembered
from vnicheck.fabric.network_acl import CrossingPacket, network_acl, network_acl_sets
from vnicheck.fabric.security_group import (
    GroupedPacket,
    answer_to_seen,
    group_answers,
    local_set,
    security_groups,
)
from vnicheck.fabric.spoofing_check import spoofing_check
from vnicheck.fabric.state_filter import state_filter
from vnicheck.fabric.transport import ECHO_REPLY, ECHO_REQUEST
from vnicheck.fabric.vpc_route import vpc_route
from vnicheck.model.address import prefix_range
from vnicheck.model.cloud import Vni


def acl_packet(opening: Opening, *, arriving: bool, sports: Ranges, dports: Ranges, answer: bool) -> CrossingPacket:
    """A packet of the flow as an ACL sees it, that arrives from, or leaves for, the remotes."""
    return CrossingPacket(
        direction="inbound" if arriving else "outbound",
        protocol=opening.protocol,
        remotes=opening.region.samples,
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
        remotes=opening.region.samples,
        local=opening.local.number,
        dports=dports,
        opening=not answer,
        icmp_type=ECHO_REPLY if answer else ECHO_REQUEST,
    )


class Reading(Struct, frozen=True):
    """How the rules of a VNI read a flow, but for its protocol and ports. `effect` stands for what they come to,
    whichever rule decides; `exact` for which rules they are. Flows of several servers are read alike, and share these.
    """

    effect: object
    exact: object


def acl_reading(walk: Walk, vni: Vni, opening: Opening) -> Reading:
    """How the ACL of the VNI's subnet reads the opening."""
    return walk.once(
        ("acl", vni.subnet, opening.local.key, opening.region.number), lambda: _acl_reading(walk.view, vni, opening)
    )


def _acl_reading(view: ServerView, vni: Vni, opening: Opening) -> Reading:
    subnet, region = view.subnet(vni), opening.region
    first, last = prefix_range(subnet.cidr)
    within = first <= region.first <= last
    effects, rules = zip(*(region.read_by(of_acl(subnet, inbound=inbound)) for inbound in (True, False)), strict=True)
    ends = network_acl_sets(view.fabric, subnet, opening.local.number)
    effect = ("acl effect", subnet.network_acl, within, ends, effects)
    return Reading(_token(view, effect), _token(view, ("acl rules", subnet.id, within, ends, rules)))


def group_reading(walk: Walk, vni: Vni, opening: Opening) -> Reading:
    """How the VNI's security groups read the opening."""
    return walk.once(
        ("groups", vni.security_groups, opening.local.key, opening.region.number),
        lambda: _group_reading(walk.view, vni, opening),
    )


def _group_reading(view: ServerView, vni: Vni, opening: Opening) -> Reading:
    effect, rules = opening.region.read_by(of_groups(vni))
    here = (vni.security_groups, local_set(view.fabric, vni, opening.local.number))
    return Reading(_token(view, ("group effect", *here, effect)), _token(view, ("group rules", *here, rules)))


def _token(view: ServerView, read: Hashable) -> object:
    """What stands for a way of reading, wherever in the fabric it occurs: quicker to compare than to spell out."""
    return remembered(view.fabric, read, object)


def cross_acl(
    walk: Walk,
    vni: Vni,
    reading: Reading,
    opening: Opening,
    *,
    arriving: bool,
    sports: Ranges,
    dports: Ranges,
    answer: bool,
) -> Check:
    """The ACL of the VNI's subnet, for a packet that arrives from, or leaves for, the remote."""
    key = ("acl", reading.exact, opening.protocol, arriving, answer, sports, dports)
    known: Check | None = walk.shared.get(key)
    if known is None:
        view = walk.view
        packet = acl_packet(opening, arriving=arriving, sports=sports, dports=dports, answer=answer)
        known = remembered(view.fabric, key, lambda: network_acl(view.fabric, view.subnet(vni), packet))
    return known


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
    reading: Reading,
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
    key = ("groups", reading.exact, opening.protocol, arriving, answer, dports)
    answers: Answers | None = walk.shared.get(key)
    if answers is None:
        packet = group_packet(opening, arriving=arriving, dports=dports, answer=answer)
        answers = remembered(fabric, key, lambda: group_answers(fabric, vni, packet))
    return walk.once(
        ("groups", vni.id, arriving, answer, answers),
        lambda: security_groups(fabric, vni, group_packet(opening, arriving=arriving, dports=dports, answer=answer)),
    )


def cross_spoofing_check(walk: Walk, vni: Vni, opening: Opening, *, translated_elsewhere: bool = False) -> Check:
    """The IP spoofing check of the VNI by which a packet from the local address leaves."""
    local, scope, assume = opening.local.address, opening.scope, walk.view.assume
    return walk.once(
        ("spoofing", vni.id, local, scope, translated_elsewhere),
        lambda: spoofing_check(vni, assume, local, scope, translated_elsewhere=translated_elsewhere),
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
        ("ingress_route", local.key, opening.scope),
        lambda: ingress_route(view.fabric, view.subnet(local.vni), local.number, opening.scope),
    )
