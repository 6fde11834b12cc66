"""The report for people, in a terminal or a pipe: the answer, the causes, the fix; the rest with --explain."""

from collections.abc import Sequence

from msgspec import UnsetType
from rich.console import Console

from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import SEVERITIES
from vnicheck.model.flow import Flow, Verdict
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.words import counted, one_line
from vnicheck.report.age import collected_words
from vnicheck.report.assumed import Assumed
from vnicheck.report.commands import NOTHING, Carried, Suggested
from vnicheck.report.confidence import confidence_words
from vnicheck.report.details import write_details, write_evidence
from vnicheck.report.drawing import concerned, draw_path, drawn_together
from vnicheck.report.fixes import reboot_words
from vnicheck.report.grouping import ToldCause, by_hand, counts_said, next_boot, nothing_said, told_causes, told_fixes
from vnicheck.report.matrix_text import write_matrix
from vnicheck.report.page import LABEL, SEVERITY_STYLES, Page
from vnicheck.report.verdicts import verdict_lines

BRIEF = 400
"""Characters of a finding's headline."""


def write_text(
    report: Report, console: Console, *, explain: bool = False, quiet: bool = False, carried: Carried = NOTHING
) -> None:
    """Writes the report to a console, no wider than it (and no wider than people read). `explain`: everything. `quiet`:
    the answer alone, and why a server could not be looked at, lines that begin with the server's name. `carried`: what
    suggested commands need.
    """
    page = Page(console, explain=explain)
    if quiet:
        for instance in report.instances:
            _answer(page, instance, lead=f"{instance.name}: ")
            _problems(page, instance, lead=f"{instance.name}: ")
        return
    assumed = Assumed()
    for position, instance in enumerate(report.instances):
        if position:
            page.line()
        write_instance(page, instance, report.generated_at, carried)
        assumed.add(instance)
    for line in assumed.lines() if explain else filter(None, [assumed.short()]):
        page.prose((line, "dim"), lead=("Taken for granted: ", "dim"))
    _closing(page, report)


def write_instance(page: Page, instance: InstanceReport, now: str, carried: Carried = NOTHING) -> None:
    """One server's part of the report. `now`: UTC, ISO 8601; facts have an age."""
    _head(page, instance, now)
    _problems(page, instance)
    _without_ssh(page, instance)
    write_matrix(page, instance)
    told = told_causes(instance)
    for each in told:
        if each.cause.severity != "note":
            _cause(page, instance, each)
    _fixes(page, instance, told, carried)
    for each in told:
        if each.cause.severity == "note":
            _cause(page, instance, each)
    _muted(page, instance)
    if page.explain:
        write_details(page, instance)
    boot = next_boot(instance)
    if boot:
        page.prose((boot, "dim"), lead=("Next boot: ", "dim"))
    _foot(page, instance)


def _head(page: Page, instance: InstanceReport, now: str) -> None:
    kind = "" if instance.kind == "instance" else ", bare metal"
    where = ", ".join(part for part in (f"VPC {instance.vpc.name}", instance.zone) if part) + kind
    page.ends(((instance.name, "bold"), f"  {where}"), (collected_words(instance.collected, now), "dim"))
    _answer(page, instance)
    page.line((page.glyphs.rule * page.width, "dim"))


def _answer(page: Page, instance: InstanceReport, *, lead: str = "") -> None:
    for mark, line in verdict_lines(instance):
        page.prose((line, page.mark_style(mark)), lead=(f"{lead}{page.mark(mark)} ", page.mark_style(mark)))


def _problems(page: Page, instance: InstanceReport, *, lead: str = "") -> None:
    for problem in instance.problems:
        page.prose(f"{problem.code}: {problem.message}", lead=(f"{lead}{page.glyphs.question} ", "bold yellow"))


def _without_ssh(page: Page, instance: InstanceReport) -> None:
    if any(problem.code.startswith("ssh_") for problem in instance.problems):
        page.prose(
            "Without SSH: run what 'vnicheck collect-script' prints on the server's console, save its output, and add "
            f"--guest {instance.name}=FILE.",
            indent=2,
        )
    if instance.problems:
        page.line()


