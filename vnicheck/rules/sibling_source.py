"""Asymmetric flows that are at risk: sources differ on what the VPC's spoofing check does with them.

## What it finds

Flows whose packets cross one VNI in one direction and another in the other, and of which nothing is in doubt but an
open assumption: what the IP spoofing check does with an address of another VNI of the same server (`spoofing-sibling`),
or with what is in transit and arrives (`spoofing-arrival`).

## Why packets drop

The documentation says that the source of what leaves a VNI must be an address of that network interface, unless IP
spoofing is allowed. The article's captures show such replies arriving at the client, on a server with default settings.
Both cannot hold for every server, and nothing that can be read tells which one holds for yours.

## How to fix

Policy routing, so that both directions cross one VNI: then the question does not arise. Or find out, and write it down:
`spoofing-sibling = "passed"` or `"dropped"` below `[assumptions]` of `vnicheck.toml`, for all servers or for one.

## How sure we are

Assumed: either source may be right.

## Sources

IBM Cloud Docs, VPC: ip-spoofing-about. Against it, captures of the article (fixtures/article, checks 2 and 3).
"""

from collections.abc import Iterator

import msgspec

from vnicheck.engine.open_assumptions import open_hops
from vnicheck.findings.at_risk import at_risk_flows
from vnicheck.findings.evidence import of_hops
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import places, protocol_words
from vnicheck.findings.rule import Rule, observation, path_fingerprint
from vnicheck.fixes.advice import ways_back
from vnicheck.model.finding import Evidence, Finding, Fix
from vnicheck.model.flow import Direction, DropCode, Flow, Hop, Outcome
from vnicheck.model.grouped import grouped
from vnicheck.model.words import listed


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each pair of interfaces, transit apart."""
    paths = grouped(
        ((flow.direction is Direction.TRANSIT, flow.ingress, flow.egress), (index, flow))
        for index, flow in at_risk_flows(facts).items()
    )
    for (transit, ingress, egress), indexed in paths.items():
        flows = tuple(flow for _, flow in indexed)
        locals_ = tuple(dict.fromkeys(flow.local for flow in flows))
        doubts = list(dict.fromkeys(_doubt(flow) for flow in flows))
        ids = sorted({each for flow in flows for each in open_hops(flow)})
        ways = listed(list(dict.fromkeys(flow.direction.value for flow in flows)))
        whose = f"through the server to {listed(locals_)}" if transit else f"of {places(facts, locals_)}"
        reasons = "; ".join(dict.fromkeys(f"at {hop.at}, {hop.reason}" for hop in doubts))
        routed = () if transit else ways_back(facts, flows)
        other = "or " if routed else ""
        said = "" if transit else f", whose packets enter by {ingress} and leave by {egress},"
        found = observation(
            rule,
            facts,
            subject=(*(["transit"] if transit else []), *(_vni_id(facts, place) for place in (ingress, egress))),
            what=f"{ways} {protocol_words(flows)} flows {whose}{said} are at risk",
            why=f": {reasons}.",
            confidence="assumed",
            flows=[index for index, _ in indexed],
            evidence=_evidence(facts, flows),
            fixes=(
                *routed,
                Fix(f"{other}set {listed(ids)} in vnicheck.toml, once you know what the VPC does"),
            ),
        )
        yield found if transit else msgspec.structs.replace(found, aliases=_aliases(facts, ingress, egress))


def _aliases(facts: Facts, ingress: str | None, egress: str | None) -> tuple[str, ...]:
    """Those of `foreign-source-address`, which told of such flows before the question was open."""
    places_ = (ingress, egress, egress)
    directions = (Direction.INBOUND, Direction.OUTBOUND)
    return tuple(
        path_fingerprint("VNC103", facts, DropCode.IP_SPOOFING_CHECK, direction, places_) for direction in directions
    )


def _doubt(flow: Flow) -> Hop:
    return next(hop for hop in flow.hops if hop.outcome is Outcome.UNKNOWN)


def _evidence(facts: Facts, flows: tuple[Flow, ...]) -> tuple[Evidence, ...]:
    seen: dict[tuple[str, str], None] = {}
    found: dict[Evidence, None] = {}
    for flow in flows:
        for hop in flow.hops:
            if hop.outcome is Outcome.UNKNOWN and (hop.at, hop.reason) not in seen:
                seen[hop.at, hop.reason] = None
                found.update(dict.fromkeys(of_hops(facts, flow, [hop])))
    return tuple(found)


def _vni_id(facts: Facts, place: str | None) -> str:
    vni = facts.vni_named(place) if place is not None else None
    return vni.id if vni is not None else "-"


RULE = Rule("VNC208", "sibling-source", __doc__, find, severity="warning")
