"""Plans for people, in a terminal or a pipe: what is done, what that fixes, what it costs, and what was not chosen."""

import io
from collections.abc import Sequence

import msgspec
from rich.console import Console

from vnicheck.findings.terms import DROPS
from vnicheck.fixes.vni_changes import patch_line
from vnicheck.model.finding import Fix
from vnicheck.model.flow import Direction
from vnicheck.model.grouped import grouped
from vnicheck.model.plan import NO_STRATEGY, Action, InstancePlan, Plan
from vnicheck.model.words import listed
from vnicheck.report.page import WIDEST, Page
from vnicheck.report.plans.header import AT_RISK, said_if
from vnicheck.report.plans.summary import Scope, alike_line, fixed_flows, headline, result_of, shape, summary_lines
from vnicheck.report.reach import protocols, remotes

_SECURITY = "SECURITY: "


def write_plans(plans: Sequence[InstancePlan], console: Console, scope: Scope) -> None:
    """Writes the plans, those of one shape once, and what they come to."""
    page = Page(console)
    for first, *others in by_shape(plans):
        write_plan(page, first)
        if others:
            page.line()
            page.prose(alike_line(others), indent=2)
        page.line()
    for line in summary_lines(plans, scope):
        page.prose(line)


def by_shape(plans: Sequence[InstancePlan]) -> list[list[InstancePlan]]:
    """Plans that differ in nothing but the servers' own addresses and VNIs, together."""
    alike = grouped((shape(_plain(each), each), each) for each in plans)
    return list(alike.values())


def _plain(instance: InstancePlan) -> str:
    """All that is said of a server but its name."""
    text = io.StringIO()
    page = Page(Console(file=text, width=WIDEST, color_system=None, highlight=False, markup=False))
    write_plan(page, msgspec.structs.replace(instance, name=""))
    return text.getvalue()


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
        _listed(page, "At the next boot", plan.next_boot)
    _listed(page, "Stays broken", instance.unfixed)
    _by_hand(page, instance.by_hand)
    _listed(page, "Rules of others", instance.agents)
    _alternatives(page, instance.alternatives)


def _headline(plan: Plan) -> tuple[str, str]:
    well = result_of(plan) == "fixed" and plan.at_boot == "kept"
    return headline(plan), "bold green" if well else "bold yellow"


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
        page.line((patch_line(action.vni, action.patch), "bold"), indent=6)


def _fixed(page: Page, plan: Plan) -> None:
    """The fixed flows, those that meet the same drop in one sentence."""
    page.line(("Fixes", "bold"))
    for (direction, local, drop), flows in fixed_flows(plan).items():
        way = {
            Direction.INBOUND: f"to {local}, from",
            Direction.OUTBOUND: f"opened from {local}, to",
            Direction.TRANSIT: f"through the server to {local}, from",
        }[direction]
        until_now = AT_RISK if drop is None else f"dropped by {DROPS[drop.by].agent} at {drop.at}"
        sentence = f"{listed(protocols(flows))} {way} {remotes(flows, plan.before)}: {until_now} until now"
        page.prose(sentence, indent=2, lead=(f"{page.glyphs.tick} ", "green"))
    for condition in plan.fixed_if:
        page.prose(said_if(condition), indent=2, lead=(f"{page.glyphs.question} ", "yellow"))
    page.line()


def _listed(page: Page, label: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    page.line((label, "bold"))
    for line in lines:
        style = "bold red" if line.startswith(_SECURITY) else ""
        page.prose((line, style), indent=2, lead="- ")
    page.line()


def _by_hand(page: Page, fixes: Sequence[Fix]) -> None:
    if fixes:
        page.line(("By hand", "bold"))
        for fix in fixes:
            page.prose(fix.title, indent=2, lead="- ")
            for command in fix.commands:
                page.line((command, "bold"), indent=6)
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
    for why, strategies in grouped((other.why_not or "", other.strategy) for other in alternatives).items():
        page.prose(why, indent=2, lead=(f"{listed(strategies)}: ", "bold"))
