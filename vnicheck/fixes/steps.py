"""A change of a guest as parts, each with the one step that makes it: what a step did, nothing else is undone. Pure."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from vnicheck.fixes.actions import steps_of
from vnicheck.fixes.effects import AddRoutes, AddRule, Effect, PatchVni, SetRpFilter
from vnicheck.model.lines import format_route, format_rule
from vnicheck.model.plan import Action, Step
from vnicheck.model.plan_document import Action as RecordedAction
from vnicheck.model.words import one_line


class Part(Struct, frozen=True, kw_only=True):
    """`what` it is, in words; `effect`: on the running server, None of a configuration file."""

    what: str
    step: Step
    effect: AddRoutes | AddRule | SetRpFilter | None = None


def running_parts(effects: Iterable[Effect]) -> tuple[Part, ...]:
    """What the effects change on the running server: each route by itself."""
    return tuple(part for effect in effects if not isinstance(effect, PatchVni) for part in _parts(effect))


def file_parts(actions: Sequence[Action] | Sequence[RecordedAction]) -> tuple[Part, ...]:
    """What the actions write to the server's configuration, each as a whole."""
    return tuple(
        Part(what=_file(action), step=Step(action.command, action.undo))
        for action in actions
        if action.kind == "persist" and action.command is not None and action.undo is not None
    )


def _parts(effect: AddRoutes | AddRule | SetRpFilter) -> Iterator[Part]:
    match effect:
        case AddRoutes():
            for route in effect.routes:
                alone = AddRoutes(table=effect.table, routes=(route,))
                yield Part(what=f"the route '{format_route(route)}'", step=steps_of(alone)[0], effect=alone)
        case AddRule():
            yield Part(what=f"the rule '{format_rule(effect.rule)}'", step=steps_of(effect)[0], effect=effect)
        case SetRpFilter():
            yield Part(what=f"rp_filter of {effect.interface}", step=_guarded(effect), effect=effect)


def _guarded(effect: SetRpFilter) -> Step:
    """Set only from the value that was planned from, and set back only where ours still holds, as VNIs are."""
    (step,) = steps_of(effect)
    value = f"$(sysctl -n {effect.path})"
    held = f'v={value}; [ "$v" = {effect.old} ] || {{ echo "it is $v by now, no longer {effect.old}"; exit 1; }}'
    return msgspec.structs.replace(
        step, command=f"{held}; {step.command}", undo=f'if [ "{value}" = {effect.new} ]; then {step.undo}; fi'
    )


def _file(action: Action | RecordedAction) -> str:
    """The path of a file that is written whole; else the action in words, which name what they change."""
    return action.file.path if action.file is not None else one_line(action.summary.partition(" gets ")[0], 120)