def _cause(page: Page, instance: InstanceReport, told: ToldCause) -> None:
    """A cause with its findings, a line or two each, and the path of those that break something."""
    page.prose((told.cause.title, "bold"), lead=("Also: " if told.cause.severity == "note" else "Cause: ", "bold"))
    for number, finding in told.findings:
        lead = f"{number:>3} {finding.severity.upper():<8} {finding.rule}  "
        said = finding.message if page.explain else one_line(finding.headline, BRIEF)
        page.prose(said, lead=(lead, SEVERITY_STYLES[finding.severity]))
        flows = [instance.flows[index] for index in finding.flows if index < len(instance.flows)]
        doubt = confidence_words(finding, flows)
        if doubt:
            page.prose((doubt, "dim"), indent=6)
        if flows and finding.severity != "note" and told.cause.kind is not CauseKind.LOST_AT_BOOT:
            _path(page, instance, flows)
        if page.explain:
            write_evidence(page, finding.evidence, indent=6)
    for line in by_hand(told, explain=page.explain):
        page.prose(line, indent=6, lead=("fix: ", "dim"))
    page.line()


def _path(page: Page, instance: InstanceReport, flows: list[Flow]) -> None:
    """The drawing of the flows that take the first one's path, and who is concerned; none of what is not known."""
    drawn = drawn_together(flows)
    if not drawn:
        return
    request, reply = draw_path(drawn, page.glyphs)
    style = "red" if flows[0].drops else "yellow"
    if len(request) + len(reply) + 7 <= page.width:
        page.line((f"{request} {reply}", style), indent=6)
    else:
        page.line((request, style), indent=6)
        page.line((reply, style), indent=8)
    if page.explain or _is_part(flows, instance.flows):
        label, said = concerned(drawn, instance.flows)
        for line in said:
            page.prose(line, indent=6, lead=(f"{label:<{LABEL}}", "dim"))


def _is_part(flows: Sequence[Flow], everything: Sequence[Flow]) -> bool:
    """Whether others of the same address, direction and protocols work: then it matters which do not."""
    ways = {(flow.local, flow.direction, flow.protocol) for flow in flows}
    return any(
        flow.verdict is Verdict.DELIVERED and (flow.local, flow.direction, flow.protocol) in ways for flow in everything
    )


def _fixes(page: Page, instance: InstanceReport, told: Sequence[ToldCause], carried: Carried) -> None:
    """The plans; their commands on lines of their own, to be copied."""
    for fix in told_fixes(told):
        page.prose((fix.words, "bold"))
        for command in fix.plan.commands:
            page.line((command, "bold"), indent=6)
        for change in fix.plan.vpc_changes:
            page.prose((change, "bold"), indent=6)
        for each in reboot_words(fix.plan, instance.name, instance.region, carried):
            _suggested(page, each)
        page.line()


def _suggested(page: Page, each: Suggested) -> None:
    """A command that has no room in its sentence has a line of its own, to be copied whole."""
    if len(each.before) + len(each.command) + 4 <= page.width:
        page.prose(each.sentence(), indent=2)
        return
    if each.before:
        page.prose(each.before.rstrip(), indent=2)
    page.line((each.command, "bold"), indent=6)
    page.prose(each.after, indent=2)


def _muted(page: Page, instance: InstanceReport) -> None:
    """The muted findings, a line or two each."""
    muted = [(finding, finding.muted) for finding in instance.findings if not isinstance(finding.muted, UnsetType)]
    if not muted:
        return
    page.line(("Muted", "bold"))
    for finding, by in muted:
        page.prose(f"{finding.message} Until {by.expires}: {by.reason}", indent=2, lead=(f"- {finding.rule} ", "dim"))
    page.line()


def _foot(page: Page, instance: InstanceReport) -> None:
    """What was found, in numbers, and where more is to be had."""
    said = counts_said(instance)
    muted = sum(finding.is_muted for finding in instance.findings)
    if muted:
        said.append(f"{muted} muted")
    first = next(
        (f.rule for severity in SEVERITIES for f in instance.findings if f.counts and f.severity == severity), None
    )
    more = [] if page.explain or not instance.interfaces else ["facts: --explain"]
    if first is not None:
        more.append(f"rules: vnicheck explain {first}")
    page.ends((", ".join(said) or nothing_said(instance),), ("    ".join(more), "dim"))


def _closing(page: Page, report: Report) -> None:
    summary = report.summary
    if summary.instances == 1:
        return
    page.line()
    servers = counted(summary.instances, "server")
    counts = f"{servers}: {summary.analyzed} analyzed, {summary.incomplete} incomplete, {summary.skipped} skipped"
    page.prose((counts, "bold"), "" if report.complete else "; the state of what could not be checked is unknown")
