"""Broken paths: flows that enter and leave alike, with the drop that is their cause. One finding for each."""

from collections.abc import Iterable, Iterator

from msgspec import Struct, UnsetType

from vnicheck.engine.refinement import difference
from vnicheck.fabric.public_range import public_range
from vnicheck.findings.confidence import confidence_of_hops
from vnicheck.findings.expectations import expected_drops
from vnicheck.findings.facts import Facts
from vnicheck.findings.led_out import led_out
from vnicheck.findings.published import is_published
from vnicheck.model.address import merge_ranges, parse_address, prefix_range
from vnicheck.model.finding import Confidence
from vnicheck.model.flow import Direction, DropCode, Flow, Hop, Leg, Outcome, Stage, Verdict
from vnicheck.model.guest import RouteType

_POLICY = {DropCode.NETWORK_ACL, DropCode.SECURITY_GROUP}
_CLOSED_BY_VPC = {DropCode.NETWORK_ACL, DropCode.SECURITY_GROUP, DropCode.NO_FLOATING_IP, DropCode.VPC_ROUTE}
REFUSALS = {DropCode.BLACKHOLE, DropCode.UNREACHABLE, DropCode.PROHIBIT}
"""The drops by a route or rule that refuses: somebody put it there, so that it is meant."""
_NEVER = {DropCode.MARTIAN_SOURCE, DropCode.VPC_ROUTE}
TRANSIT_CODES = (
    DropCode.PROTOCOL_STATE_FILTERING,
    DropCode.IP_SPOOFING_CHECK,
    DropCode.NOT_LOCAL,
    DropCode.INTERFACE_DOWN,
    DropCode.RP_FILTER,
    DropCode.MARTIAN_SOURCE,
    DropCode.VPC_ROUTE,
)
"""The drops of flows in transit that are not meant: groups, ACLs and the guest's own refusals are policy."""
_Place = tuple[Leg, str, Stage]
_Cause = tuple[DropCode, Leg, str]


class BrokenPath(Struct, frozen=True):
    """Dropped flows of one direction, to or from the addresses of one VNI, that enter and leave by the same interfaces.

    Each of `flows` is dropped; `caused` are those of them that the path's cause drops first, the others meet another
    drop first (one protocol is state-filtered, another is not).
    """

    code: DropCode
    direction: Direction
    ingress: str | None
    egress: str | None
    at: str
    flows: tuple[tuple[int, Flow], ...]
    caused: tuple[Flow, ...]
    published: bool = False
    """Whether they are led to containers, which answer them by ways of their own."""

    @property
    def hop(self) -> Hop:
        """The hop that drops the first of the flows."""
        return first_drop(self.caused[0])

    @property
    def members(self) -> tuple[Flow, ...]:
        """The flows themselves."""
        return tuple(flow for _, flow in self.flows)

    @property
    def locals(self) -> tuple[str, ...]:
        """The server's addresses that the path concerns."""
        return tuple(dict.fromkeys(flow.local for _, flow in self.flows))


def first_drop(flow: Flow) -> Hop:
    """The hop that drops a flow."""
    return next(hop for hop in flow.hops if hop.outcome is Outcome.DROP)


def broken_paths(facts: Facts, *codes: DropCode, leg: Leg | None = None, transit: bool = False) -> Iterator[BrokenPath]:
    """The paths, in transit or not, whose cause is one of `codes` (on that leg), in the order of the flows.

    The cause is the drop that comes first in packet order among the first drops of the path's flows; one that is
    assumed counts only where none is certain.
    """
    for path in all_broken_paths(facts, transit=transit):
        if path.code in codes and (leg is None or path.hop.leg is leg):
            yield path


def all_broken_paths(facts: Facts, *, transit: bool = False) -> tuple[BrokenPath, ...]:
    """The paths, in transit or not, whatever their cause; without the flows that are expected to be dropped."""
    key = "broken in transit" if transit else "broken"
    return facts.once(key, lambda: tuple(_all_broken_paths(facts, transit=transit)))


def _all_broken_paths(facts: Facts, *, transit: bool) -> Iterator[BrokenPath]:
    paths: dict[tuple[object, ...], list[tuple[int, Flow]]] = {}
    meant = expected_drops(facts.view, facts.flows)
    broadcast = _broadcast(facts)
    for index, flow in enumerate(facts.flows):
        if index in meant or (flow.direction is Direction.TRANSIT) is not transit or not _is_broken(flow, broadcast):
            continue
        if _is_unused(facts, flow) or _behind_containers(facts, flow) or led_out(facts, flow) is not None:
            continue
        owner = facts.owner(flow.local)
        lacking = flow.dropped_by is DropCode.NOT_LOCAL  # a matter of this address, not of the path
        whose = owner.id if owner is not None else None
        key = (flow.direction, flow.ingress, flow.egress, whose, lacking, is_published(flow))
        paths.setdefault(key, []).append((index, flow))
    for flows in paths.values():
        cause = _cause([flow for _, flow in flows])
        caused = tuple(flow for _, flow in flows if _cause_of(flow) == cause)
        first = caused[0]
        yield BrokenPath(
            code=cause[0],
            direction=first.direction,
            ingress=first.ingress,
            egress=first.egress,
            at=cause[2],
            flows=tuple(flows),
            caused=caused,
            published=is_published(first),
        )


