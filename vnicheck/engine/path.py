"""The path of one flow: the checks that its packets meet, in packet order, and where they enter and leave the guest."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from msgspec import Struct

from vnicheck.engine.areas import of_acl, of_groups
from vnicheck.engine.partition import NO_PORTS, Range
from vnicheck.engine.regions import Answer, Region
from vnicheck.engine.server_view import LocalAddress, ServerView
from vnicheck.fabric.answers import Answers
from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.fabric.ingress_route import ingress_route
from vnicheck.fabric.memory import memory_of, remembered
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
from vnicheck.kernel.receive import Received, Reception
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.kernel.worlds import Kernel
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.cloud import Vni
from vnicheck.model.flow import DropCode, Hop, Leg, Protocol, Scope

T = TypeVar("T")
Ranges = tuple[Range, ...]


class Opening(Struct, frozen=True):
    """A flow to be predicted: from or to the remotes of a region, all of one scope, with its destination ports,
    all of one fate ((0, 0) alone for ICMP).
    """

    local: LocalAddress
    protocol: Protocol
    ports: Ranges
    scope: Scope
    region: Region

    @property
    def remote(self) -> int:
        """One of the remotes."""
        return self.region.first

    def at(self, ports: Ranges) -> "Opening":
        """The same with some of the ports."""
        return Opening(self.local, self.protocol, ports, self.scope, self.region)


class Step:
    """A check with the leg that it belongs to and its place. Steps of one `fate` (a number) differ at most in the lines
    that decided them. `hop`: the one that it alone makes, once it is made.
    """

    __slots__ = ("at", "check", "fate", "hop", "leg")

    def __init__(self, leg: Leg, at: str, check: Check, fate: int) -> None:
        self.leg = leg
        self.at = at
        self.check = check
        self.fate = fate
        self.hop: Hop | None = None


class Path(Struct, frozen=True):
    """All steps of a flow, and the guest interfaces where its packets enter and leave (None: nowhere, or not known).

    `straight`, of a flow in transit: whether its answer takes the same interfaces back.
    """

    steps: tuple[Step, ...]
    ingress: str | None
    egress: str | None
    straight: bool | None = None

    @property
    def symmetric(self) -> bool | None:
        """Whether both directions cross the same VNIs; None where that is not known."""
        if self.straight is not None:
            return self.straight
        if self.ingress is None or self.egress is None:
            return None
        return self.ingress == self.egress


class Walk:
    """Follows the flows of one server; what several of them share is worked out once."""

    def __init__(self, view: ServerView) -> None:
        self.view = view
        self.shared = memory_of(view.fabric)
        self._known: dict[Hashable, Any] = {}
        self._steps: dict[tuple[Leg, str, int], Step] = {}
        self._several: dict[Hashable, tuple[Step, ...]] = {}
        self._fates: dict[Hashable, int] = {}

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` says, computed once for each key."""
        known: T | None = self._known.get(key)
        if known is None:
            known = self._known[key] = compute()
        return known

    def step(self, leg: Leg, at: str, check: Check) -> Step:
        """The step for a check; the same one for the same check, which it keeps alive."""
        key = (leg, at, id(check))
        known = self._steps.get(key)
        if known is None:
            fate = (leg, at, check.stage, check.outcome, check.reason)
            known = self._steps[key] = Step(leg, at, check, self._fates.setdefault(fate, len(self._fates)))
        return known

    def steps(self, leg: Leg, at: str, *checks: Check) -> tuple[Step, ...]:
        """The steps for checks at one place, in order."""
        key = (leg, at, *map(id, checks))
        known = self._several.get(key)
        if known is None:
            known = self._several[key] = tuple([self.step(leg, at, check) for check in checks])
        return known


class Steps:
    """Collects the steps of one leg after the other."""

    def __init__(self, walk: Walk, leg: Leg) -> None:
        self.walk = walk
        self.leg = leg
        self.taken: list[Step] = []

    def add(self, at: str, *checks: Check) -> None:
        """The next checks that the packet meets."""
        step = self.walk.step
        self.taken += [step(self.leg, at, check) for check in checks]


class Passage(Struct, frozen=True):
    """Where packets cross the border between VPC and guest: the guest's interface and the VNI, where they are known,
    and the steps there.
    """

    interface: str | None
    vni: Vni | None
    steps: tuple[Step, ...]


def client_ports(view: ServerView, protocol: Protocol) -> Range:
    """The ports that an opening side may use."""
    return NO_PORTS if protocol is Protocol.ICMP else view.assume.client_port_range


