"""What one stage says of a packet."""

from msgspec import Struct

from vnicheck.model.flow import By, DropCode, Outcome, Stage


class Check(Struct, frozen=True, kw_only=True):
    """A stage's outcome with its reason, and the assumption that it rests on (an id of `assumptions`), if any.

    `by` is the configured things that decided (routes, rules); packets that meet the same fate by different ones
    still belong together, so neither they nor a remote's address stand in `reason`.
    """

    stage: Stage
    outcome: Outcome
    reason: str
    by: By = ()
    assumption: str | None = None
    drop: DropCode | None = None
    to_no_host: bool = False
    """Whether the packet is to a broadcast address of the guest's own networks: nobody is there to get it."""
    stays_inside: bool = False
    """Whether the packet goes to one of the server's own networks by a device of its own: it meets no VNI."""
    by_another: bool = False
    """Whether the packet comes in by another VNI of the server than its address's: what follows is not that one's."""


def passes(stage: Stage, reason: str, assumption: str | None = None, by: By = ()) -> Check:
    """The packet goes on."""
    return Check(stage=stage, outcome=Outcome.PASS, reason=reason, by=by, assumption=assumption)


def drops(stage: Stage, code: DropCode, reason: str, assumption: str | None = None, by: By = ()) -> Check:
    """The packet ends here."""
    return Check(stage=stage, outcome=Outcome.DROP, reason=reason, by=by, assumption=assumption, drop=code)


def unknown(stage: Stage, reason: str, assumption: str | None = None, by: By = ()) -> Check:
    """It depends on something that was not collected or is not modelled."""
    return Check(stage=stage, outcome=Outcome.UNKNOWN, reason=reason, by=by, assumption=assumption)
