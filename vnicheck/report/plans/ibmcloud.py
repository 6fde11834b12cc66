"""The VPC's part of a plan as commands of the ibmcloud CLI (IBM Cloud Docs, VPC: vni-updating)."""

import shlex
from collections.abc import Sequence

from vnicheck.fixes.vni_changes import FEATURE, VniChange, vni_changes
from vnicheck.model.plan import InstancePlan, Step
from vnicheck.report.plans.header import comments
from vnicheck.report.plans.plain import said
from vnicheck.report.plans.runner import RUNNER, SPLITS, Part, functions, keys, refusal

_USAGE = (
    "sh ibmcloud.sh        change the VNIs; where the ibmcloud CLI is logged in, its region that of the servers",
    "sh ibmcloud.sh undo   set them back to what they were",
)
_MAIN = """
case ${1-apply} in
apply)
	need ibmcloud
	run $VNIS
	;;
undo)
	need ibmcloud
	take_back $UNDO_VNIS
	;;
*)
	complain "usage: sh $0 [apply|undo]"
	exit 2
	;;
esac
"""


def render_ibmcloud(plans: Sequence[InstancePlan]) -> str:
    """A script that changes the VNIs of all the servers, and sets them back with `undo`."""
    changes = [(instance, change) for instance in plans for change in vni_changes(instance.plan.actions)]
    parts = [vni_part(f"v{number}", instance, change) for number, (instance, change) in enumerate(changes, 1)]
    concerned = [instance for instance in plans if vni_changes(instance.plan.actions)]
    if not concerned:
        return "#!/bin/sh\n# Nothing to change in the VPC.\n"
    body = "\n".join(functions(part) for part in parts)
    return (
        f"#!/bin/sh\n{comments(concerned, _USAGE)}{SPLITS}set -eu\n{export()}\n{body}\n{vni_keys(parts)}{RUNNER}{_MAIN}"
    )


def export() -> str:
    """The line ahead of the commands."""
    return "export {}={}\n".format(*FEATURE)


def vni_keys(parts: Sequence[Part]) -> str:
    """The variables that name the changes of VNIs."""
    return f"VNIS={keys(parts)}\nUNDO_VNIS={keys(parts[::-1])}\n"


def vni_part(key: str, instance: InstancePlan, change: VniChange) -> Part:
    """One VNI's change as a step of a script."""
    what = f"{said(instance.name)}: {change.summary}"
    if change.refused is not None:
        refused = refusal(change.refused)
        return Part(key, what, Step(refused, refused))
    command, undo = (shlex.join(change.arguments(patch)) for patch in (change.patch, change.undo))
    return Part(key, what, Step(command, undo))
