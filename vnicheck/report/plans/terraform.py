"""The VPC's part of a plan as HCL: each VNI imported, with the attributes that change; the server's part as comments.

The block leaves out what it does not change. That keeps it as it is, but for `subnet`, whose absence the provider takes
for a reason to delete the VNI and make a new one (resource_ibm_is_virtual_network_interface.go: ForceNew, not
Computed): `ignore_changes` and `prevent_destroy` see to that.
"""

import re
from collections.abc import Sequence
from typing import Any

from vnicheck.fixes.vni_changes import VniChange, vni_changes
from vnicheck.model.plan import InstancePlan
from vnicheck.model.words import untaken
from vnicheck.report.plans.header import as_comment, comment
from vnicheck.report.plans.plain import said

_TYPE = "ibm_is_virtual_network_interface"
_HOW = (
    "Where your configuration has the VNI already, copy only the attributes into its block, and leave the import",
    "block and the resource block out. A VNI that is written inside a server's network attachment has them there.",
)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def render_terraform(plans: Sequence[InstancePlan]) -> str:
    """The VNIs of all the servers that the plans change."""
    if not plans:
        return "# Nothing to fix.\n"
    labels: set[str] = set()
    return "\n".join(_server(instance, labels) for instance in plans)


def _server(instance: InstancePlan, labels: set[str]) -> str:
    plan = instance.plan
    changes = vni_changes(plan.actions)
    blocks = [comment(instance, usage=_HOW if changes else ("The plan changes nothing in the VPC.",))]
    if plan.immediate or plan.persistent:
        steps = (step for action in plan.immediate for step in action.steps)
        lines = (line for step in steps for line in step.command.splitlines())
        blocks.append(
            as_comment(
                [
                    "Terraform does not change the server itself; the forms sh and ansible do that part:",
                    *(f"  {line}" for line in lines),
                    *(f"  {said(action.summary)}" for action in plan.persistent),
                ]
            )
        )
    for change in changes:
        if change.refused is not None:
            blocks.append(as_comment([f"REFUSED: {change.summary}: {change.refused}"]))
        else:
            blocks.append(_blocks(change, _label(change, labels)))
    return "\n".join(blocks)


def _blocks(change: VniChange, label: str) -> str:
    name = [] if change.name is None else [("name", change.name)]
    old = ", ".join(f"{key} = {_value(value)}" for key, value in change.undo.items())
    was = as_comment([change.summary, f"it was {old}"])
    return (
        f"import {{\n  to = {_TYPE}.{label}\n  id = {_value(change.vni)}\n}}\n\n"
        f"{was}"
        f'resource "{_TYPE}" "{label}" {{\n{_attributes([*name, *change.patch.items()])}\n'
        "  lifecycle {\n    ignore_changes  = [subnet]\n    prevent_destroy = true\n  }\n}\n"
    )


def _attributes(pairs: Sequence[tuple[str, Any]]) -> str:
    """As `terraform fmt` aligns them."""
    width = max(len(key) for key, _ in pairs)
    return "".join(f"  {key:<{width}} = {_value(value)}\n" for key, value in pairs)


def _label(change: VniChange, taken: set[str]) -> str:
    """A name for the resource, by the VNI's name or its id."""
    wanted = re.sub(r"[^A-Za-z0-9_]", "_", change.name or change.vni)
    label = untaken(wanted if wanted[0].isalpha() else f"vni_{wanted}", taken, "_")
    taken.add(label)
    return label


def _value(value: object) -> str:
    """A literal: `true`, or a quoted string in which nothing is interpolated."""
    if isinstance(value, bool):
        return str(value).lower()
    text = "".join(_ESCAPES.get(char, char) for char in str(value))
    return '"' + text.replace("${", "$${").replace("%{", "%%{") + '"'
