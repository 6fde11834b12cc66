"""The VPC's checks of a flow's packets, as they leave or arrive by a VNI."""

from vnicheck.engine.walk import Opening, Section, Walk
from vnicheck.fabric.answers import Answers
from vnicheck.fabric.check import Check
from vnicheck.fabric.ingress_route import ingress_route
from vnicheck.fabric.network_acl import local_sets, network_acl
from vnicheck.fabric.public_range import public_range, reaches_range
from vnicheck.fabric.remote_acl import local_sets as local_sets_at_home
from vnicheck.fabric.remote_acl import remote_acl
from vnicheck.fabric.security_group import (
    answer_to_seen,
    group_answers,
    groups_check,
    local_set,
)
from vnicheck.fabric.spoofing_check import arrival_check, spoofing_check
from vnicheck.fabric.state_filter import state_filter
from vnicheck.fabric.transport import ECHO_REPLY, ECHO_REQUEST, CrossingPacket
from vnicheck.fabric.vpc_route import vpc_route
from vnicheck.model.cloud import Vni
from vnicheck.model.flow import Leg, Scope


def crossing_packet(walk: Walk, opening: Opening, *, arriving: bool, answer: bool) -> CrossingPacket:
    """A packet of the flow as groups and ACLs see it, that arrives from, or leaves for, the remotes; as the ACL of the
    remotes' own subnet sees it, it arrives where they get it.
    """
    client = (walk.view.client_ports(opening.protocol),)
    return CrossingPacket(
        direction="inbound" if arriving else "outbound",
        protocol=opening.protocol,
        remotes=opening.remotes.samples,
        local=opening.local.number,
        sports=opening.ports if answer else client,
        dports=client if answer else opening.ports,
        icmp_type=ECHO_REPLY if answer else ECHO_REQUEST,
    )


def reading(walk: Walk, vni: Vni, opening: Opening) -> object:
    """What stands for all that the VNI's groups and its subnet's ACL read of the flow's ends: the same for flows of any
    server that they read alike.
    """
    view, fabric, local = walk.view, walk.view.fabric, opening.local.number
    subnet = view.subnet(vni)

    def told() -> object:
        ends = local_sets(fabric, subnet, local), local_set(fabric, vni, local)
        return walk.for_all(("reading", subnet.id, vni.security_groups, ends, opening.remotes.rules), object)

    return walk.once(("reading", vni.id, opening.local.key, opening.remotes.rules), told)


def reading_at_home(walk: Walk, opening: Opening) -> object:
    """The same for the ACLs of remotes' own subnets."""
    vpc, local, rules = walk.view.server.vpc.id, opening.local.number, opening.remotes.rules

    def told() -> object:
        return walk.for_all(("reading at home", local_sets_at_home(walk.view.fabric, vpc, local), rules), object)

    return walk.once(("reading at home", local, rules), told)


def cross_vni(walk: Walk, leg: Leg, vni: Vni, opening: Opening, *, arriving: bool, seen: bool = True) -> Section:
    """The checks at a VNI of a packet that arrives from, or leaves for, the remotes: those of its subnet's ACL, its
    security groups and its state filter. `seen`: the VNI has seen the flow's opening packet.
    """
    answer = leg is Leg.REPLY
    acl, admitted = _rules(walk, vni, opening, arriving=arriving, answer=answer)

    def crossed() -> tuple[Check, Answers | None, Section]:
        view, protocol = walk.view, opening.protocol
        groups = answer_to_seen(vni, view.assume, seen=seen) if answer else None
        if groups is None:
            direction = "inbound" if arriving else "outbound"
            groups = groups_check(view.fabric, vni, admitted, direction=direction, opening=not answer)
        state = state_filter(vni, view.assume, protocol, auto_filters=view.auto_filters, saw_opening=seen)
        on_arrival = (acl, state, groups) if answer else (acl, groups, state)
        return acl, admitted, walk.section(leg, view.at(vni), *(on_arrival if arriving else (state, groups, acl)))

    key = ("crossing", leg, vni.id, arriving, seen, opening.protocol, id(acl), id(admitted))
    return walk.once(key, crossed)[2]  # acl and admitted stay alive, and so their ids


