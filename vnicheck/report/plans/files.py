"""All forms of the plans as files: what each server gets in a folder of its own. Nothing leads out of the folder."""

import re
from collections.abc import Sequence

from vnicheck.fixes.vni_changes import vni_changes
from vnicheck.model.plan import InstancePlan
from vnicheck.model.plan_document import encode_plans
from vnicheck.report.plans.ansible import render_ansible
from vnicheck.report.plans.ibmcloud import render_ibmcloud
from vnicheck.report.plans.plain import is_plain_path
from vnicheck.report.plans.sh import render_sh
from vnicheck.report.plans.terraform import render_terraform

_LONGEST = 60
PLAN = "plan.json"


def files_of(plans: Sequence[InstancePlan], *, flows: bool = False) -> dict[str, bytes]:
    """Paths below the folder, with `/` between their parts, and what stands there. `flows`: also in the JSON."""
    found = {PLAN: encode_plans(plans, flows=flows)}
    taken = {PLAN}
    for instance in plans:
        if not instance.plan.actions:
            continue
        folder = _folder(instance, taken)
        for name, data in _server(instance).items():
            found[f"{folder}/{name}"] = data
    return found


def _server(instance: InstancePlan) -> dict[str, bytes]:
    forms = {"apply.sh": render_sh, "playbook.yml": render_ansible}
    if vni_changes(instance.plan.actions):
        forms |= {"vni.tf": render_terraform, "ibmcloud.sh": render_ibmcloud}
    found = {name: render([instance]).encode() for name, render in forms.items()}
    for file in instance.plan.files:
        if is_plain_path(file.path):  # the header of the others says which are not
            found[f"files{file.path}"] = file.text.encode()
    return found


def _folder(instance: InstancePlan, taken: set[str]) -> str:
    """The server's name where that is a plain name that no other has, upper and lower case alike; with its id else."""
    name = _plain(instance.name)
    if name != instance.name or name.lower() in taken:
        name = f"{name}-{_plain(instance.id)}"
    wanted, number = name, 2
    while name.lower() in taken:
        name, number = f"{wanted}-{number}", number + 1
    taken.add(name.lower())
    return name


def _plain(text: str) -> str:
    """The text as one part of a path."""
    shown = re.sub(r"[^A-Za-z0-9_.-]+", "_", text[:_LONGEST], flags=re.ASCII)
    return shown.lstrip(".-") or "server"
