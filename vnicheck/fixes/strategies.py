"""The strategies: single ones, and combinations where one does not do, the preferred ones first."""

from collections.abc import Iterable
from typing import Literal

from vnicheck.findings.at_risk import flows_to_fix
from vnicheck.findings.facts import Facts
from vnicheck.fixes import policy_routing, rp_filter, state_filtering
from vnicheck.fixes.effects import AddRoutes, AddRule, Effect, PatchVni, SetRpFilter
from vnicheck.fixes.trial import Trial
from vnicheck.model.flow import Flow

Single = Literal["policy-routing", "rp-filter", "state-filtering"]
Combination = tuple[Single, ...]
SINGLE: tuple[Combination, ...] = (("policy-routing",), ("rp-filter",), ("state-filtering",))
COMBINED: tuple[Combination, ...] = (
    ("rp-filter", "state-filtering"),
    ("policy-routing", "rp-filter"),
    ("policy-routing", "state-filtering"),
    ("policy-routing", "rp-filter", "state-filtering"),
)
"""In the order of preference, behind the single ones: what stays within the guest's own routing comes first, then what
loosens a check of the guest, then what loosens the VPC's.
"""


def effects_of(trial: Trial, strategies: Combination) -> tuple[Effect, ...]:
    """The fewest effects of these strategies that fix what they can together and hurt nothing: each one is proposed
    for the server as the ones before it leave it.
    """
    effects: tuple[Effect, ...] = ()
    for strategy in strategies:
        effects = trial.harmless((*effects, *_proposed(trial, effects, strategy)))
    return trial.minimal(effects)


def used_by(effects: Iterable[Effect]) -> Combination:
    """The single strategies that the effects belong to."""
    kinds: dict[Single, bool] = dict.fromkeys(("policy-routing", "rp-filter", "state-filtering"), False)
    for effect in effects:
        match effect:
            case AddRoutes() | AddRule():
                kinds["policy-routing"] = True
            case SetRpFilter():
                kinds["rp-filter"] = True
            case PatchVni():
                kinds["state-filtering"] = True
    return tuple(name for name, used in kinds.items() if used)


def _proposed(trial: Trial, effects: tuple[Effect, ...], strategy: Single) -> tuple[Effect, ...]:
    facts = trial.facts_after(effects)
    flows = _still_broken(facts)
    if strategy == "rp-filter":
        return rp_filter.propose(facts, flows)
    if strategy == "state-filtering":
        return state_filtering.propose(facts, flows)
    locals_ = [flow.local for flow in flows]
    behind = policy_routing.propose(facts, locals_)
    fixed = trial.outcome(trial.harmless((*effects, *behind))).fixed
    if fixed:
        return behind
    ahead = policy_routing.propose(facts, locals_, behind=False)
    return ahead if trial.outcome(trial.harmless((*effects, *ahead))).fixed else behind


def _still_broken(facts: Facts) -> list[Flow]:
    return list(flows_to_fix(facts).values())
