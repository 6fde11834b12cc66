"""What a plan changes in the VPC, one change a VNI, and its commands (IBM Cloud Docs, VPC: vni-updating).

A command is made of values that are looked up or match what the VPC gives; a change of any other value is refused.
"""

import re
import shlex
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from vnicheck.fixes.state_filtering import MODE, SPOOFING
from vnicheck.model.grouped import grouped
from vnicheck.model.plan import Action
from vnicheck.model.words import one_line

FEATURE = ("IBMCLOUD_IS_FEATURE_VNI_ENABLE_PROTOCOL_STATE_FILTERING", "true")
"""What makes the CLI know of protocol state filtering."""
_FLAGS: dict[str, str] = {MODE: "--protocol-state-filtering-mode", SPOOFING: "--allow-ip-spoofing"}
_VALUES: dict[str, tuple[object, ...]] = {MODE: ("auto", "enabled", "disabled"), SPOOFING: (True, False)}
_VNI_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", re.ASCII)
_VNI_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class VniChange(Struct, frozen=True, kw_only=True):
    """All that a plan changes of one VNI. `refused`: why it cannot be written into a command; None where it can.
    `name` is None where it is none that the VPC would have given.
    """

    summary: str
    vni: str
    name: str | None
    patch: dict[str, Any]
    undo: dict[str, Any]
    refused: str | None

    def arguments(self, patch: dict[str, Any]) -> list[str]:
        """The command, where it is not refused. The name, which the CLI may ask for, stays as it is."""
        name = [] if self.name is None else ["--name", self.name]
        flags = [word for field, value in patch.items() for word in (_FLAGS[field], value_word(value))]
        return ["ibmcloud", "is", "virtual-network-interface-update", self.vni, *name, *flags]


def vni_changes(actions: Iterable[Action]) -> tuple[VniChange, ...]:
    """What the actions change in the VPC: two patches of a VNI in a row could meet while it is updating."""
    by_vni = grouped((action.vni, action) for action in actions if action.vni is not None)
    return tuple(_change(vni, actions) for vni, actions in by_vni.items())


def undo_command(action: Action) -> str:
    """One line that undoes a patch, wherever the CLI is logged in; a comment where the VNI's id cannot be written."""
    (change,) = vni_changes([action])
    if change.refused is not None:
        return f"# {change.refused}"
    return f"{'='.join(FEATURE)} {shlex.join(change.arguments(change.undo))}"


def _change(vni: str, actions: list[Action]) -> VniChange:
    patch: dict[str, Any] = {}
    undo: dict[str, Any] = {}
    for action in actions:
        patch |= action.patch or {}
        undo |= action.undo_patch or {}
    name = next((action.vni_name for action in actions if action.vni_name is not None), None)
    return VniChange(
        summary=one_line("; ".join(action.summary for action in actions), 2000),
        vni=vni,
        name=name if name is not None and _VNI_NAME.fullmatch(name) else None,
        patch=patch,
        undo=undo,
        refused=_refusal(vni, patch, undo),
    )


def _refusal(vni: str, *patches: dict[str, Any]) -> str | None:
    if _VNI_ID.fullmatch(vni) is None:
        return f"'{one_line(vni, 2000)[:80]}' is no id of a VNI"
    for patch in patches:
        for field, value in patch.items():
            if (type(value), value) not in [(type(known), known) for known in _VALUES.get(field, ())]:
                return f"'{one_line(field, 2000)[:80]}' cannot be set to '{one_line(value, 2000)[:80]}'"
    return None


def patch_line(vni: str | None, patch: dict[str, Any]) -> str:
    """`PATCH virtual_network_interfaces/ID: allow_ip_spoofing = true`, for people."""
    return f"PATCH virtual_network_interfaces/{vni}: {fields_line(patch)}"


def fields_line(patch: dict[str, Any]) -> str:
    """`protocol_state_filtering_mode = auto, allow_ip_spoofing = false`."""
    return ", ".join(f"{key} = {value_word(value)}" for key, value in patch.items())


def value_word(value: object) -> str:
    """`true`, or a word as it is: a field's value as the API and its tools have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
