"""Some flows of the server can neither be said to work nor to be dropped.

## What it finds

Flows of a collected server that are unknown: a fact that decides them was not readable, or is not modelled. Flows to
the guest's own networks (docker0, a tunnel) are left out: no VNI is concerned. So are those of a VNI without an
interface, and those at risk by an open assumption (`sibling-source`), of which findings of their own tell.

## Why it matters

An unknown flow may be broken. The report says what it depends on, and never guesses that it is delivered.

## How to fix

Collect what is missing: as root, and with an API key that may read security groups, ACLs and routing tables. Where
something is not modelled, try the flow.

## How sure we are

Observed: these are the limits of what was read.

## Sources

The hops of the flows, in the JSON report or by `vnicheck trace`.
"""

from collections.abc import Iterator

from vnicheck.findings.at_risk import at_risk_flows
from vnicheck.findings.facts import Facts
from vnicheck.findings.led_out import led_out
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Evidence, Finding, Fix
from vnicheck.model.flow import Direction, Flow, Outcome, Scope, Verdict

_NAMED = 3


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for the server."""
    guest = facts.view.server.guest
    if guest is None:
        return
    told, at_risk = _of_unmatched_vnis(facts), at_risk_flows(facts)
    indexes = [
        index
        for index, flow in enumerate(facts.flows)
        if flow.verdict is Verdict.UNKNOWN
        and not _is_elsewhere(facts, flow)
        and _cause(flow) not in told
        and index not in at_risk
        and led_out(facts, flow) is None
    ]
    causes = list(dict.fromkeys(_cause(facts.flows[index]) for index in indexes))
    if not causes:
        return
    first, *others = causes
    more = f"; and {len(causes) - _NAMED} more" if len(causes) > _NAMED else ""
    reasons = f", for {len(causes)} reasons" if others else ""
    yield observation(
        rule,
        facts,
        subject=(),
        what=f"some flows are unknown{reasons}: {first}",
        why=f"{''.join(f'; {cause}' for cause in others[: _NAMED - 1])}{more}.",
        confidence="observed",
        flows=indexes,
        evidence=[Evidence(source="hop", text=cause, collected_at=guest.collected_at) for cause in causes],
        fixes=(Fix("collect what is missing, or try these flows"),),
    )


def _is_elsewhere(facts: Facts, flow: Flow) -> bool:
    """Whether the remotes are, or may be, behind a device of the guest's own: no clients in the VPC or on the internet,
    whose answers a tunnel takes.
    """
    of_vni = flow.direction is Direction.INBOUND and flow.remote_scope is not Scope.PRIVATE
    return facts.is_inside(flow.egress) and not of_vni


def _of_unmatched_vnis(facts: Facts) -> set[str]:
    """The causes that findings of `vni-without-interface` tell."""
    if facts.guest_with("interfaces") is None:
        return set()
    view = facts.view
    return {view.why_unmatched(vni) for vni in view.server.vnis if vni.id not in view.interface_of}


def _cause(flow: Flow) -> str:
    return next(hop.reason for hop in flow.hops if hop.outcome is Outcome.UNKNOWN)


RULE = Rule("VNC402", "unknown-flows", __doc__, find, severity="note", about="server", cause=CauseKind.UNKNOWN_FLOWS)
