"""What was seen of each flow, and what follows: hop by hop, and for the assumptions."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, partial

from vnicheck.engine.classify import local_addresses, predict_flow
from vnicheck.engine.remotes import RemoteSets
from vnicheck.engine.server_view import ServerView
from vnicheck.kernel.send import Sent
from vnicheck.model.address import parse_address
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.flow import Direction, Flow, Hop, Leg, Outcome, Protocol, Verdict
from vnicheck.model.snapshot import Server
from vnicheck.model.verification import FlowConclusion, How, SeenAssumption, SeenFlow, SeenHop
from vnicheck.verify.evidence import Evidence, Part, other_ways, ways
from vnicheck.verify.explain import Predict, Setting, explain, present
from vnicheck.verify.questions import fate_in_guest, possible_fates
from vnicheck.verify.sightings import FlowKey, Sighting

_PER_SERVER = ("psf-auto", "spoofing-sibling", "spoofing-arrival")
"""Assumptions whose setting names servers."""
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def conclusions(
    server: Server, fabric: Fabric, config: Config, evidence: Evidence, how: How
) -> tuple[tuple[SeenFlow, ...], tuple[SeenAssumption, ...]]:
    """What evidence of flows of a server says of their hops, and of the assumptions."""
    keys = sorted(evidence.sightings.flows)

    def predict(config: Config, keys: Iterable[FlowKey]) -> Mapping[FlowKey, Flow]:
        view = ServerView(server, fabric, config)
        own = {local.address: local for local in local_addresses(view)}
        return {
            key: predict_flow(
                view, key.direction, key.protocol, own[key.local], parse_address(key.remote), max(key.port, 1)
            )
            for key in keys
            if key.local in own
        }

    predicted = predict(config, keys)
    for key in keys:
        if key not in predicted:
            del evidence.sightings.flows[key]
    ways_out = _WaysOut(ServerView(server, fabric, config))
    flows = tuple(_flow(evidence, key, flow, how, ways_out) for key, flow in predicted.items())
    told = _telling(evidence, predicted)
    return flows, tuple(_assumptions(evidence, partial(predict, keys=told), config, server, predicted, how))


def _telling(evidence: Evidence, predicted: Mapping[FlowKey, Flow]) -> list[FlowKey]:
    """Of flows that are predicted alike, and of which alike was seen, one."""
    found: dict[tuple[object, ...], FlowKey] = {}
    for key, flow in predicted.items():
        hops = tuple((hop.leg, hop.stage, hop.at, hop.outcome, hop.reason) for hop in flow.hops)
        fates = tuple(part.seen for part in evidence.parts(key, flow))
        alike = (key.direction, key.protocol, key.local, hops, fates, evidence.sightings.flows[key].shape)
        found.setdefault(alike, key)
    return list(found.values())


class _WaysOut:
    """By which interfaces packets may leave: of equal routes that fare alike the prediction names one."""

    def __init__(self, view: ServerView) -> None:
        self._view = view

    def may_be(self, key: FlowKey, interfaces: Iterable[str]) -> bool:
        """Whether all of these may be."""
        local = next(each for each in local_addresses(self._view) if each.address == key.local)
        ends = (key.direction, key.protocol, key.remote, key.port)
        fate = fate_in_guest(self._sets, local, *ends, comes_in=False)
        return set(interfaces) <= {each.interface for each in possible_fates(fate) if isinstance(each, Sent)}

    @cached_property
    def _sets(self) -> RemoteSets:
        return RemoteSets(self._view)


def _flow(evidence: Evidence, key: FlowKey, flow: Flow, how: How, ways_out: _WaysOut) -> SeenFlow:
    seen = evidence.sightings.flows[key]
    parts = evidence.parts(key, flow)
    observed = Verdict.UNKNOWN
    if any(part.seen == "dropped" for part in parts):
        observed = Verdict.DROPPED
    elif evidence.came_back(key):
        observed = Verdict.DELIVERED
    elsewhere = [
        way
        for way in other_ways(key, flow, seen)
        if way[0] is not ways(key)[1] or not ways_out.may_be(key, seen.interfaces(way[0]))
    ]
    conclusion: FlowConclusion = "not_tested"
    if elsewhere or any(part.differs for part in parts):
        conclusion = "contradicted"
    elif observed is not Verdict.UNKNOWN:
        conclusion = "settled" if flow.verdict is Verdict.UNKNOWN else "confirmed"
    control = evidence.control(key)
    return SeenFlow(
        direction=key.direction,
        protocol=key.protocol,
        local=key.local,
        remote=key.remote,
        port=None if key.protocol is Protocol.ICMP else key.port,
        how=how,
        predicted=flow.verdict,
        dropped_by=flow.dropped_by,
        observed=observed,
        last_seen=_last_seen(key, seen, came_back=evidence.came_back(key)),
        other_way=bool(elsewhere),
        conclusion=conclusion,
        why=_why(parts, elsewhere, conclusion),
        control=None if control is None else control.local,
        hops=tuple(_hops(flow, parts)),
    )


def _why(parts: tuple[Part, ...], elsewhere: list[tuple[Leg, str, str]], conclusion: FlowConclusion) -> str | None:
    if elsewhere:
        return "; ".join(f"the {leg} was predicted to go by {by}, and went by {seen}" for leg, by, seen in elsewhere)
    wrong = next((part for part in parts if part.differs), None)
    if wrong is not None and wrong.guest:
        return _guest_differs(wrong, parts)
    return next((part.why for part in parts if part.why), None) if conclusion == "not_tested" else None


def _guest_differs(wrong: Part, parts: tuple[Part, ...]) -> str:
    opens = parts[0].guest
    if wrong.seen == "passed":
        said = "sent the request, or took the answer," if opens else "answered,"
        return f"the server {said} though it was predicted to drop the packet"
    what = "took the request in and sent nothing"
    if opens:
        what = "sent nothing" if wrong is parts[0] else "was sent the answer, and took it not"
    return f"the server {what}: its own firewall, perhaps (guest-firewall)"


def _hops(flow: Flow, parts: tuple[Part, ...]) -> Iterator[SeenHop]:
    """Those of parts that packets did not get to are not tested."""
    of = {id(hop): part for part in parts for hop in part.hops}
    for hop in flow.hops:
        part = of.get(id(hop))
        conclusion, why = ("not_tested", "no packet got there") if part is None else _hop(hop, part)
        yield SeenHop(
            leg=hop.leg,
            at=hop.at,
            stage=hop.stage,
            outcome=hop.outcome,
            conclusion=conclusion,
            assumption=hop.assumption,
            why=why,
        )


def _hop(hop: Hop, part: Part) -> tuple[FlowConclusion, str | None]:
    if part.seen is None:
        return "not_tested", part.why
    if part.seen == "passed":
        outcomes: dict[Outcome, FlowConclusion] = {
            Outcome.PASS: "confirmed",
            Outcome.DROP: "contradicted",
            Outcome.UNKNOWN: "settled",
        }
        return outcomes[hop.outcome], None
    stops = [each for each in part.hops if each.outcome is not Outcome.PASS]
    if hop in stops and len(stops) == 1:
        return ("confirmed" if hop.outcome is Outcome.DROP else "settled"), None
    if hop in stops:
        return "not_tested", f"one of {len(stops)} of which each may have dropped it"
    if stops:
        return "not_tested", "the packets died about here"
    return "not_tested", "something dropped the packets here, against the prediction"


def _last_seen(key: FlowKey, seen: Sighting, *, came_back: bool) -> str:
    if came_back:
        return "the answer arrived"
    there = {Leg.REQUEST: bool(seen.at_remote(Leg.REQUEST)), Leg.REPLY: bool(seen.at_remote(Leg.REPLY))}
    here = {leg: f" by {', '.join(sorted(names))}" if (names := seen.interfaces(leg)) else "" for leg in Leg}
    if key.direction is Direction.INBOUND:
        if seen.at_server(Leg.REPLY):
            return f"the answer left{here[Leg.REPLY]}"
        if seen.at_server(Leg.REQUEST):
            return f"the request came in{here[Leg.REQUEST]}"
        return "the request left the remote" if there[Leg.REQUEST] or seen.tried else "nothing"
    if seen.at_server(Leg.REPLY):
        return f"the answer came in{here[Leg.REPLY]}"
    if there[Leg.REPLY]:
        return "the answer left the remote"
    if there[Leg.REQUEST]:
        return "the request arrived at the remote"
    return f"the request left{here[Leg.REQUEST]}" if seen.at_server(Leg.REQUEST) else "nothing"


def _assumptions(
    evidence: Evidence,
    predict: Predict,
    config: Config,
    server: Server,
    predicted: Mapping[FlowKey, Flow],
    how: How,
) -> Iterator[SeenAssumption]:
    explained = explain(evidence, predict, config, server)
    vnis = tuple(vni.id for vni in server.vnis)
    for setting in explained.refuted:
        yield SeenAssumption(
            id=setting.id,
            conclusion="refuted",
            how=how,
            value=setting.value,
            line=toml_line(setting, server),
            or_else=_lines(explained.or_else, server),
            vnis=vnis,
        )
    for setting in explained.suspected:
        yield SeenAssumption(
            id=setting.id,
            conclusion="suspected",
            how=how,
            line=toml_line(setting, server),
            or_else=_lines(explained.or_else, server),
            vnis=vnis,
        )
    for setting in explained.settled:
        line = toml_line(setting, server)
        yield SeenAssumption(id=setting.id, conclusion="settled", how=how, value=setting.value, line=line, vnis=vnis)
    for name in explained.confirmed:
        value = present(config.assumptions, server, name)
        yield SeenAssumption(id=name, conclusion="confirmed", how=how, value=value, vnis=vnis)
    silent = [
        key
        for key, flow in predicted.items()
        if any(part.guest and part.differs and part.seen == "dropped" for part in evidence.parts(key, flow))
    ]
    if silent:
        yield SeenAssumption(id="guest-firewall", conclusion="refuted", how=how, vnis=vnis)


def _lines(ways: tuple[tuple[Setting, ...], ...], server: Server) -> tuple[str, ...]:
    return tuple(" and ".join(toml_line(setting, server) for setting in way) for way in ways)


def toml_line(setting: Setting, server: Server) -> str:
    """The line below [assumptions] that says so: `psf-auto = { web-1 = "disabled" }`."""
    value = setting.value
    if setting.id in _PER_SERVER:
        name = server.name if _BARE_KEY.fullmatch(server.name) else json.dumps(server.name)
        return f"{setting.id} = {{ {name} = {json.dumps(value)} }}"
    if isinstance(value, tuple):
        return f"{setting.id} = {json.dumps(list(value))}"
    return f"{setting.id} = {json.dumps(value)}"
