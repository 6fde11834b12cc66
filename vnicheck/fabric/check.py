"""What one stage says of a packet."""

from msgspec import Struct

from vnicheck.model.flow import Decider, DropCode, Outcome

By = tuple[Decider, ...]


class Check(Struct, frozen=True, kw_only=True):
    """A stage's outcome with its reason, and the assumption that it rests on (an id of `assumptions`), if any.

    `by` is the configured things that decided (routes, rules); packets that meet the same fate by different ones
    still belong together, so neither they nor a remote's address stand in `reason`.
    """

    stage: str
    outcome: Outcome
    reason: str
    by: By = ()
    assumption: str | None = None
    drop: DropCode | None = None


def passes(stage: str, reason: str, assumption: str | None = None, by: By = ()) -> Check:
    """The packet goes on."""
    return Check(stage=stage, outcome=Outcome.PASS, reason=reason, by=by, assumption=assumption)


def drops(stage: str, code: DropCode, reason: str, assumption: str | None = None, by: By = ()) -> Check:
    """The packet ends here."""
    return Check(stage=stage, outcome=Outcome.DROP, reason=reason, by=by, assumption=assumption, drop=code)


def unknown(stage: str, reason: str, assumption: str | None = None, by: By = ()) -> Check:
    """It depends on something that was not collected or is not modelled."""
    return Check(stage=stage, outcome=Outcome.UNKNOWN, reason=reason, by=by, assumption=assumption)
