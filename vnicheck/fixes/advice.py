"""What findings advise: of the plan for the whole server the part that is for the addresses of the finding."""

from collections.abc import Iterable

from vnicheck.findings.facts import Facts
from vnicheck.findings.published import is_published
from vnicheck.fixes.actions import steps_of
from vnicheck.fixes.effects import Effect, of_sources
from vnicheck.fixes.policy_routing import propose
from vnicheck.fixes.published import connection_marks
from vnicheck.fixes.strategies import effects_of, routed
from vnicheck.fixes.trial import Trial
from vnicheck.model.finding import Fix
from vnicheck.model.flow import Flow


def ways_back(facts: Facts, flows: Iterable[Flow]) -> tuple[Fix, ...]:
    """What lets packets of these flows leave by their own interface: policy routing as `fix` would do it (where nothing
    is broken, what would end an asymmetric path); connection marks for what containers send.
    """
    flows = tuple(flows)
    own = tuple(dict.fromkeys(flow.local for flow in flows if not is_published(flow)))
    return (*(_policy_routing_for(facts, own) if own else ()), *connection_marks(facts, flows))


def _policy_routing_for(facts: Facts, locals_: Iterable[str]) -> tuple[Fix, ...]:
    planned = facts.once("planned routing", lambda: _planned(facts))
    concerned = {f"{address}/32" for address in locals_}
    broken = {f"{facts.flows[index].local}/32" for index in Trial.of(facts).targets}
    others = concerned - broken
    effects = [*of_sources(planned, concerned & broken)]
    if others:
        proposed = propose(facts, [address.removesuffix("/32") for address in sorted(others)])
        effects += of_sources(proposed.effects, others)
    commands = dict.fromkeys(step.command for effect in effects for step in steps_of(effect))
    if commands:
        return (Fix("policy routing", tuple(commands)),)
    held_back = routed(Trial.of(facts)).held_back
    return () if held_back is None else (Fix(f"no policy routing here, for {held_back}"),)


def _planned(facts: Facts) -> tuple[Effect, ...]:
    return effects_of(Trial.of(facts), ("policy-routing",))