def broken_flows(facts: Facts) -> dict[int, Flow]:
    """The flows of all broken paths, by their index, but for those that lead into the guest's own networks."""
    return {
        index: flow
        for transit in (False, True)
        for path in all_broken_paths(facts, transit=transit)
        if not facts.is_inside(path.egress)
        for index, flow in path.flows
    }


def asymmetric_ingresses(facts: Facts) -> set[str]:
    """The interfaces by which packets enter whose way back leaves by another: strict rp_filter would drop them."""
    return {flow.ingress for flow in facts.flows if flow.symmetric is False and flow.ingress is not None}


def _is_broken(flow: Flow, broadcast: set[str]) -> bool:
    """Whether a flow is dropped against what is meant: not by policy, nor where nobody is. What its hops say comes
    last, for they are made when they are read.
    """
    if not flow.drops or any(drop.by is DropCode.NO_FLOATING_IP for drop in flow.drops):
        return False  # the VPC is not meant to lead there
    first = flow.drops[0]
    if any(drop.by in REFUSALS for drop in flow.drops):
        return False
    if flow.direction is Direction.TRANSIT:
        meant = first.by not in TRANSIT_CODES
    else:
        meant = first.by in _NEVER or (first.by in _POLICY and first.leg is Leg.REQUEST)
    if meant or all(prefix in broadcast for prefix in flow.remote):
        return False
    if _refused_at_home(flow):
        return False  # what the remote's own subnet lets in and out is for its owner to say
    doubts = (hop.assumption for hop in flow.hops if hop.outcome is Outcome.UNKNOWN)
    return "public-ranges" not in doubts  # nobody says that remotes are meant to reach such an address


def _refused_at_home(flow: Flow) -> bool:
    """Whether the ACL of the remote's own subnet drops the flow."""
    if all(drop.by is not DropCode.NETWORK_ACL for drop in flow.drops):
        return False
    return any(hop.outcome is Outcome.DROP and hop.stage is Stage.REMOTE_ACL for hop in flow.hops)


def _is_unused(facts: Facts, flow: Flow) -> bool:
    """Whether it is in transit to addresses of a public address range of which the guest holds others itself: they are
    nobody's where it does not forward.
    """
    if flow.dropped_by is not DropCode.NOT_LOCAL or isinstance(flow.local_prefixes, UnsetType):
        return False
    view = facts.view
    ranges = [public_range(view.fabric, view.server.vpc.id, parse_address(address)) for address in view.public]
    held = merge_ranges(prefix_range(each.cidr) for each in ranges if each is not None)
    return bool(held) and not difference(merge_ranges(map(prefix_range, flow.local_prefixes)), held)


def _behind_containers(facts: Facts, flow: Flow) -> bool:
    """Whether the way back leads to a device of container software, and no configured network is concerned: nobody is
    meant to come in by a VNI with an address of that device's network.
    """
    inside = flow.egress in facts.view.own_devices and facts.is_inside(flow.egress)
    return inside and isinstance(flow.remote_network, UnsetType)


def to_no_host(facts: Facts, flow: Flow) -> bool:
    """Whether the remotes are broadcast addresses of the guest's own networks: nobody is there to miss anything."""
    broadcast = _broadcast(facts)
    return all(prefix in broadcast for prefix in flow.remote)


def is_known(facts: Facts) -> bool:
    """Whether of some flow that the VPC leaves open it is known what becomes of it, or the VPC closes all."""
    open_ones = [flow for flow in facts.flows if flow.dropped_by not in _CLOSED_BY_VPC and not to_no_host(facts, flow)]
    return any(flow.verdict is not Verdict.UNKNOWN for flow in open_ones) or (bool(facts.flows) and not open_ones)


def _broadcast(facts: Facts) -> set[str]:
    guest = facts.view.server.guest
    return {route.prefix for route in guest.routes if route.type is RouteType.BROADCAST} if guest is not None else set()


def _cause(flows: list[Flow]) -> _Cause:
    """The first drop, in packet order, of those that the flows meet first."""
    order = _packet_order(flows)

    def rank(flow: Flow) -> tuple[bool, int]:
        return confidence_of([flow]) == "assumed", order.index(place_of(first_drop(flow)))

    return _cause_of(min(flows, key=rank))


def _cause_of(flow: Flow) -> _Cause:
    first = flow.drops[0]
    return first.by, first.leg, first.at


def place_of(hop: Hop) -> _Place:
    """Where on the way a hop is."""
    return hop.leg, hop.at, hop.stage


def _packet_order(flows: list[Flow]) -> list[_Place]:
    """The stages that the flows meet, merged into one order: some meet stages that others do not."""
    order: list[_Place] = []
    for places in dict.fromkeys(tuple(map(place_of, flow.hops)) for flow in flows):
        position = 0
        for place in places:
            if place in order:
                position = max(position, order.index(place) + 1)
            else:
                order.insert(position, place)
                position += 1
    return order


def confidence_of(flows: Iterable[Flow]) -> Confidence:
    """The lowest of what the first drops of the flows rest on."""
    return confidence_of_hops(map(first_drop, flows))
