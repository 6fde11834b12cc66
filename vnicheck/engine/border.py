"""The border between VPC and guest: where a flow's packets enter the guest, and where they leave it."""

from msgspec import Struct, structs

from vnicheck.engine.server_view import ServerView
from vnicheck.engine.walk import Opening, Section, Walk
from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.kernel.filtered import Translated
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.receive import Received, Reception
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Undetermined, Unknown
from vnicheck.kernel.worlds import ByPort
from vnicheck.kernel.worlds import Outcome as Became
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.cloud import Subnet, Vni
from vnicheck.model.flow import By, Decider, DropCode, Leg, Outcome, Stage
from vnicheck.model.guest import RouteType

_ANSWERED = "taken for the server's own: no rule is known that leads it to a container or another server"


class Answer(Struct, frozen=True):
    """What the kernel does with a packet, and the lines that decided it."""

    outcome: Became
    deciders: By


class BorderCrossing(Struct, frozen=True):
    """Where packets cross the border between VPC and guest: the guest's interface and the VNI, where they are known,
    and the steps there.
    """

    interface: str | None
    vni: Vni | None
    steps: Section


def enter_guest(walk: Walk, leg: Leg, opening: Opening) -> BorderCrossing:
    """A packet from the remote reaches the guest by the local address's VNI."""
    view, vni = walk.view, opening.local.vni
    at = view.at(vni)
    interface = view.interface_of.get(vni.id)
    answer = answer_of(opening.remotes.received, opening)
    if view.kernel is None or interface is None or answer is None:
        return BorderCrossing(None, vni, walk.section(leg, at, unknown(Stage.GUEST_INTERFACE, view.why_unmatched(vni))))
    taken = _resting(walk, leg, _received(answer))
    checks = (
        *if_down(view.kernel, interface),
        taken,
        *_ruled(answer.outcome),
        *_answering(walk, leg, interface, taken),
    )
    return BorderCrossing(interface, vni, walk.section(leg, at, *checks))


def _resting(walk: Walk, leg: Leg, check: Check) -> Check:
    """The check with the shared assumption that it rests on."""
    kernel = walk.view.kernel
    assert kernel is not None  # noqa: S101 - the caller has looked
    unread = leg is Leg.REQUEST and check.outcome is Outcome.PASS and not kernel.firewall_read
    return structs.replace(check, assumption="guest-firewall") if unread else _unmarked(kernel, check)


def _ruled(became: Became) -> tuple[Check, ...]:
    """A doubt by the guest's firewall."""
    ruling = became.ruling if isinstance(became, Received | Sent) else None
    return () if ruling is None else (unknown(Stage.GUEST_FIREWALL, ruling.reason),)


def _answering(walk: Walk, leg: Leg, interface: str, taken: Check) -> tuple[Check, ...]:
    """That it answers itself, where the server forwards for networks of its own and netfilter's rules are not known."""
    view, kernel = walk.view, walk.view.kernel
    assert kernel is not None  # noqa: S101 - the caller has looked
    if leg is not Leg.REQUEST or taken.outcome is not Outcome.PASS or kernel.firewall_read or not view.own_devices:
        return ()
    if not kernel.may_forward(interface):
        return ()
    return (walk.once("answered_here", lambda: passes(Stage.LOCAL_DELIVERY, _ANSWERED, "answered-here")),)


def _unmarked(kernel: Kernel, check: Check) -> Check:
    """The check, resting on the packet being unmarked where some policy rule reads marks."""
    if not kernel.takes_marks_for_none or check.outcome is Outcome.UNKNOWN:
        return check
    return structs.replace(check, assumption="packets-unmarked")


def if_down(kernel: Kernel, interface: str) -> tuple[Check, ...]:
    """The drop of all that would cross an interface which is down; nothing where it is up."""
    try:
        down = kernel.interface_state(interface)
    except Undetermined as reason:
        return (unknown(Stage.INTERFACE_STATE, str(reason)),)
    return () if down is None else (drops(Stage.INTERFACE_STATE, DropCode.INTERFACE_DOWN, down.reason),)


