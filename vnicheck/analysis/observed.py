"""Predicted flows with what was seen of their hops: how and when; and doubt where what was seen is otherwise."""

from collections.abc import Callable, Iterable
from functools import partial

import msgspec
from msgspec import UnsetType

from vnicheck.engine.server_view import ServerView
from vnicheck.model.address import Range, parse_address, prefix_range
from vnicheck.model.flow import Flow, Hop, LazyHops, Observed, Outcome, Stage, Verdict
from vnicheck.model.observation import InformedConfig, KnownHop, facts_of
from vnicheck.model.verification import SeenFlow

_WAYS = {Stage.GUEST_INTERFACE, Stage.REPLY_ROUTE, Stage.REQUEST_ROUTE}
_Mark = Callable[[Hop], Hop]


def observed_flows(view: ServerView, flows: tuple[Flow, ...]) -> tuple[Flow, ...]:
    """The flows as they are where nothing is known of the server."""
    config = view.config
    if not isinstance(config, InformedConfig) or view.server.id not in config.known:
        return flows
    known = config.known[view.server.id]
    seen = config.assumptions_of(view.server.id, [vni.id for vni in view.server.vnis])
    # one without a value (the server's own firewall, or of an older file) makes no hop so
    by_assumption = {name: at for name, (each, at) in seen.items() if each.value is not None}
    marked = tuple(_with_hops(flow, partial(_rests_on, by_assumption)) for flow in flows) if seen else flows
    if known.facts != facts_of(view.server):
        return marked
    by_way: dict[tuple[str, ...], list[KnownHop | tuple[SeenFlow, Observed]]] = {}
    for hop in known.hops:
        by_way.setdefault((hop.hop.direction, hop.hop.protocol, hop.hop.local), []).append(hop)
    for packets, at in known.flows:
        by_way.setdefault((packets.direction, packets.protocol, packets.local), []).append((packets, at))
    return tuple(_of_same_facts(flow, by_way.get((flow.direction, flow.protocol, flow.local), ())) for flow in marked)


def _of_same_facts(flow: Flow, seen: Iterable[KnownHop | tuple[SeenFlow, Observed]]) -> Flow:
    for each in seen:
        if isinstance(each, KnownHop):
            if _is_of(flow, each.hop.remote, each.hop.port):
                known = each.confirmed or each.can_be_followed
                flow = _with_hops(flow, partial(_seen, each)) if known else _doubted(flow, each)
        elif _is_of(flow, each[0].remote, each[0].port):
            flow = _of_packets(flow, *each)
    return flow


def _of_packets(flow: Flow, seen: SeenFlow, at: Observed) -> Flow:
    """Where packets fared otherwise than is still predicted, that is not known."""
    if {flow.verdict, seen.observed} == {Verdict.DELIVERED, Verdict.DROPPED}:
        reason = f"it is predicted to be {flow.verdict}, and was seen to be {seen.observed} ({at.how}, {at.at})"
        wrong = [hop for hop in flow.hops if hop.outcome is Outcome.DROP] or [flow.hops[-1]]
        return _unknown(flow, wrong, reason)
    if seen.other_way:
        way = [hop for hop in flow.hops if hop.stage in _WAYS] or [flow.hops[-1]]
        return _unknown(flow, way, f"it was seen to go another way ({at.how}, {at.at}): {seen.last_seen}")
    sure = {(hop.leg, hop.stage, hop.at, hop.outcome) for hop in seen.hops if hop.conclusion == "confirmed"}
    return _with_hops(flow, lambda hop: _marked(hop, at) if (hop.leg, hop.stage, hop.at, hop.outcome) in sure else hop)


def _doubted(flow: Flow, known: KnownHop) -> Flow:
    """A contradiction of which no more is known than that."""
    wrong = [hop for hop in flow.hops if (hop.leg, hop.stage, hop.at, hop.outcome) == _place(known)]
    return _unknown(flow, wrong, known.said) if wrong else flow


def _unknown(flow: Flow, wrong: Iterable[Hop], reason: str) -> Flow:
    """The flow, where what these hops do is not known."""
    ids = {id(hop) for hop in wrong}
    hops = tuple(
        msgspec.structs.replace(hop, outcome=Outcome.UNKNOWN, drop=None, reason=reason) if id(hop) in ids else hop
        for hop in flow.hops
    )
    gone = {(hop.drop, hop.leg, hop.at) for hop in flow.hops if id(hop) in ids}
    drops = tuple(drop for drop in flow.drops if (drop.by, drop.leg, drop.at) not in gone)
    return msgspec.structs.replace(
        flow,
        hops=hops,
        drops=drops,
        dropped_by=drops[0].by if drops else None,
        verdict=Verdict.DROPPED if drops else Verdict.UNKNOWN,
    )


def _rests_on(by_assumption: dict[str, Observed], hop: Hop) -> Hop:
    at = by_assumption.get(hop.assumption or "")
    return hop if at is None or hop.outcome is Outcome.UNKNOWN else _marked(hop, at)


def _seen(known: KnownHop, hop: Hop) -> Hop:
    if known.confirmed:
        seen = (hop.leg, hop.stage, hop.at, hop.outcome) == _place(known)
    else:  # the hop is what the kernel said (`engine/seen.py`)
        seen = hop.outcome is not Outcome.UNKNOWN and known.said in hop.by
    return _marked(hop, known.observed) if seen else hop


def _place(known: KnownHop) -> tuple[object, ...]:
    return known.hop.leg, known.hop.stage, known.hop.at, known.hop.outcome


def _marked(hop: Hop, at: Observed) -> Hop:
    return msgspec.structs.replace(hop, observed=at).decided(hop.by)


def _with_hops(flow: Flow, mark: _Mark) -> Flow:
    """The flow with its hops marked when they are first read."""
    before = flow.hops
    return msgspec.structs.replace(flow, hops=LazyHops(lambda: tuple(map(mark, before))))


def _is_of(flow: Flow, remote: str, port: int | None) -> bool:
    number = parse_address(remote)
    if not any(first <= number <= last for first, last in map(prefix_range, flow.remote)):
        return False
    if isinstance(flow.ports, UnsetType) or port is None:
        return isinstance(flow.ports, UnsetType) and port is None
    return any(first <= port <= last for first, last in map(_port_range, flow.ports))


def _port_range(ports: str) -> Range:
    first, _, last = ports.partition("-")
    return int(first), int(last or first)
