"""The fix of each cause: of the server's one plan, where that is proved; else what `fix` would try first."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from vnicheck.findings.facts import Facts
from vnicheck.fixes.planner import NothingKnownError, plan_of
from vnicheck.fixes.trial import Trial
from vnicheck.model.cause import Cause, CausePlan
from vnicheck.model.flow import Finding
from vnicheck.model.plan import NO_STRATEGY, Plan

ROUTING = "policy-routing"


def with_plans(facts: Facts, findings: Sequence[Finding], causes: Sequence[Cause], *, prove: bool) -> tuple[Cause, ...]:
    """The causes, each with its fix. Without `prove`, causes that policy routing may fix name it, unproved."""
    by_fingerprint = {each.fingerprint: each for each in findings}
    plan = _proved(facts) if prove else None
    told = []
    for cause in causes:
        mine = [by_fingerprint[each] for each in cause.findings]
        if plan is not None:
            found = _part_of(plan, Trial.of(facts).targets & {index for each in mine for index in each.flows})
        elif not prove and any(fix.commands for each in mine for fix in each.fixes if each.flows):
            found = CausePlan(strategy=ROUTING, proved=False)
        else:
            found = None
        told.append(msgspec.structs.replace(cause, plan=found if found is not None else UNSET))
    return tuple(told)


def _proved(facts: Facts) -> Plan | None:
    """The plan that `fix` would show; None where there is nothing to fix, or nothing that we know of fixes it."""
    if facts.view.server.guest is None or not facts.every_flow:
        return None
    try:
        proof = plan_of(Trial.of(facts))
    except NothingKnownError:
        return None
    return None if proof is None or proof.document.plan.strategy == NO_STRATEGY else proof.document.plan


def _part_of(plan: Plan, broken: frozenset[int]) -> CausePlan | None:
    """What the plan is to a cause that breaks these flows; None where it fixes none of them."""
    fixed = broken & frozenset(plan.fixed_flows)
    if not fixed:
        return None
    return CausePlan(
        strategy=plan.strategy,
        proved=True,
        whole=fixed == broken,
        commands=tuple(step.command for action in plan.immediate for step in action.steps),
        vpc_changes=tuple(action.summary for action in plan.actions if action.where == "vpc"),
        keeps=tuple(action.summary for action in plan.persistent),
        next_boot=plan.next_boot,
        at_boot=plan.at_boot,
    )