def _received(answer: Answer) -> Check:
    received = answer.outcome
    if isinstance(received, Unknown):
        stage = Stage.LOCAL_DELIVERY if isinstance(received, Translated) else Stage.SOURCE_VALIDATION
        return unknown(stage, received.reason)
    assert isinstance(received, Received)  # noqa: S101 - packets that come in are not sent
    if received.led is not None and received.reception is not Reception.DELIVERED:
        return _led_on(received, answer.deciders)
    if received.reception is Reception.FORWARDED:
        reason = f"{received.reason}, which is not modelled"
        return unknown(Stage.SOURCE_VALIDATION, reason, by=answer.deciders)
    stage = Stage.LOCAL_DELIVERY if received.reception is Reception.NOT_LOCAL else Stage.SOURCE_VALIDATION
    if received.reception is Reception.DELIVERED:
        return passes(stage, received.reason, by=answer.deciders)
    return drops(stage, DropCode(received.reception.value), received.reason, by=answer.deciders)


def _led_on(received: Received, by: By) -> Check:
    """A packet that netfilter leads to a container."""
    if received.reception is Reception.FORWARDED:
        return passes(Stage.FORWARDING, received.reason, "container-answers", by)
    return drops(Stage.FORWARDING, DropCode((received.failure or received.reception).value), received.reason, by=by)


def answered_elsewhere(walk: Walk, opening: Opening) -> BorderCrossing | None:
    """The way of the reply to a request that the guest forwards: whoever gets it answers. None: the guest answers."""
    answer = answer_of(opening.remotes.received, opening)
    if answer is None or not isinstance(answer.outcome, Received):
        return None
    if answer.outcome.reception is not Reception.FORWARDED or answer.outcome.led is not None:
        return None
    check = unknown(Stage.REPLY_ROUTE, "whoever gets the forwarded packet answers it, by a way that is not modelled")
    return BorderCrossing(None, None, walk.section(Leg.REPLY, walk.view.at(opening.local.vni), check))


def answer_of(ways: tuple[ByPort, ...], opening: Opening) -> Answer | None:
    """What the kernel does with packets of the opening's ports, where they are known to reach it: all fare alike, in
    as many ways.
    """
    if not ways:
        return None
    lines: dict[Decider, None] = {}
    for first, last in opening.ports:
        for way in ways:
            for *_, outcome in way.stretches(first, last):
                if not isinstance(outcome, Unknown) and outcome.by:
                    lines[outcome.by] = None
    return Answer(ways[0].at(opening.ports[0][0]), tuple(lines))


def leaving_vni(view: ServerView, opening: Opening) -> Vni | None:
    """The VNI by which packets to the remotes leave the server, where it is known."""
    ways = opening.remotes.sent
    sent = ways[0].at(opening.ports[0][0]) if ways else None
    return view.vni_of(sent.interface) if isinstance(sent, Sent) else None


