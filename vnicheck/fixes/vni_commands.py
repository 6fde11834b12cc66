"""A VNI's change as a command of the ibmcloud CLI (IBM Cloud Docs, VPC: vni-updating)."""

import shlex
from typing import Any

from vnicheck.fixes.state_filtering import MODE, SPOOFING
from vnicheck.fixes.steps import VniChange, changes_of
from vnicheck.model.plan import Action

FEATURE = ("IBMCLOUD_IS_FEATURE_VNI_ENABLE_PROTOCOL_STATE_FILTERING", "true")
"""What makes the CLI know of protocol state filtering."""
_FLAGS: dict[str, str] = {MODE: "--protocol-state-filtering-mode", SPOOFING: "--allow-ip-spoofing"}


def undo_command(action: Action) -> str:
    """One line that undoes a patch, wherever the CLI is logged in; a comment where the VNI's id cannot be written."""
    (change,) = changes_of([action])
    if change.refused is not None:
        return f"# {change.refused}"
    return f"{'='.join(FEATURE)} {shlex.join(arguments(change, change.undo))}"


def arguments(change: VniChange, patch: dict[str, Any]) -> list[str]:
    """The command, for a change that is not refused. The name, which the CLI may ask for, stays as it is."""
    name = [] if change.name is None else ["--name", change.name]
    flags = [word for field, value in patch.items() for word in (_FLAGS[field], _word(value))]
    return ["ibmcloud", "is", "virtual-network-interface-update", change.vni, *name, *flags]


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
