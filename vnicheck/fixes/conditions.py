"""What a plan fixes only if an open assumption falls one way, and what to do if it falls the other way."""

from collections.abc import Iterator, Sequence

from vnicheck.engine.open_assumptions import OPEN_VALUES
from vnicheck.fixes.effects import Effect
from vnicheck.fixes.state_filtering import may_spoof
from vnicheck.fixes.trial import Trial
from vnicheck.model.config import OpenValue
from vnicheck.model.flow import Flow, Outcome, Scope
from vnicheck.model.grouped import grouped
from vnicheck.model.plan import FixedIf
from vnicheck.model.words import listed


def fixed_if(trial: Trial, effects: Sequence[Effect]) -> Iterator[FixedIf]:
    """For each value of an open assumption the targets that the effects fix with it, whatever the others come to, and
    not without it.
    """
    outcome = trial.outcome(effects)
    after = trial.facts_after(effects).flows
    for assumption in sorted({each for _, world in outcome.gained for each, _ in world}):
        for value in OPEN_VALUES:
            gained = {index for index, world in outcome.gained if (assumption, value) in world}
            fixed = {index for index in gained - outcome.fixed if outcome.holds(index, (assumption, value))}
            if fixed:
                flows = [after[piece.after] for piece in outcome.pieces if piece.before in fixed]
                then = _otherwise(trial, flows, assumption, value)
                yield FixedIf(assumption=assumption, value=value, count=len(fixed), then=then)


def _otherwise(trial: Trial, flows: Sequence[Flow], assumption: str, value: OpenValue) -> str:
    (other,) = (each for each in OPEN_VALUES if each != value)
    doubtful = grouped(
        (hop.at, flow)
        for flow in flows
        for hop in flow.hops
        if hop.outcome is Outcome.UNKNOWN and hop.assumption == assumption
    )
    where = listed(list(doubtful))
    if other == "passed":
        return f"if such packets pass at {where}, these flows stay as they are"
    vnis = {place: trial.facts.vni_named(place) for place in doubtful}
    curable = [
        vni.name
        for place, vni in vnis.items()
        if vni is not None and may_spoof(vni) and any(f.remote_scope is not Scope.INTERNET for f in doubtful[place])
    ]
    dropped = f"if the VPC drops such packets at {where}, these flows are dropped all the same"
    if len(curable) < len(doubtful):
        return f"{dropped}, and only policy routing helps"
    return (
        f'{dropped}: set {assumption} = "{other}" and plan again; allowing IP spoofing on {listed(curable)} is the '
        "second step then"
    )