def leave_guest(walk: Walk, leg: Leg, opening: Opening) -> BorderCrossing:
    """A packet to the remote leaves from the local address."""
    view, own = walk.view, opening.local.vni
    stage = Stage.REPLY_ROUTE if leg is Leg.REPLY else Stage.REQUEST_ROUTE
    at = view.at(own)
    answer = answer_of(opening.remotes.sent, opening)
    if view.kernel is None or answer is None:
        return BorderCrossing(None, None, walk.section(leg, at, unknown(stage, view.why_unmatched(own))))
    sent, by = answer.outcome, answer.deciders
    if isinstance(sent, NotSent) and sent.refused_at is not None:
        refused = drops(Stage.FORWARDING, DropCode(sent.refusal), sent.reason, by=by)
        return BorderCrossing(None, None, walk.section(leg, sent.refused_at, _unmarked(view.kernel, refused)))
    if isinstance(sent, NotSent):
        if sent.failure is None and own.id not in view.interface_of:
            # what answers for the address may be in another network namespace of the guest
            return BorderCrossing(None, None, walk.section(leg, at, unknown(stage, view.why_unmatched(own))))
        if sent.failure is None and leg is Leg.REQUEST and _is_own(view, opening.local.number):
            doubt = unknown(
                stage, f"{sent.reason}, but of one of its own networks: how packets leave it is not modelled"
            )
            return BorderCrossing(None, None, walk.section(leg, at, doubt))
        taken = answer_of(opening.remotes.received, opening) if leg is Leg.REPLY else None
        if sent.failure is None and taken is not None and _may_be_taken(taken.outcome):
            doubt = unknown(stage, f"{sent.reason}; what becomes of the request, and who answers, is not known")
            return BorderCrossing(None, None, walk.section(leg, at, doubt))
        code = DropCode.NOT_LOCAL if sent.failure is None else DropCode(sent.failure.value)
        check = structs.replace(drops(stage, code, sent.reason, by=by), to_no_host=sent.kind is RouteType.BROADCAST)
        return BorderCrossing(None, None, walk.section(leg, at, _unmarked(view.kernel, check)))
    if not isinstance(sent, Sent):
        return BorderCrossing(None, None, walk.section(leg, at, unknown(stage, sent.reason)))
    vni = leaving_vni(view, opening)
    if vni is None:
        reason = f"leaves by {sent.interface}, behind which no VNI is known"
        inside = leg is Leg.REQUEST and sent.interface in view.own_devices and _is_own(view, opening.remote)
        doubt = structs.replace(unknown(stage, reason, by=by), stays_inside=inside)
        return BorderCrossing(sent.interface, None, walk.section(leg, sent.interface, doubt))
    if _is_own(view, opening.remote):
        reason = f"packets for one of the server's own networks are led out by {sent.interface}"
        return BorderCrossing(sent.interface, vni, walk.section(leg, sent.interface, unknown(stage, reason, by=by)))
    hop_stage = stage if sent.sender is None else Stage.FORWARDING
    hop = check_first_hop(view.subnet(vni), sent.interface, sent.gateway, opening.remote, hop_stage, by)
    entered = view.interface_of.get(own.id)  # whose state is judged where packets enter
    state = () if sent.interface == entered else if_down(view.kernel, sent.interface)
    left = walk.section(leg, sent.interface, _unmarked(view.kernel, hop), *_ruled(sent), *state)
    return BorderCrossing(
        sent.interface, vni, left if sent.sender is None else walk.joined(_sent_on(walk, leg, sent.sender), left)
    )


def _sent_on(walk: Walk, leg: Leg, sender: tuple[str, str]) -> Section:
    """A container's packet comes in."""
    address, device = sender
    reason = f"a container's answer comes in, and is routed as a packet from {address}"
    return walk.section(leg, device, walk.once(("sent on", sender), lambda: passes(Stage.FORWARDING, reason)))


def _is_own(view: ServerView, address: int) -> bool:
    return any(first <= address <= last for first, last in view.own_networks)


def _may_be_taken(became: Became) -> bool:
    """Whether somebody may get a packet to an address that is none of the guest's, and answer from there (TPROXY)."""
    return isinstance(became, Unknown) or (isinstance(became, Received) and became.reception is Reception.DELIVERED)


def check_first_hop(subnet: Subnet, name: str, gateway: str | None, remote: int, stage: Stage, by: By) -> Check:
    """Whether the next hop is one that we know: the subnet's gateway (its first address), or the remote itself. `name`:
    the interface by which the packet leaves.
    """
    first, last = prefix_range(subnet.cidr)
    if gateway is None:
        if first <= remote <= last:
            return passes(stage, f"leaves by {name}, on-link", by=by)
        return unknown(stage, f"leaves by {name} on-link, but the remote is not in subnet {subnet.name}", by=by)
    if parse_address(gateway) == first + 1:
        return passes(stage, f"leaves by {name} to the gateway {gateway}", by=by)
    return unknown(stage, f"leaves by {name} to {gateway}, which is not the gateway of subnet {subnet.name}", by=by)
