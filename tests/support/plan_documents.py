"""Plans to render: proved ones, one whose every action is written here, and one whose every name is out to do harm."""

import shlex
from typing import Any

import msgspec

from tests.support.plans import planned
from tests.support.reports import HOSTILE as CONTROLS
from vnicheck.fixes.actions import action_of
from vnicheck.fixes.effects import PatchVni
from vnicheck.fixes.state_filtering import MODE, SPOOFING
from vnicheck.model.plan import Action, File, InstancePlan, Step

HARM = (
    "x'; touch pwned; '",
    '"; touch pwned; "',
    "$(touch pwned)",
    "`touch pwned`",
    "x\ntouch pwned\n",
    "x\rtouch pwned",
    "-x; touch pwned #",
    "*) touch pwned ;; esac; (",
    "{{ lookup('pipe', 'touch pwned') }}",
    "{% set x = lookup('pipe', 'touch pwned') %}{# ",
    '${file("/etc/passwd")} %{ if true }"\n}\nresource "null_resource" "x" {\n  provisioner "local-exec" {',
    "*/ !unsafe\n- hosts: all\n  tasks: [{shell: touch pwned}]\n",
    "../../../../tmp/pwned",
    "/tmp/pwned",
    "..",
    "",
    "%s%n\\n\\c\\0101",
    CONTROLS,
)
"""What shells, HCL, Jinja, YAML, printf and file systems may read as their own."""


def document(case: str = "strict", strategy: Any = "auto", **more: Any) -> InstancePlan:
    """The proved plan of one of tests.support.plans.BROKEN."""
    return msgspec.structs.replace(planned(case, strategy).document, **more)


def with_actions(base: InstancePlan, *actions: Action, **more: Any) -> InstancePlan:
    """The same plan, with these actions behind its own."""
    plan = base.plan
    return msgspec.structs.replace(base, plan=msgspec.structs.replace(plan, actions=(*plan.actions, *actions), **more))


def persist(path: str, text: str, *, mode: int = 0o644, command: str | None = None, undo: str | None = None) -> Action:
    """An action that writes a configuration file."""
    quoted, words = shlex.quote(path), " ".join(shlex.quote(line) for line in text.splitlines())
    step = Step(
        command or f"mkdir -p {shlex.quote(path.rpartition('/')[0])} && printf '%s\\n' {words} >{quoted}",
        undo or f"rm -f {quoted}",
    )
    return Action(
        kind="persist",
        summary=f"{path} keeps it",
        steps=(step,),
        file=File(path=path, text=text, mode=mode),
    )


def patches() -> tuple[Action, ...]:
    """Three patches of two VNIs."""
    effects = (
        PatchVni(vni="vni-id-1", name="vni-1", field=MODE, old="auto", new="disabled"),
        PatchVni(vni="vni-id-2", name="vni-2", field=MODE, old="enabled", new="disabled"),
        PatchVni(vni="vni-id-1", name="vni-1", field=SPOOFING, old=False, new=True),
    )
    return tuple(map(action_of, effects))


def hostile(harm: str) -> InstancePlan:
    """A plan in which everything that the cloud or a guest may name is called so."""
    base = document()
    named = tuple(msgspec.structs.replace(action, summary=harm) for action in base.plan.actions)
    patch = Action(
        kind="vni_patch",
        summary=harm,
        patch={MODE: harm, harm: harm},
        undo_patch={MODE: harm, harm: harm},
        vni=harm,
        vni_name=harm,
    )
    well = msgspec.structs.replace(patch, vni="vni-id-1", patch={MODE: "disabled"}, undo_patch={MODE: "auto"})
    file = msgspec.structs.replace(
        persist("/etc/x.conf", harm, command="true", undo="true"), summary=harm, file=File(path=harm, text=harm)
    )
    inside = msgspec.structs.replace(file, file=File(path=f"/etc/{harm}", text=harm))
    before = tuple(msgspec.structs.replace(flow, local=harm) for flow in base.plan.before)
    plan = msgspec.structs.replace(
        base.plan,
        strategy=harm,
        actions=(*named, file, inside, patch, well),
        before=before,
        side_effects=(harm,),
        iam_actions=(harm,),
        next_boot=(harm,),
        why_not=harm,
    )
    return InstancePlan(id=harm, name=harm, plan=plan, alternatives=(), unfixed=(harm,))