def enter_guest(walk: Walk, leg: Leg, opening: Opening) -> Passage:
    """A packet from the remote reaches the guest by the local address's VNI."""
    view, vni = walk.view, opening.local.vni
    at = view.at(vni)
    interface = view.interface_of.get(vni.id)
    answer = opening.region.received
    if view.kernel is None or interface is None or answer is None:
        return Passage(None, vni, walk.steps(leg, at, unknown("guest_interface", view.why_unmatched(vni))))
    return Passage(interface, vni, walk.steps(leg, at, *if_down(view.kernel, interface), _received(answer)))


def if_down(kernel: Kernel, interface: str) -> tuple[Check, ...]:
    """The drop of all that would cross an interface which is down; nothing where it is up."""
    try:
        down = kernel.interface_state(interface)
    except Undetermined as reason:
        return (unknown("interface_state", str(reason)),)
    return () if down is None else (drops("interface_state", DropCode.INTERFACE_DOWN, down.reason),)


def _received(answer: Answer) -> Check:
    received = answer.outcome
    if not isinstance(received, Received):
        return unknown("source_validation", str(received))
    stage = "local_delivery" if received.reception is Reception.NOT_LOCAL else "source_validation"
    if received.reception is Reception.DELIVERED:
        return passes(stage, received.reason, by=answer.deciders)
    return drops(stage, DropCode(received.reception.value), received.reason, by=answer.deciders)


def leaving_vni(view: ServerView, region: Region) -> Vni | None:
    """The VNI by which packets to the region's remotes leave the server, where it is known."""
    sent = region.sent.outcome if region.sent is not None else None
    return view.vni_of(sent.interface) if isinstance(sent, Sent) else None


def leave_guest(walk: Walk, leg: Leg, opening: Opening) -> Passage:
    """A packet to the remote leaves from the local address."""
    view, own = walk.view, opening.local.vni
    stage = "reply_route" if leg is Leg.REPLY else "request_route"
    at = view.at(own)
    answer = opening.region.sent
    if view.kernel is None or answer is None:
        return Passage(None, None, walk.steps(leg, at, unknown(stage, view.why_unmatched(own))))
    sent, by = answer.outcome, answer.deciders
    if isinstance(sent, NotSent):
        if sent.failure is None and own.id not in view.interface_of:
            # what answers for the address may be in another network namespace of the guest
            return Passage(None, None, walk.steps(leg, at, unknown(stage, view.why_unmatched(own))))
        code = DropCode.NOT_LOCAL if sent.failure is None else DropCode(sent.failure.value)
        return Passage(None, None, walk.steps(leg, at, drops(stage, code, sent.reason, by=by)))
    if not isinstance(sent, Sent):
        return Passage(None, None, walk.steps(leg, at, unknown(stage, str(sent))))
    vni = leaving_vni(view, opening.region)
    if vni is None:
        reason = f"leaves by {sent.interface}, behind which no VNI is known"
        return Passage(sent.interface, None, walk.steps(leg, sent.interface, unknown(stage, reason, by=by)))
    first_hop = _first_hop(view, vni, sent, by, opening, stage)
    entered = view.interface_of.get(own.id)  # whose state is judged where packets enter
    state = () if sent.interface == entered else if_down(view.kernel, sent.interface)
    return Passage(sent.interface, vni, walk.steps(leg, sent.interface, first_hop, *state))


def _first_hop(view: ServerView, vni: Vni, sent: Sent, by: tuple[str, ...], opening: Opening, stage: str) -> Check:
    """Whether the next hop is one that we know: the subnet's gateway (its first address), or the remote itself."""
    subnet = view.subnet(vni)
    first, last = prefix_range(subnet.cidr)
    name = sent.interface
    if sent.gateway is None:
        if first <= opening.remote <= last:
            return passes(stage, f"leaves by {name}, on-link", by=by)
        return unknown(stage, f"leaves by {name} on-link, but the remote is not in subnet {subnet.name}", by=by)
    if parse_address(sent.gateway) == first + 1:
        return passes(stage, f"leaves by {name} to the gateway {sent.gateway}", by=by)
    reason = f"leaves by {name} to {sent.gateway}, which is not the gateway of subnet {subnet.name}"
    return unknown(stage, reason, by=by)


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
        ("acl", vni.subnet, opening.local.address, opening.region.number), lambda: _acl_reading(walk.view, vni, opening)
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
        ("groups", vni.security_groups, opening.local.address, opening.region.number),
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
        ("ingress_route", local.address, opening.scope),
        lambda: ingress_route(view.fabric, view.subnet(local.vni), local.number, opening.scope),
    )
