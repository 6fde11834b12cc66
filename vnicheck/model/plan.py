"""A plan of fixes: actions with the steps that do and undo them, and what they were proved to do. Its JSON is
`plan_document`'s.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from vnicheck.model.finding import Fix
from vnicheck.model.flow import Direction, DropCode, Flow, Protocol, Scope, Verdict

ActionKind = Literal["policy_rule", "route", "sysctl", "vni_patch", "persist"]
PlanTarget = Literal["guest", "vpc"]
AtBoot = Literal["kept", "partly", "lost"]
NO_STRATEGY = "none"
"""The strategy of a plan without actions: nothing is broken, or nothing that we know of fixes it (`why_not`)."""


class File(Struct, frozen=True, kw_only=True):
    """A configuration file that a `persist` action writes: its path on the guest, its text, its permission bits."""

    path: str
    text: str
    mode: int = 0o644


class Step(Struct, frozen=True):
    """Commands for the server (POSIX sh, as root): what does the step, and what undoes it. `check`: one that succeeds
    where its effect stands and fails with 1 where it does not; None where there is no telling.
    """

    command: str
    undo: str
    check: str | None = None


class Action(Struct, frozen=True, kw_only=True):
    """One change. One of the guest has steps; a `vni_patch` has `vni`, and the bodies of the PATCH (`patch`) and of the
    one that undoes it (`undo_patch`).
    """

    kind: ActionKind
    summary: str
    steps: tuple[Step, ...] = ()
    patch: dict[str, Any] | None = None
    undo_patch: dict[str, Any] | None = None
    vni: str | None = None
    vni_name: str | None = None
    file: File | None = None
    """Of a `persist` action: the file that its step writes, where it writes one."""
    lines: tuple[str, ...] = ()
    """Of a `persist` action that changes a file of somebody else's: the lines that this gets."""

    def __post_init__(self) -> None:
        if (self.kind == "vni_patch") is not (self.patch is not None and self.vni is not None):
            raise ValueError("a vni_patch, and nothing else, names a VNI and its patch")
        if (self.kind == "vni_patch") is bool(self.steps):
            raise ValueError("a guest action, and nothing else, has steps")

    @property
    def where(self) -> PlanTarget:
        """What it changes."""
        return "vpc" if self.kind == "vni_patch" else "guest"

    @property
    def command(self) -> str | None:
        """All steps as one command."""
        return " && ".join(step.command for step in self.steps) or None

    @property
    def undo(self) -> str | None:
        """What undoes all steps, the last one first."""
        return "; ".join(step.undo for step in reversed(self.steps)) or None


class Change(Struct, frozen=True, kw_only=True):
    """Flows whose fate or way changes: of each pair the first is before the plan, the second after it. `fixed`: they
    belong to a class that the plan fixes.
    """

    direction: Direction
    protocol: Protocol
    ports: tuple[str, ...] | UnsetType = UNSET
    remote: tuple[str, ...]
    remote_scope: Scope
    local: str
    verdict: tuple[Verdict, Verdict]
    dropped_by: tuple[DropCode | None, DropCode | None]
    egress: tuple[str | None, str | None]
    fixed: bool


class FixedIf(Struct, frozen=True, kw_only=True):
    """What is fixed only if an open assumption has this value: `count` classes of flows. `then`: what to do if it has
    the other one.
    """

    assumption: str
    value: str
    count: int
    then: str


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a strategy would do, and what the engine says of the server before and after it.

    `fixed`, `broken` and `remaining` count classes of `before`: broken ones that are delivered afterwards, ones that
    fare worse (none, or the plan is not offered), and broken ones that stay so. `iam_actions` are needed to apply it;
    `at_boot` is what the next boot leaves of it, and `next_boot` says so in words.
    """

    strategy: str
    actions: tuple[Action, ...]
    fixed: int
    broken: int
    remaining: int
    before: tuple[Flow, ...] = ()
    """All classes; left out of a document that was not asked for flows, as the next two."""
    after: tuple[Flow, ...] = ()
    fixed_flows: tuple[int, ...] = ()
    """Indexes of the classes of `before` that `fixed` counts."""
    fixed_if: tuple[FixedIf, ...] = ()
    side_effects: tuple[str, ...]
    changes: tuple[Change, ...] = ()
    iam_actions: tuple[str, ...] = ()
    next_boot: tuple[str, ...] = ()
    at_boot: AtBoot = "kept"
    why_not: str | None = None

    @property
    def immediate(self) -> tuple[Action, ...]:
        """What is done to the running server."""
        return tuple(action for action in self.actions if action.where == "guest" and action.kind != "persist")

    @property
    def persistent(self) -> tuple[Action, ...]:
        """What is written to the server's configuration."""
        return tuple(action for action in self.actions if action.kind == "persist")

    @property
    def files(self) -> tuple[File, ...]:
        """The configuration files that are written whole."""
        return tuple(action.file for action in self.actions if action.file is not None)


class Applied(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a plan that was applied. `change`: its id in the ledger. `by_hand`: commands that undo what may
    still be there, where that could not be confirmed.
    """

    status: Literal["applied", "refused", "rolled_back", "unconfirmed"]
    said: str
    change: str | None = None
    by_hand: tuple[str, ...] = ()


class InstancePlan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The plan for one server, and the ones that were not chosen. `unfixed`: what stays broken, in words."""

    id: str
    name: str
    plan: Plan
    alternatives: tuple[Plan, ...]
    unfixed: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    """Programs that own policy rules there, in words: which rules, what they read, where the plan's stand."""
    by_hand: tuple[Fix, ...] = ()
    """What would help of that which stays broken, and no plan does."""
    outcome: Applied | None = None
    """None where the plan was not applied."""


def without_flows(plan: Plan) -> Plan:
    """The plan without the fields that list or number flows."""
    return msgspec.structs.replace(plan, before=(), after=(), fixed_flows=())
