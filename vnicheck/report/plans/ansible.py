"""A plan as an Ansible playbook: a play for each server, and one tagged `undo` that runs only when asked for.

Text from a name or a command in which Ansible could see a template is marked `!unsafe`: it sees none there.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

import yaml

from vnicheck.fixes.vni_changes import FEATURE, VniChange, fields_line, vni_changes
from vnicheck.model.plan import Action, InstancePlan, Step
from vnicheck.report.plans.handles import hosts
from vnicheck.report.plans.header import comments
from vnicheck.report.plans.plain import is_plain_path, plan_addresses, said

_USAGE = (
    "ansible-playbook -i INVENTORY playbook.yml              apply, and write what the next boot keeps",
    "ansible-playbook -i INVENTORY playbook.yml --tags undo  take it back",
    "",
    "The inventory knows the servers by the names that stand behind 'hosts'. VNIs are changed by the ibmcloud CLI of",
    "the machine that Ansible runs on, where that is logged in.",
)
_CHANGED = "vnicheck changed it"
_CONFIGURATION = (
    "/etc/network /etc/netplan /etc/NetworkManager /etc/systemd/network /etc/sysconfig /etc/wicked /etc/sysctl.d"
)
Task = dict[str, Any]


class _Unsafe(str):
    """Text that is no template."""

    __slots__ = ()


def _text(text: str) -> str:
    """The text as it is, whatever it looks like to Ansible. A first line `#jinja2:` may set other marks than `{`."""
    return _Unsafe(text) if "{" in text or text.startswith("#jinja2:") else text


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _plain_scalar(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


def _unsafe_scalar(dumper: yaml.SafeDumper, text: _Unsafe) -> yaml.ScalarNode:
    return dumper.represent_scalar("!unsafe", str(text), style="|" if "\n" in text else '"')


_Dumper.add_representer(str, _plain_scalar)
_Dumper.add_representer(_Unsafe, _unsafe_scalar)


def render_ansible(plans: Sequence[InstancePlan]) -> str:
    """The playbook for all the servers."""
    if not plans:
        return "# Nothing to fix.\n---\n[]\n"
    plays = [
        play
        for instance, host in zip(plans, hosts(plans), strict=True)
        if instance.plan.actions
        for play in _plays(instance, host)
    ]
    text = yaml.dump(plays, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)
    return f"{comments(plans, _USAGE)}---\n{text}"


def _plays(instance: InstancePlan, host: str) -> list[dict[str, Any]]:
    plan = instance.plan
    steps = [(said(action.summary), step) for action in plan.immediate for step in action.steps]
    kept, changes = plan.persistent, vni_changes(plan.actions)
    right = _right_host(instance) if steps or kept else []
    tasks = [*right]
    if steps:
        tasks.append(_block(steps))
    tasks += [task for action in kept for task in _keep(action)]
    tasks += [task for change in changes for task in _vni_tasks(change, [(change.patch, _differs(change.patch))])]
    back = [*right]
    back += [task for change in changes[::-1] for task in _vni_tasks(change, _undos(change))]
    back += [
        _shell(f"undo: {said(action.summary)}", _noticed(action, step.undo))
        for action in kept[::-1]
        for step in action.steps[::-1]
    ]
    back += [_take_back(what, step) for what, step in steps[::-1]]
    common = {"hosts": host, "gather_facts": False, "become": True}
    return [
        {"name": _text(f"fix {said(instance.name)}: {said(plan.strategy)}"), **common, "tasks": tasks},
        {"name": _text(f"undo the fix of {said(instance.name)}"), **common, "tags": ["never", "undo"], "tasks": back},
    ]


def _right_host(instance: InstancePlan) -> list[Task]:
    """Refuse a host that has none of the server's addresses: its name may be that of a group too."""
    known = plan_addresses(instance.plan)
    if not known:
        return []
    has = " | ".join(f"*' {address}/'*" for address in known)
    task = {
        "name": _text(f"see that this host is {said(instance.name)}"),
        "ansible.builtin.shell": {
            "cmd": f"case $(ip -4 -o addr show) in {has}) echo yes ;; esac",
            "executable": "/bin/sh",
        },
        "register": "vnicheck_host",
        "changed_when": False,
        "check_mode": False,
    }
    why = f"this host is not {said(instance.name)}: it has none of {', '.join(known)}"
    return [task, _refuse("refuse another host", why) | {"when": "'yes' not in vnicheck_host.stdout"}]


