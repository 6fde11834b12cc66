"""From a server to its plan: the preferred strategy that fixes most and hurts nothing, and why not the others."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from vnicheck.engine.classify import predict_flows
from vnicheck.engine.open_assumptions import World, open_hops
from vnicheck.engine.server_view import ServerView
from vnicheck.findings.broken_paths import is_known
from vnicheck.findings.facts import Facts
from vnicheck.findings.managed import WHY, is_managed
from vnicheck.fixes.actions import action_of, iam_actions, side_effects
from vnicheck.fixes.agents import agents
from vnicheck.fixes.comparison import changes
from vnicheck.fixes.conditions import fixed_if
from vnicheck.fixes.consequences import (
    changed_ways,
    order_at_boot,
    overridden_routes,
    published_ports,
    unfixed,
    what_drops,
)
from vnicheck.fixes.effects import AddRoutes, AddRule, Effect, PatchVni, SetRpFilter
from vnicheck.fixes.persist.keep import persist
from vnicheck.fixes.published import connection_marks
from vnicheck.fixes.state_filtering import MODE, SPOOFING
from vnicheck.fixes.strategies import COMBINED, SINGLE, Combination, effects_of, harmless_of, routed, used_by
from vnicheck.fixes.trial import Trial
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.flow import Flow
from vnicheck.model.plan import NO_STRATEGY, InstancePlan, Plan
from vnicheck.model.snapshot import NOTHING_KNOWN, Server
from vnicheck.model.words import counted, listed

Strategy = Literal["auto", "policy-routing", "rp-filter", "state-filtering"]
STRATEGIES: tuple[Strategy, ...] = ("auto", "policy-routing", "rp-filter", "state-filtering")


class NothingKnownError(Exception):
    """Of no flow of the server is it known what becomes of it: whether anything is broken cannot be said."""

    def __init__(self, message: str = NOTHING_KNOWN.message) -> None:
        super().__init__(message)


class Proof:
    """A plan with the effects that it was proved with, on the server that it was proved for."""

    def __init__(self, trial: Trial, document: InstancePlan, effects: tuple[Effect, ...]) -> None:
        self.trial = trial
        self.document = document
        self.effects = effects

    @property
    def promised(self) -> frozenset[int]:
        """The broken classes (indexes of `trial.before`) that the plan fixes."""
        return self.trial.outcome(self.effects).fixed

    @property
    def gained(self) -> frozenset[tuple[int, World]]:
        """The classes that the plan delivers, each with the worlds of open assumptions in which it does."""
        return self.trial.outcome(self.effects).gained


def plan_server(
    server: Server,
    fabric: Fabric,
    config: Config,
    strategy: Strategy = "auto",
    predict: Callable[[ServerView], tuple[Flow, ...]] = predict_flows,
) -> Proof | None:
    """The plan for one server, proved; None where nothing is broken, or its guest or a subnet was not read.
    Raises NothingKnownError. `predict` says how the flows are.

    A plan that is not offered has the strategy `none`, no actions, and says why.
    """
    if server.guest is None or any(vni.subnet not in fabric.subnets for vni in server.vnis):
        return None
    view = ServerView(server, fabric, config)
    return plan_of(Trial.of(Facts(view, predict(view))), strategy)


def plan_of(trial: Trial, strategy: Strategy = "auto") -> Proof | None:
    """The plan for a server that was predicted already, and whose guest was read. Raises NothingKnownError."""
    server = trial.server
    if not trial.targets:
        if not is_known(trial.facts):
            raise NothingKnownError
        return None
    if is_managed(server):
        nothing = msgspec.structs.replace(_nothing(trial, strategy), why_not=WHY)
        return Proof(trial, InstancePlan(id=server.id, name=server.name, plan=nothing, alternatives=()), ())
    tried = _tried(trial)
    sure = _surely(trial, tried) if strategy == "auto" else {}
    chosen: Combination = _preferred(trial, sure) if strategy == "auto" else (strategy,)
    effects = sure.get(chosen, ()) if strategy == "auto" else tried.get(chosen, ())
    if trial.outcome(effects).gained:
        plan = _plan(trial, chosen, effects)
    else:
        effects = ()
        plan = _nothing(trial, strategy)
    others = [
        msgspec.structs.replace(_plan(trial, names, other), why_not=_why_not(trial, names, other, effects))
        for names, other in tried.items()
        if names != chosen and (len(names) == 1 or _is_news(trial, tried, names))
    ]
    document = InstancePlan(
        id=server.id,
        name=server.name,
        plan=plan,
        alternatives=tuple(others),
        unfixed=(*unfixed(trial, effects), *_held_back_words(trial, effects)),
        agents=agents(server.guest, effects),
        by_hand=connection_marks(
            trial.facts, [trial.before[i] for i in sorted(trial.outcome(effects).remaining)], effects
        ),
    )
    return Proof(trial, document, effects)


def _tried(trial: Trial) -> dict[Combination, tuple[Effect, ...]]:
    """The effects of every strategy, and of the combinations no part of which fixes everything alone."""
    tried = {names: effects_of(trial, names) for names in SINGLE}
    whole = {names for names, effects in tried.items() if trial.outcome(effects).fixed == trial.targets}
    return tried | {
        names: effects_of(trial, names) for names in COMBINED if whole.isdisjoint((part,) for part in names)
    }


def _surely(trial: Trial, tried: Mapping[Combination, tuple[Effect, ...]]) -> dict[Combination, tuple[Effect, ...]]:
    """What `auto` may choose: without effects that help only if an open assumption falls so."""
    sure = {names: trial.minimal(effects, surely=True) for names, effects in tried.items()}
    return {names: effects for names, effects in sure.items() if names == used_by(effects)}


def _preferred(trial: Trial, offered: Mapping[Combination, tuple[Effect, ...]]) -> Combination:
    """The first, in the order of preference, that fixes everything; where none does, of those that fix most.

    IP spoofing is allowed only to fix everything, or where nothing else fixes anything. Where policy routing is held
    back, nothing of the VPC is loosened instead.
    """
    if _held_back(trial) is not None:
        offered = {names: effects for names, effects in offered.items() if not _changes_vni(effects)}
    fixed = {names: len(trial.outcome(effects).fixed) for names, effects in offered.items()}
    whole = [names for names in offered if fixed[names] == len(trial.targets)]
    if whole:
        return whole[0]
    safe = [names for names, effects in offered.items() if fixed[names] and not _allows_spoofing(effects)]
    return max(safe or offered, key=lambda names: fixed[names], default=())


def _allows_spoofing(effects: Iterable[Effect]) -> bool:
    return any(isinstance(each, PatchVni) and each.field == SPOOFING for each in effects)


def _held_back(trial: Trial) -> str | None:
    return routed(trial).held_back


def _held_back_words(trial: Trial, effects: tuple[Effect, ...]) -> tuple[str, ...]:
    """Why policy routing does not do the rest, where something stays broken."""
    why = _held_back(trial) if trial.outcome(effects).remaining and effects else None
    return () if why is None else (why,)


def _changes_vni(effects: Iterable[Effect]) -> bool:
    return any(isinstance(each, PatchVni) for each in effects)


def _is_news(trial: Trial, tried: Mapping[Combination, tuple[Effect, ...]], names: Combination) -> bool:
    """Whether a combination fixes more than each of its parts alone."""
    gained = trial.outcome(tried[names]).gained
    return all(gained > trial.outcome(tried[part,]).gained for part in names)


def _plan(trial: Trial, names: Combination, effects: tuple[Effect, ...]) -> Plan:
    outcome = trial.outcome(effects)
    after = trial.facts_after(effects).flows
    kept = persist(trial.server.guest, effects)
    return Plan(
        strategy="+".join(names),
        actions=(*map(action_of, effects), *kept.actions),
        fixed=len(outcome.fixed),
        broken=len(outcome.worse),
        remaining=len(outcome.remaining),
        before=trial.before,
        after=after,
        side_effects=(
            *side_effects(effects, trial.server.kind),
            *changed_ways(trial, effects),
            *overridden_routes(trial, effects),
            *published_ports(trial, effects),
            *order_at_boot(trial, effects),
        ),
        fixed_flows=tuple(sorted(outcome.fixed)),
        changes=changes(trial.before, after, outcome),
        iam_actions=iam_actions(effects),
        fixed_if=tuple(fixed_if(trial, effects)),
        next_boot=kept.next_boot,
        at_boot=kept.at_boot,
    )


def _nothing(trial: Trial, strategy: Strategy) -> Plan:
    why = "no strategy fixes any of it" if strategy == "auto" else f"{strategy} alone fixes none of it"
    if any(any(open_hops(trial.before[index])) for index in trial.targets):
        why += " for sure"
    held_back = _held_back(trial)
    if held_back is not None and strategy in ("auto", "policy-routing"):
        why = held_back
    return Plan(
        strategy=NO_STRATEGY,
        actions=(),
        fixed=0,
        broken=0,
        remaining=len(trial.targets),
        before=trial.before,
        after=trial.before,
        side_effects=(),
        why_not=why,
    )


def _why_not(trial: Trial, names: Combination, effects: tuple[Effect, ...], chosen: tuple[Effect, ...]) -> str:
    """Why a strategy was not chosen."""
    fixed, best = trial.outcome(effects).fixed, trial.outcome(chosen).fixed
    if (
        len(fixed) < len(trial.targets)
        and names == ("policy-routing",)
        and (held_back := _held_back(trial)) is not None
    ):
        return f"{_extent(trial, fixed)}: {held_back}"
    if not fixed and (conditions := list(fixed_if(trial, effects))):
        first = max(conditions, key=lambda each: each.count)
        extent = "all of it" if first.count == len(trial.targets) else "part of it"
        return f"fixes {extent} only if {first.assumption} is {first.value}: {first.then}"
    if not fixed:
        return f"fixes nothing: {what_drops(trial, effects or harmless_of(trial, names))}"
    if len(fixed) < len(best):
        return f"{_extent(trial, fixed)}: {what_drops(trial, effects)}"
    fixes = "fixes the same" if len(fixed) == len(best) else "fixes more"
    asymmetric = "" if "policy-routing" in used_by(effects) else ", and leaves the path asymmetric"
    return f"{fixes}, but {listed(list(dict.fromkeys(map(_cost, effects))))}{asymmetric}"


def _extent(trial: Trial, fixed: frozenset[int]) -> str:
    """`fixes 1 of 2 addresses`; where it fixes none of them wholly, that it fixes a part, or nothing."""
    if not fixed:
        return "fixes nothing"
    broken = {trial.before[index].local for index in trial.targets}
    part = {trial.before[index].local for index in trial.targets - fixed}
    whole = len(broken - part)
    return f"fixes {whole} of {counted(len(broken), 'address', 'addresses')}" if whole else "fixes part of it"


def _cost(effect: Effect) -> str:
    match effect:
        case AddRoutes() | AddRule():
            return "changes the guest's routing"
        case SetRpFilter():
            return "loosens reverse path filtering"
        case PatchVni():
            return "disables protocol state filtering" if effect.field == MODE else "allows IP spoofing"
