"""A plan of fixes, `vnicheck.plan/1`: actions with their undo, and what they were proved to do."""

from typing import Any, Literal

from msgspec import Struct

from vnicheck.model.flow import Flow


class Action(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change. A guest action has `command` and `undo` (POSIX sh, as root); a `vni_patch` has `vni` and `patch`."""

    where: Literal["guest", "vpc"]
    kind: Literal["policy_rule", "route", "sysctl", "vni_patch", "persist"]
    summary: str
    command: str | None = None
    undo: str | None = None
    patch: dict[str, Any] | None = None
    vni: str | None = None

    def __post_init__(self) -> None:
        if (self.kind == "vni_patch") is not (self.patch is not None and self.vni is not None):
            raise ValueError("a vni_patch, and nothing else, names a VNI and its patch")


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a strategy would do, and what the engine says of the server before and after it."""

    strategy: str
    actions: tuple[Action, ...]
    fixed: int
    broken: int
    remaining: int
    before: tuple[Flow, ...]
    after: tuple[Flow, ...]
    side_effects: tuple[str, ...]
    why_not: str | None = None


class InstancePlan(Struct, frozen=True, kw_only=True):
    """The plan for one server, and the ones that were not chosen."""

    id: str
    name: str
    plan: Plan
    alternatives: tuple[Plan, ...]


class PlanDocument(Struct, frozen=True, kw_only=True):
    """The document."""

    schema: Literal["vnicheck.plan/1"]
    instances: tuple[InstancePlan, ...]