def _block(steps: Sequence[tuple[str, Step]]) -> Task:
    """The steps on the running server; if one fails, those that this run did are undone."""
    does = [_shell(what, _unless_so(step), f"vnicheck_{number}") for number, (what, step) in enumerate(steps, 1)]
    undoes = [
        _take_back(what, step) | {"when": [f"vnicheck_{number} is defined", f"vnicheck_{number} is changed"]}
        for number, (what, step) in reversed(list(enumerate(steps, 1)))
    ]
    failed = {
        "name": "say that it failed",
        "ansible.builtin.fail": {"msg": "a step failed; those before it are undone"},
    }
    return {"name": "change the running server", "block": does, "rescue": [*undoes, failed]}


def _keep(action: Action) -> list[Task]:
    """A configuration file as it is to stand, or the command that changes one. netplan's file is written by its
    command: that has netplan read it first.
    """
    file, what = action.file, said(action.summary)
    if file is None or file.path.startswith("/etc/netplan/"):
        return [_shell(what, _noticed(action, step.command)) for step in action.steps]
    if not is_plain_path(file.path):
        return [_refuse(what, f"'{said(file.path)}' is no plain path below /etc")]
    folder = {"path": _text(file.path.rpartition("/")[0]), "state": "directory"}
    copy = {
        "dest": _text(file.path),
        "content": _text(file.text),
        "owner": "root",
        "group": "root",
        "mode": f"{file.mode:04o}",
    }
    tasks = [{"name": "its folder", "ansible.builtin.file": folder}, {"name": "the file", "ansible.builtin.copy": copy}]
    return [{"name": _text(what), "block": tasks}]


def _differs(patch: dict[str, Any]) -> str:
    """A condition: the VNI is not yet as it is to be."""
    return " or ".join(f"{_field(name)} != {value!r}" for name, value in patch.items())


def _undos(change: VniChange) -> Iterator[tuple[dict[str, Any], str]]:
    """For each set of fields the patch that sets them back, and its condition: they, and no others, are still as the
    plan set them. What somebody else set since is left alone, and one patch does it: a second could meet the first.
    """
    for count in range(len(change.patch), 0, -1):
        for ours in combinations(change.patch, count):
            stand = (
                f"{_field(name)} {'==' if name in ours else '!='} {value!r}" for name, value in change.patch.items()
            )
            yield {name: change.undo[name] for name in ours}, " and ".join(stand)


def _field(name: str) -> str:
    return f"(vnicheck_vni.stdout | from_json).{name}"


def _vni_tasks(change: VniChange, patches: Iterable[tuple[dict[str, Any], str]]) -> list[Task]:
    """Read the VNI and change it by the patch whose condition holds, by the CLI of the machine that Ansible runs on."""
    if change.refused is not None:
        return [_refuse(change.summary, change.refused)]
    here = {"delegate_to": "localhost", "become": False, "environment": dict([FEATURE])}
    read = ["ibmcloud", "is", "virtual-network-interface", change.vni, "--output", "JSON"]
    return [
        {
            "name": "read the VNI",
            "ansible.builtin.command": {"argv": [_text(word) for word in read]},
            **here,
            "register": "vnicheck_vni",
            "changed_when": False,
            "check_mode": False,
        },
        *(
            {
                "name": _text(f"{change.summary}: {fields_line(patch)}"),
                "ansible.builtin.command": {"argv": [_text(word) for word in change.arguments(patch)]},
                **here,
                "when": condition,
            }
            for patch, condition in patches
        ),
    ]


def _refuse(summary: str, why: str) -> Task:
    return {"name": _text(summary), "ansible.builtin.fail": {"msg": _text(f"refused: {why}")}}


def _shell(summary: str, command: str, result: str = "vnicheck_done") -> Task:
    return {
        "name": _text(summary),
        "ansible.builtin.shell": {"cmd": _text(command), "executable": "/bin/sh"},
        "register": result,
        "changed_when": f'"{_CHANGED}" in {result}.stdout',
    }


def _take_back(what: str, step: Step) -> Task:
    return _shell(f"undo: {what}", _only_if_so(step))


def _unless_so(step: Step) -> str:
    so = f"if {step.check}; then exit 0; fi\n" if step.check is not None else ""
    return f"{so}{step.command} &&\necho '{_CHANGED}'"


def _only_if_so(step: Step) -> str:
    so = f"if {step.check}; then :; else exit 0; fi\n" if step.check is not None else ""
    return f"{so}{step.undo} &&\necho '{_CHANGED}'"


def _noticed(action: Action, command: str) -> str:
    """A command of the action that says whether it changed the configuration: that is compared with what it was."""
    own = f" {action.file.path}" if action.file is not None and is_plain_path(action.file.path) else ""
    seen = f"find {_CONFIGURATION}{own} -type f -exec cksum {{}} + 2>/dev/null | sort -u"
    return f'before=$({seen})\n{command}\nstatus=$?\n[ "$before" = "$({seen})" ] || echo \'{_CHANGED}\'\nexit $status'
