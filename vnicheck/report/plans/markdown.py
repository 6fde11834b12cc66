"""Plans as Markdown, for a pull request: what they come to, then each with its commands."""

from collections.abc import Iterator, Sequence

from vnicheck.fixes.vni_changes import patch_line
from vnicheck.model.plan import Action, InstancePlan
from vnicheck.report.markdown import code, escaped, fenced
from vnicheck.report.plans.header import DOES, parts
from vnicheck.report.plans.summary import Scope, alike_line, headline, summary_lines
from vnicheck.report.plans.text import by_shape


def render_markdown(plans: Sequence[InstancePlan], scope: Scope) -> bytes:
    """The document. Names and commands are remote text: they cannot leave their place, or mention anybody."""
    lines = ["## vnicheck fix", "", *(f"- {escaped(line)}" for line in summary_lines(plans, scope)), ""]
    for first, *others in by_shape(plans):
        lines += _plan(first, others)
    return "\n".join(lines).rstrip("\n").encode() + b"\n"


def _plan(instance: InstancePlan, others: Sequence[InstancePlan]) -> Iterator[str]:
    plan = instance.plan
    yield from (f"### {code(instance.name)}: {escaped(headline(plan))}", "")
    if others:
        yield from (escaped(alike_line(others)), "")
    if plan.why_not is not None:
        yield from (escaped(plan.why_not), "")
    for number, action in enumerate(plan.actions, 1):
        yield f"{number}. {escaped(action.summary)}"
        yield from fenced(_lines(action), indent=3)
        yield ""
    for label, items in parts(instance):
        if label != DOES:
            yield from (f"**{escaped(label)}**", "", *(f"- {escaped(item)}" for item in items), "")
    if instance.alternatives:
        yield from ("**Instead**", "")
        for other in instance.alternatives:
            yield f"- {escaped(other.strategy)}: {escaped(other.why_not or '')}"
        yield ""


def _lines(action: Action) -> list[str]:
    """What is to be copied."""
    if action.patch is not None:
        return [patch_line(action.vni, action.patch)]
    if action.file is not None:
        return [f"# {action.file.path}", *action.file.text.splitlines()]
    return list(action.lines) or [line for step in action.steps for line in step.command.splitlines()]
