"""A flow that the configuration expects to be delivered, or to be dropped, is not.

## What it finds

Flows that an `[[expect]]` table of `vnicheck.toml` is about and that do not have its verdict: any one of them is
enough, for the classes are exact and nothing is sampled. A flow that is `unknown` has no verdict, and so does not have
the expected one. An expectation that is about no flow of a server whose name it matches (it has no such interface) is
violated too.

## Why packets drop

The finding says which stage drops the flows, or what is not known of them. The other findings on the same flows explain
that stage. Flows that are expected to be dropped are no finding of any other rule.

## How to fix

Fix what the other findings on the same flows name; where the flows are as they should be, correct the expectation.

## How sure we are

As sure as of the stages that decide. The severity is `error` however sure that is: the expectation is yours.

## Sources

`vnicheck.toml`, docs/configuration.md.
"""

from collections.abc import Iterable, Iterator

from vnicheck.engine.partition import to_ports
from vnicheck.findings.broken_paths import to_no_host
from vnicheck.findings.confidence import confidence_of_hops
from vnicheck.findings.evidence import of_hops
from vnicheck.findings.expectations import Expected, expectations_of, identity, prefixes
from vnicheck.findings.facts import Facts
from vnicheck.findings.rule import Rule, observation
from vnicheck.findings.terms import DROPS
from vnicheck.model.address import merge_ranges
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Confidence, Finding, Fix
from vnicheck.model.flow import Direction, Flow, Hop, Outcome, Protocol, Verdict
from vnicheck.model.words import listed

_LISTED = 3
_CORRECT = "correct the expectation in vnicheck.toml"
_FIXES = {
    Verdict.DROPPED: f"fix what drops the flows, or {_CORRECT}",
    Verdict.DELIVERED: f"close it with a security group or a network ACL, or {_CORRECT}",
    Verdict.UNKNOWN: f"let vnicheck read what it lacks, or {_CORRECT}",
}


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each expectation."""
    for expected in expectations_of(facts.view):
        about = [
            (index, flow)
            for index, flow in enumerate(facts.flows)
            if expected.is_about(flow) and not to_no_host(facts, flow)
        ]
        if not about:
            if facts.every_flow:
                yield _about_nothing(rule, facts, expected)
            continue
        wrong = [(index, flow) for index, flow in about if flow.verdict is not expected.source.wanted]
        if wrong:
            yield _violated(rule, facts, expected, wrong, whole=len(wrong) == len(about))


def _about_nothing(rule: Rule, facts: Facts, expected: Expected) -> Finding:
    why = expected.nowhere or "no flow of the server is one of these"
    return observation(
        rule,
        facts,
        subject=identity(expected.source),
        what=f"{_wish(facts, expected)}, but that is about nothing",
        why=f": {why}.",
        fixes=(Fix(_CORRECT),),
    )


def _violated(rule: Rule, facts: Facts, expected: Expected, wrong: list[tuple[int, Flow]], *, whole: bool) -> Finding:
    flows = [flow for _, flow in wrong]
    first = flows[0]
    instead, why = _instead(expected, flows, whole=whole)
    return observation(
        rule,
        facts,
        subject=identity(expected.source),
        what=f"{_wish(facts, expected)}, but {instead}",
        why=f"{why}.",
        confidence=_confidence(flows),
        flows=[index for index, _ in wrong],
        evidence=of_hops(facts, first, _deciding(first)),
        fixes=tuple(Fix(fix) for verdict, fix in _FIXES.items() if any(flow.verdict is verdict for flow in flows)),
    )


def _wish(facts: Facts, expected: Expected) -> str:
    """`tcp port 443 from on-prem to 10.0.0.12 (eth1) is expected to be delivered`."""
    source = expected.source
    first, last = source.ports
    ports = "" if source.port is None else f" port {first}" if first == last else f" ports {first}-{last}"
    owners = [vni for vni in facts.view.server.vnis if not expected.locals.isdisjoint(vni.carried)]
    if source.local is None:
        local = "every address"
    elif owners:
        addresses = [address for vni in owners for address in vni.carried if address in expected.locals]
        local = f"{listed(addresses)} ({', '.join(dict.fromkeys(map(facts.view.at, owners)))})"
    else:
        local = source.local
    inbound = source.flow_direction is Direction.INBOUND
    start, end = (source.remote, local) if inbound else (local, source.remote)
    return f"{source.protocol}{ports} from {start} to {end} is expected to be {source.verdict}"


def _instead(expected: Expected, flows: list[Flow], *, whole: bool) -> tuple[str, str]:
    """What becomes of the flows, and of which where not all meet the same; then why, and what becomes of others."""
    fates: dict[tuple[str, tuple[str, str]], list[Flow]] = {}
    several = len(expected.locals) > 1
    for flow in flows:
        fates.setdefault((flow.local if several else "", _fate(flow)), []).append(flow)
    if whole and len({fate for _, fate in fates}) == 1:
        fate, why = _fate(flows[0])
        return f"is {fate}", why
    inbound = expected.source.flow_direction is Direction.INBOUND
    said = []
    for (local, (fate, why)), alike in list(fates.items())[:_LISTED]:
        remote = f"{'from' if inbound else 'to'} {_remotes(expected, alike)}"
        own = f" {'to' if inbound else 'from'} {local}" if local else ""
        said.append((f"{remote}{own}{_ports(expected, alike)} it is {fate}", why))
    (first, why), *others = said
    more = len(fates) - len(said)
    also = [*(what + because for what, because in others), *([f"and {more} more like these"] if more else [])]
    return first, why + "".join(f"; {each}" for each in also)


def _remotes(expected: Expected, flows: Iterable[Flow]) -> str:
    shared = prefixes(merge_ranges(each for flow in flows for each in expected.shared_remotes(flow)))
    return listed(shared, _LISTED, "more prefixes")


def _ports(expected: Expected, flows: Iterable[Flow]) -> str:
    """The ports, where they are not all that the expectation is about."""
    if expected.source.protocol is Protocol.ICMP:
        return ""
    shared = merge_ranges(each for flow in flows for each in expected.shared_ports(flow))
    if shared == [expected.source.ports]:
        return ""
    said = to_ports(shared)
    return f" port {listed(said)}" if len(said) <= _LISTED else f" port {', '.join(said[:_LISTED])}, ..."


def _fate(flow: Flow) -> tuple[str, str]:
    """What becomes of a flow, and why."""
    match flow.verdict:
        case Verdict.DROPPED:
            hop = _deciding(flow)[0]
            return f"dropped by {DROPS[flow.drops[0].by].agent} at {hop.at}", f": {hop.reason}"
        case Verdict.UNKNOWN:
            return "unknown", f": {_deciding(flow)[0].reason}"
        case Verdict.DELIVERED:
            return f"delivered, in by {flow.ingress} and out by {flow.egress}", ""


def _deciding(flow: Flow) -> list[Hop]:
    """The hops that the verdict rests on: the one that drops, the one that is not known, or all."""
    outcome = {Verdict.DROPPED: Outcome.DROP, Verdict.UNKNOWN: Outcome.UNKNOWN}.get(flow.verdict, Outcome.PASS)
    hops = [hop for hop in flow.hops if hop.outcome is outcome]
    return hops if outcome is Outcome.PASS else hops[:1]


def _confidence(flows: Iterable[Flow]) -> Confidence:
    """The lowest of what the verdicts rest on."""
    return confidence_of_hops(hop for flow in flows for hop in _deciding(flow))


RULE = Rule("VNC501", "expectation-violated", __doc__, find, severity="error", cause=CauseKind.EXPECTATION)
