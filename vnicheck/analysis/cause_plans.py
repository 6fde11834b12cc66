"""The fix of each cause: of the server's one plan, where that is proved; else what `fix` would try first."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from vnicheck.findings.facts import Facts
from vnicheck.fixes.planner import NothingKnownError, Proof, plan_of
from vnicheck.fixes.trial import Trial
from vnicheck.model.cause import Cause, CausePlan
from vnicheck.model.finding import Finding
from vnicheck.model.flow import Verdict
from vnicheck.model.plan import NO_STRATEGY, Plan

ROUTING = "policy-routing"


def with_plans(facts: Facts, findings: Sequence[Finding], causes: Sequence[Cause], *, prove: bool) -> tuple[Cause, ...]:
    """The causes, each with its fix. Without `prove`, causes that policy routing may fix name it, unproved."""
    by_fingerprint = {each.fingerprint: each for each in findings}
    proof = _proved(facts) if prove else None
    helped = _helped(proof) if proof is not None else frozenset()
    told = []
    for cause in causes:
        mine = [by_fingerprint[each] for each in cause.findings]
        plan = None if prove else _named(mine)
        if proof is not None:
            plan = _part_of(proof.document.plan, mine, helped)
        told.append(msgspec.structs.replace(cause, plan=plan if plan is not None else UNSET))
    return tuple(told)


def _proved(facts: Facts) -> Proof | None:
    """The plan that `fix` would show; None where there is nothing to fix, or nothing that we know of fixes it."""
    if facts.view.server.guest is None or not facts.every_flow:
        return None
    try:
        proof = plan_of(Trial.of(facts))
    except NothingKnownError:
        return None
    return None if proof is None or proof.document.plan.strategy == NO_STRATEGY else proof


def _helped(proof: Proof) -> frozenset[int]:
    """The flows that the plan fixes, and those that worked by two interfaces and then work by one."""
    trial = proof.trial
    after = trial.facts_after(proof.effects).flows
    outcome = trial.outcome(proof.effects)
    asymmetric = {piece.before for piece in outcome.pieces if after[piece.after].symmetric is not True}
    worked = {
        index
        for index, flow in enumerate(trial.before)
        if flow.verdict is Verdict.DELIVERED and flow.symmetric is False
    }
    return outcome.fixed | (worked - asymmetric)


def _part_of(plan: Plan, findings: Sequence[Finding], helped: frozenset[int]) -> CausePlan | None:
    """What the plan is to these findings; None where it fixes nothing of them."""
    mine = [each for each in findings if not helped.isdisjoint(each.flows)]
    if not mine:
        return None
    return CausePlan(
        strategy=plan.strategy,
        proved=True,
        findings=tuple(each.fingerprint for each in mine),
        whole=all(helped.issuperset(each.flows) for each in mine),
        commands=tuple(step.command for action in plan.immediate for step in action.steps),
        vpc_changes=tuple(action.summary for action in plan.actions if action.where == "vpc"),
        keeps=tuple(action.summary for action in plan.persistent),
        next_boot=plan.next_boot,
        at_boot=plan.at_boot,
    )


def _named(findings: Sequence[Finding]) -> CausePlan | None:
    mine = [
        each.fingerprint
        for each in findings
        if each.flows and any(fix.commands and not fix.by_hand for fix in each.fixes)
    ]
    return CausePlan(strategy=ROUTING, proved=False, findings=tuple(mine)) if mine else None
