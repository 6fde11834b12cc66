"""A plan as the steps that a script or a playbook does, each with its undo and how to tell that it is done."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from vnicheck.fixes.state_filtering import MODE, SPOOFING
from vnicheck.model.flow import Direction
from vnicheck.model.plan import Action, File, Plan
from vnicheck.model.words import one_line

_ROUTE = re.compile(r"ip route add (default|[\d./]+)( via [\d.]+)?( dev [A-Za-z0-9_.@-]+) table (\d+)")
_RULE = re.compile(r"ip rule add (from (?:all|[\d./]+)(?: to [\d./]+)?) table (main|\d+) priority (\d+)")
_SYSCTL = re.compile(r"sysctl -q -w ([A-Za-z0-9_.@/-]+)=(\d+)")
_ADDRESS = re.compile(r"\d+(\.\d+){3}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", re.ASCII)
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_PATH = re.compile(r"/etc(/[A-Za-z0-9_@:+-][A-Za-z0-9_.@:+-]*)+", re.ASCII)
_VALUES: dict[str, tuple[object, ...]] = {MODE: ("auto", "enabled", "disabled"), SPOOFING: (True, False)}


class Step(Struct, frozen=True, kw_only=True):
    """One command for the server, as root. `check`: a command that succeeds where its effect stands and fails with 1
    where it does not; None where there is no telling.
    """

    summary: str
    command: str
    undo: str
    check: str | None = None
    file: File | None = None


class VniChange(Struct, frozen=True, kw_only=True):
    """All that the plan changes of one VNI. `refused`: why it cannot be written into a command; None where it can.
    `name` is None where it is none that the VPC would have given.
    """

    summary: str
    vni: str
    name: str | None
    patch: dict[str, Any]
    undo: dict[str, Any]
    refused: str | None


def immediate(plan: Plan) -> tuple[Step, ...]:
    """What is done to the running server, one command a step."""
    actions = [action for action in plan.actions if action.where == "guest" and action.kind != "persist"]
    return tuple(step for action in actions for step in _steps(action))


def persistent(plan: Plan) -> tuple[Step, ...]:
    """What is written to the server's configuration."""
    actions = [action for action in plan.actions if action.kind == "persist"]
    return tuple(
        Step(summary=said(action.summary), command=action.command or "", undo=action.undo or "", file=action.file)
        for action in actions
    )


def vni_changes(plan: Plan) -> tuple[VniChange, ...]:
    """What is changed in the VPC, one change a VNI: two patches in a row could meet while it is updating."""
    return changes_of(plan.actions)


def changes_of(actions: Iterable[Action]) -> tuple[VniChange, ...]:
    """What these actions change in the VPC."""
    by_vni: dict[str, list[Action]] = {}
    for action in actions:
        if action.vni is not None:
            by_vni.setdefault(action.vni, []).append(action)
    return tuple(_vni_change(vni, actions) for vni, actions in by_vni.items())


def addresses(plan: Plan) -> tuple[str, ...]:
    """The server's own addresses, as far as the plan speaks of them."""
    flows = [flow.local for flow in plan.before if flow.direction is not Direction.TRANSIT]
    return tuple(dict.fromkeys(address for address in flows if _ADDRESS.fullmatch(address)))


def said(text: str) -> str:
    """Remote text as one line without control characters, for a comment or a message."""
    return one_line(text, 2000)


def is_plain_path(path: str) -> bool:
    """Whether it is a file below /etc that bears plain names."""
    return _PATH.fullmatch(path) is not None


def _steps(action: Action) -> Iterator[Step]:
    """An action of several commands is several steps, where each has its own undo: less is left to be cleaned up."""
    command, undo = action.command or "", action.undo or ""
    commands, undos = command.split(" && "), undo.split("; ")[::-1]
    if len(commands) != len(undos) or any(_check(each) is None for each in commands):
        commands, undos = [command], [undo]
    for one, back in zip(commands, undos, strict=True):
        yield Step(summary=said(action.summary), command=one, undo=back, check=_check(one))


def _check(command: str) -> str | None:
    """Whether what the command adds is there, as iproute2 and busybox show it."""
    if route := _ROUTE.fullmatch(command):
        prefix, via, dev, table = route.groups(default="")
        shown = _literal(f"{prefix.removesuffix('/32')}{via}{dev}")
        return f"ip -4 route show table {table} 2>/dev/null | grep -Eq '^{shown}( |$)'"
    if rule := _RULE.fullmatch(command):
        selector, table, priority = rule.groups()
        name = "(main|254)" if table == "main" else table
        return (
            "{ ip -4 -N rule show 2>/dev/null || ip -4 rule show; } | "
            f"grep -Eq '^{priority}:[[:space:]]+{_literal(selector)} lookup {name} *$'"
        )
    if sysctl := _SYSCTL.fullmatch(command):
        return f'[ "$(sysctl -n {sysctl[1]})" = {sysctl[2]} ]'
    return None


def _literal(words: str) -> str:
    """Plain words as a pattern of grep -E."""
    return words.replace(".", "[.]")


def _vni_change(vni: str, actions: list[Action]) -> VniChange:
    patch: dict[str, Any] = {}
    undo: dict[str, Any] = {}
    for action in actions:
        patch |= action.patch or {}
        undo |= action.undo_patch or {}
    name = next((action.vni_name for action in actions if action.vni_name is not None), None)
    return VniChange(
        summary=said("; ".join(action.summary for action in actions)),
        vni=vni,
        name=name if name is not None and _NAME.fullmatch(name) else None,
        patch=patch,
        undo=undo,
        refused=_refusal(vni, patch, undo),
    )


def _refusal(vni: str, *patches: dict[str, Any]) -> str | None:
    if _ID.fullmatch(vni) is None:
        return f"'{said(vni)[:80]}' is no id of a VNI"
    for patch in patches:
        for field, value in patch.items():
            if (type(value), value) not in [(type(known), known) for known in _VALUES.get(field, ())]:
                return f"'{said(field)[:80]}' cannot be set to '{said(str(value))[:80]}'"
    return None
