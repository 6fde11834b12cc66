"""The strategies: single ones, and combinations where one does not do, the preferred ones first."""

from collections.abc import Iterable
from itertools import islice
from typing import Literal

from vnicheck.findings.at_risk import flows_to_fix
from vnicheck.findings.facts import Facts
from vnicheck.findings.published import is_published
from vnicheck.fixes import policy_routing, rp_filter, state_filtering
from vnicheck.fixes.effects import AddRoutes, AddRule, Effect, PatchVni, SetRpFilter
from vnicheck.fixes.free_numbers import priorities_ahead
from vnicheck.fixes.policy_routing import Made, Proposal
from vnicheck.fixes.published import WHY
from vnicheck.fixes.trial import Trial
from vnicheck.model.address import format_address
from vnicheck.model.flow import Flow
from vnicheck.model.words import listed

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
_PLACES = 3
"""How many places ahead of rules of others are tried for an address."""


def effects_of(trial: Trial, strategies: Combination) -> tuple[Effect, ...]:
    """The fewest effects of these strategies that fix what they can together and hurt nothing."""
    return trial.minimal(harmless_of(trial, strategies), surely=strategies == ("policy-routing",))


def harmless_of(trial: Trial, strategies: Combination) -> tuple[Effect, ...]:
    """What these strategies propose and what hurts nothing, whatever it fixes: each one is asked for the server as the
    ones before it leave it.
    """
    effects: tuple[Effect, ...] = ()
    for strategy in strategies:
        effects = trial.harmless((*effects, *_proposed(trial, effects, strategy)))
    return effects


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


def routed(trial: Trial, effects: tuple[Effect, ...] = ()) -> Proposal:
    """Policy routing for all that is broken with the effects: behind the rules of others, and for the addresses whose
    packets one of them takes first, ahead of it, where that hurts nothing.
    """
    facts = trial.facts_after(effects)
    return facts.once("policy routing", lambda: _routed(trial, facts, effects))


def _routed(trial: Trial, facts: Facts, effects: tuple[Effect, ...]) -> Proposal:
    broken = dict.fromkeys(flow.local for flow in _still_broken(facts) if not is_published(flow))
    contradicted = {format_address(each.local) for each in facts.view.contradicted}
    locals_ = [address for address in broken if address not in contradicted]
    guest = facts.guest_with("rules")
    best = policy_routing.propose(facts, locals_)
    if guest is None:
        return best
    ahead: dict[str, int] = {}
    fixed = _fixed(trial, effects, best.effects)
    held_back = best.held_back
    if len(locals_) < len(broken):
        told = listed([address for address in broken if address in contradicted])
        held_back = f"the server's kernel contradicts what was collected of its routing of {told}"
    for address in _taken_first(trial, facts, (*effects, *best.effects)):
        if address in contradicted:
            continue
        for priority in islice(priorities_ahead(guest, address), _PLACES):
            tried = policy_routing.propose(facts, locals_, {**ahead, address: priority})
            now = _fixed(trial, effects, tried.effects)
            if now > fixed:
                ahead[address], best, fixed = priority, tried, now
                break
        else:
            held_back = held_back or (
                f"a rule of others takes what is sent from {address}, and one of ours ahead of it would lead packets "
                "astray"
            )
    if held_back is None and any(map(is_published, _still_broken(facts))):
        held_back = f"at published ports {WHY}"
    return Proposal(best.effects, held_back)


def _fixed(trial: Trial, effects: tuple[Effect, ...], made: tuple[Made, ...]) -> frozenset[int]:
    return trial.outcome(trial.harmless((*effects, *made))).fixed


def _taken_first(trial: Trial, facts: Facts, effects: tuple[Effect, ...]) -> list[str]:
    """The addresses with broken flows left that do not leave by the address's own interface."""
    after = trial.facts_after(trial.harmless(effects))
    found: dict[str, None] = {}
    for flow in _still_broken(after):
        owner = facts.owner(flow.local)
        if (
            owner is not None
            and not is_published(flow)
            and flow.egress not in (None, facts.view.interface_of.get(owner.id))
        ):
            found[flow.local] = None
    return list(found)


def _proposed(trial: Trial, effects: tuple[Effect, ...], strategy: Single) -> tuple[Effect, ...]:
    if strategy == "policy-routing":
        return routed(trial, effects).effects
    facts = trial.facts_after(effects)
    flows = _still_broken(facts)
    return rp_filter.propose(facts, flows) if strategy == "rp-filter" else state_filtering.propose(facts, flows)


def _still_broken(facts: Facts) -> list[Flow]:
    return list(flows_to_fix(facts).values())
