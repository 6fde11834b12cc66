"""The JSON of plans, `vnicheck.plan/2`, and of the ledger's actions: the same but for steps, which are one command."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from vnicheck.model import plan
from vnicheck.model.flow import plain
from vnicheck.model.plan import ActionKind, File, PlanTarget
from vnicheck.model.words import shown_json

PLAN_SCHEMA: Literal["vnicheck.plan/2"] = "vnicheck.plan/2"


class Action(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change. A guest action has `command` and `undo` (POSIX sh, as root); a `vni_patch` has `vni`, and the bodies
    of the PATCH (`patch`) and of the one that undoes it (`undo_patch`).
    """

    where: PlanTarget
    kind: ActionKind
    summary: str
    command: str | None = None
    undo: str | None = None
    patch: dict[str, Any] | None = None
    undo_patch: dict[str, Any] | None = None
    vni: str | None = None
    vni_name: str | None = None
    file: File | None = None
    lines: tuple[str, ...] = ()


class Plan(plan.Plan, frozen=True, kw_only=True, omit_defaults=True):
    __doc__ = plan.Plan.__doc__

    actions: tuple[Action, ...]  # type: ignore[assignment] # as they are written


class InstancePlan(plan.InstancePlan, frozen=True, kw_only=True, omit_defaults=True):
    __doc__ = plan.InstancePlan.__doc__

    plan: Plan
    alternatives: tuple[Plan, ...]


class PlanDocument(Struct, frozen=True, kw_only=True):
    """The document."""

    schema: Literal["vnicheck.plan/2"]
    instances: tuple[InstancePlan, ...]


def encode_plans(plans: Sequence[plan.InstancePlan], *, flows: bool) -> bytes:
    """Indented JSON with a final newline. The same plans give the same bytes. `flows`: with `before` and `after`."""
    document = PlanDocument(schema=PLAN_SCHEMA, instances=tuple(_document(each, flows=flows) for each in plans))
    return (
        shown_json(msgspec.json.format(msgspec.json.encode(document, order="deterministic", enc_hook=plain), indent=2))
        + b"\n"
    )


def encode_plan(instance: plan.InstancePlan, *, flows: bool) -> bytes:
    """One server's plan as JSON on one line."""
    return shown_json(msgspec.json.encode(_document(instance, flows=flows), order="deterministic", enc_hook=plain))


def _document(instance: plan.InstancePlan, *, flows: bool) -> InstancePlan:
    if not flows:
        others = tuple(map(plan.without_flows, instance.alternatives))
        instance = msgspec.structs.replace(instance, plan=plan.without_flows(instance.plan), alternatives=others)
    return msgspec.convert(instance, InstancePlan, from_attributes=True)


def as_documents(actions: Iterable[plan.Action]) -> tuple[Action, ...]:
    """The actions as they are written down."""
    return tuple(msgspec.convert(each, Action, from_attributes=True) for each in actions)