def _rules(walk: Walk, vni: Vni, opening: Opening, *, arriving: bool, answer: bool) -> tuple[Check, Answers | None]:
    """What the subnet's ACL does with the packet, and what the rules of the VNI's groups say of it."""
    view = walk.view
    read, client = reading(walk, vni, opening), view.client_ports(opening.protocol)

    def judged() -> tuple[Check, Answers | None]:
        packet = crossing_packet(walk, opening, arriving=arriving, answer=answer)
        return network_acl(view.fabric, view.subnet(vni), packet), group_answers(view.fabric, vni, packet)

    return walk.for_all(("crossing", read, opening.protocol, arriving, answer, opening.ports, client), judged)


def may_meet_remote_acl(vni: Vni, opening: Opening) -> bool:
    """Whether the remotes may be in another subnet of the VPC than the VNI: also where they are in the subnet of the
    local address, and its packets leave by a VNI of another one.
    """
    if opening.scope is Scope.SUBNET:
        return vni.subnet != opening.local.vni.subnet
    return opening.scope is Scope.VPC


def cross_remote_acl(walk: Walk, leg: Leg, vni: Vni, opening: Opening, *, sends: bool) -> tuple[Section, ...]:
    """The ACL of the own subnet of remotes in the VPC, for a packet to the VNI (`sends`) or from it."""
    if not may_meet_remote_acl(vni, opening):
        return ()
    view, own, client = walk.view, walk.view.subnet(vni), walk.view.client_ports(opening.protocol)

    def judged() -> Check:
        packet = crossing_packet(walk, opening, arriving=not sends, answer=leg is Leg.REPLY)
        return remote_acl(view.fabric, view.server.vpc.id, own, packet)

    key = ("remote_acl", own.id, reading_at_home(walk, opening), opening.protocol, opening.ports, client, sends, leg)
    return (walk.section(leg, view.at(vni), walk.for_all(key, judged)),)


def cross_spoofing_check(walk: Walk, vni: Vni, opening: Opening, *, translated_elsewhere: bool = False) -> Check:
    """The IP spoofing check of the VNI by which a packet from the local address leaves."""
    view, local, scope = walk.view, opening.local.address, opening.scope
    public = public_range(view.fabric, view.server.vpc.id, opening.local.number) if local in view.public else None
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
            public=public,
        ),
    )


def cross_vpc_route(walk: Walk, vni: Vni, opening: Opening) -> Check:
    """The VPC routing table of the VNI's subnet, for a packet to the remote."""
    view, local = walk.view, opening.local
    of_subnet = local.address in local.vni.addresses
    known = opening.scope is not Scope.PRIVATE or view.scopes(vni).of(opening.remote) is not Scope.INTERNET
    return walk.once(
        ("vpc_route", vni.subnet, local.vni.subnet if of_subnet else local.key, opening.remote, opening.scope),
        lambda: vpc_route(
            view.fabric,
            view.subnet(vni),
            view.assume,
            opening.remote,
            opening.scope,
            source=local.number,
            own=view.reserved,
            private_here=known,
        ),
    )


def cross_ingress_route(walk: Walk, opening: Opening) -> tuple[Check, ...]:
    """The VPC routing tables that a packet to the local address meets where it comes in."""
    view, local, scope = walk.view, opening.local, opening.scope
    subnet = view.subnet(local.vni)
    if local.address in view.public:
        return walk.once(
            ("public range", local.key, scope),
            lambda: (
                *reaches_range(view.fabric, view.server.vpc.id, local.address, scope),
                *arrival_check(local.vni, view.assume, view.arrival),
            ),
        )
    return walk.once(
        ("ingress_route", local.key, scope, opening.remote if scope is Scope.VPC else None),
        lambda: ingress_route(view.fabric, subnet, local.vni, local.number, scope, opening.remote, view.reserved),
    )


def comes_by_another(arrival: Section) -> bool:
    """Whether the VPC leads a packet to another VNI of the server than its address's: what follows is not known."""
    return any(step.check.by_another for step in arrival.steps)
