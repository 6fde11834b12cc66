"""Plans for people, in a terminal or a pipe: what is done, what that fixes, what it costs, and what was not chosen."""

from collections.abc import Sequence

from rich.console import Console

from vnicheck.findings.terms import DROPS
from vnicheck.fixes.vni_changes import value_word
from vnicheck.model.flow import Direction, Drop, Flow
from vnicheck.model.plan import NO_STRATEGY, Action, InstancePlan, Plan
from vnicheck.model.words import counted, listed
from vnicheck.report.reach import protocols, remotes
from vnicheck.report.text import Page

_SECURITY = "SECURITY: "


def write_plans(plans: Sequence[InstancePlan], console: Console, *, servers: int) -> None:
    """Writes the plans. `servers`: how many were looked at; those without a plan have nothing broken."""
    page = Page(console)
    for position, each in enumerate(plans):
        if position:
            page.line()
        write_plan(page, each)
    healthy = servers - len(plans)
    if healthy and not plans:
        page.prose("nothing is broken that is meant to work: there is nothing to fix")
    elif healthy > 0:
        page.line()
        page.prose(f"nothing to fix on {counted(healthy, 'other server')}")


def write_plan(page: Page, instance: InstancePlan) -> None:
    """One server's plan, and the alternatives in a line each."""
    plan = instance.plan
    page.prose((instance.name, "bold"), "  ", _headline(plan))
    page.line((page.glyphs.rule * page.width, "dim"))
    if plan.strategy == NO_STRATEGY:
        page.prose(plan.why_not or "", indent=2)
        page.line()
    for number, action in enumerate(plan.actions, 1):
        _action(page, number, action)
    if plan.actions:
        page.line()
        _fixed(page, plan)
        _listed(page, "Costs", plan.side_effects)
        _needs(page, plan.iam_actions)
        _listed(page, "After the next boot", plan.next_boot)
    _listed(page, "Stays broken", instance.unfixed)
    _listed(page, "Rules of others", instance.agents)
    _alternatives(page, instance.alternatives)


def _headline(plan: Plan) -> tuple[str, str]:
    broken = plan.fixed + plan.remaining
    classes = f"class{'es' if broken != 1 else ''} of broken flows"
    if plan.strategy == NO_STRATEGY:
        return f"no fix for {broken} {classes}", "bold yellow"
    if plan.remaining:
        return f"{plan.strategy} fixes {plan.fixed} of {broken} {classes}", "bold yellow"
    whole = "all " if broken > 1 else ""
    return f"{plan.strategy} fixes {whole}{broken} {classes}, and breaks none", "bold green"


def _action(page: Page, number: int, action: Action) -> None:
    page.prose(action.summary, indent=2, lead=(f"{number:>2}. ", "bold"))
    if action.kind == "persist" and action.file is not None:
        page.line((action.file.path, "bold"), indent=6)
        for line in action.file.text.splitlines():
            page.line((f"| {line}", "dim"), indent=6)
    elif action.lines:
        for line in action.lines:
            page.line((f"| {line}", "dim"), indent=6)
    elif action.patch is None:
        for step in action.steps:
            for line in step.command.splitlines():
                page.line((line, "bold"), indent=6)
    else:
        body = ", ".join(f"{field} = {value_word(value)}" for field, value in action.patch.items())
        page.line((f"PATCH virtual_network_interfaces/{action.vni}: {body}", "bold"), indent=6)


def _fixed(page: Page, plan: Plan) -> None:
    """The fixed flows, those that meet the same drop in one sentence."""
    groups: dict[tuple[Direction, str, Drop], list[Flow]] = {}
    for index in plan.fixed_flows:
        flow = plan.before[index]
        groups.setdefault((flow.direction, flow.local, flow.drops[0]), []).append(flow)
    page.line(("Fixes", "bold"))
    for (direction, local, drop), flows in groups.items():
        way = {
            Direction.INBOUND: f"to {local}, from",
            Direction.OUTBOUND: f"opened from {local}, to",
            Direction.TRANSIT: f"through the server to {local}, from",
        }[direction]
        sentence = (
            f"{listed(protocols(flows))} {way} {remotes(flows, plan.before)}: dropped by {DROPS[drop.by].agent} at "
            f"{drop.at} until now"
        )
        page.prose(sentence, indent=2, lead=(f"{page.glyphs.tick} ", "green"))
    page.line()


def _listed(page: Page, label: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    page.line((label, "bold"))
    for line in lines:
        style = "bold red" if line.startswith(_SECURITY) else ""
        page.prose((line, style), indent=2, lead="- ")
    page.line()


def _needs(page: Page, actions: Sequence[str]) -> None:
    """IAM actions on lines of their own: they are to be copied."""
    if actions:
        page.line(("Needs these IAM actions", "bold"))
        for action in actions:
            page.line(action, indent=2)
        page.line()


def _alternatives(page: Page, alternatives: Sequence[Plan]) -> None:
    if not alternatives:
        return
    page.line(("Instead", "bold"))
    for other in alternatives:
        page.prose(other.why_not or "", indent=2, lead=(f"{other.strategy}: ", "bold"))
