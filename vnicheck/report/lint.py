"""The lint report for people: one screen that says how many servers are broken, by what, what to do, and what could not
be checked. Servers one by one with --verbose, the worst first.
"""

import msgspec
from msgspec import UnsetType

from vnicheck.model.baseline import Earlier
from vnicheck.model.finding import SEVERITIES, Finding, Severity
from vnicheck.model.grouped import grouped
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.words import counted, one_line
from vnicheck.report.age import since_words
from vnicheck.report.commands import NOTHING, Carried
from vnicheck.report.confidence import confidence_words
from vnicheck.report.coverage import coverage_line, findings_line, note_lines, some
from vnicheck.report.fleet import CauseCount, Fleet, problem_lines
from vnicheck.report.matrix import Mark
from vnicheck.report.page import LABEL, SEVERITY_STYLES, Page
from vnicheck.report.writer import fix_line

BRIEF = 160
"""Characters of a finding's headline."""
_TOLD: tuple[Severity, ...] = ("error", "warning")
_MARKS = {"error": Mark.DROPPED, "warning": Mark.AT_RISK, "note": Mark.CLOSED}


class LintText:
    """Collects servers, then writes them to a page. `verbose`: a block for each server with errors or warnings.
    `explain`: the same, with messages in full, fixes, and notes, too. `quiet`: the answer alone. `carried`: what a
    suggested command needs.
    """

    def __init__(
        self, *, explain: bool = False, verbose: bool = False, quiet: bool = False, carried: Carried = NOTHING
    ) -> None:
        self._explain = explain
        self._verbose = verbose or explain
        self._quiet = quiet
        self._blocks: list[InstanceReport] = []
        self._muted: dict[tuple[str, str, str], list[str]] = {}
        self._fleet = Fleet(carried)

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's report; of one without findings nothing is kept."""
        self._fleet.add(instance)
        for finding in instance.findings:
            if not isinstance(finding.muted, UnsetType):
                key = (finding.rule, finding.muted.expires, finding.muted.reason)
                self._muted.setdefault(key, []).append(instance.name)
        told = [each for each in instance.findings if each.counts and (self._explain or each.severity in _TOLD)]
        if told and self._verbose:
            self._blocks.append(
                msgspec.structs.replace(instance, findings=tuple(told), flows=(), interfaces=(), problems=(), causes=())
            )

    def write(self, page: Page, report: Report) -> None:
        """The report."""
        clean = not any(report.summary.findings.values()) and report.complete and report.summary.analyzed > 0
        page.prose((self._fleet.answer, "bold green" if clean else "bold"))
        if self._quiet:
            return
        for cause in self._fleet.causes:
            self._cause(page, cause)
        self._not_checked(page, report)
        self._blocks.sort(key=lambda each: SEVERITIES.index(each.findings[0].severity))
        for instance in self._blocks:
            page.line()
            self._block(page, instance)
        self._next(page)
        self._closing(page, report)

    def _cause(self, page: Page, cause: CauseCount) -> None:
        mark = _MARKS[cause.severity]
        fix = f"fix: {cause.fix}" if cause.fix else "by hand" if cause.by_hand else ""
        page.row(
            (page.mark(mark), page.mark_style(mark)),
            (f"{cause.servers:>4}", "bold"),
            cause.title,
            (fix, "dim"),
        )
        if cause.example:
            page.prose((f"for example: {cause.example}", "dim"), indent=9)

    def _not_checked(self, page: Page, report: Report) -> None:
        mark = (page.mark(Mark.UNKNOWN), "bold yellow")
        for servers, what, names in problem_lines(self._fleet.problems):
            page.row(mark, (f"{servers:>4}", "bold"), f"not checked: {what}", "")
            page.prose((some(names), "dim"), indent=9)
        for line in self._fleet.unchecked.region_lines(report):
            page.prose(line, indent=2, lead=(f"{page.glyphs.question} ", "bold yellow"))
        for note in note_lines(report):
            page.prose(note, lead=("note: ", "dim"))

    def _block(self, page: Page, instance: InstanceReport) -> None:
        where = ", ".join(one_line(part, 60) for part in (instance.region, f"VPC {instance.vpc.name}") if part)
        status = "" if instance.status == "analyzed" else f"  ({instance.status})"
        page.prose((instance.name, "bold"), f"  {where}", (status, "yellow"))
        alike: dict[tuple[Severity, str, str], list[Finding]] = {}
        for finding in instance.findings:
            message = finding.message if self._explain else one_line(finding.headline, BRIEF)
            alike.setdefault((finding.severity, finding.rule, message), []).append(finding)
        for (severity, rule, message), findings in alike.items():
            lead = f"{severity:<8} {rule}  "
            times = f" ({len(findings)} paths)" if len(findings) > 1 else ""
            doubt = confidence_words(findings[0], ())
            page.prose(
                message + times + (f"; {doubt}" if doubt else ""), indent=2, lead=(lead, SEVERITY_STYLES[severity])
            )
            for fix in findings[0].fixes[:1] if self._explain else ():
                page.prose(fix_line(fix), indent=2 + len(lead), lead=("fix: ", "dim"))

    def _next(self, page: Page) -> None:
        """The worst servers, and what to type."""
        worst = self._fleet.worst
        if not self._fleet.next:
            return
        page.line()
        said = [
            f"{one_line(each.name, 60)} ({each.broken} of {counted(each.addresses, 'address', 'addresses')})"
            for each in worst
        ]
        if said:
            page.prose(", ".join(said), lead=("Worst   ", "bold"))
        together = "    ".join(self._fleet.next)
        lines = [together] if len(together) + LABEL <= page.width else self._fleet.next
        for number, line in enumerate(lines):
            page.line((" " * LABEL if number else "Next    ", "bold"), line)

    def _closing(self, page: Page, report: Report) -> None:
        if self._muted:
            page.line()
        for (rule, expires, reason), found in self._muted.items():
            names = list(dict.fromkeys(found))  # a server may have several
            more = f" until {expires}: {one_line(reason, 120)}"
            page.prose(f"{rule}: {counted(len(names), 'server')}, {some(names)}{more}", indent=2, lead="muted    ")
        if not isinstance(report.baseline, UnsetType):
            self._earlier(page, "gone", report.baseline.gone)
            self._earlier(page, "kept", report.baseline.carried)
        page.line()
        page.prose((f"{findings_line(report)} {coverage_line(report)}", "bold" if report.complete else "bold yellow"))
        if not self._verbose and self._fleet.causes:
            rule = self._fleet.causes[0].rule
            page.prose((f"servers one by one: --verbose    rules: vnicheck explain {rule}", "dim"))
        since = since_words(self._fleet.collected, report.generated_at)
        for line in filter(None, [self._fleet.next_boot, since]):
            page.prose((line, "dim"))
        for line in self._fleet.assumed.lines() if self._explain else filter(None, [self._fleet.assumed.short()]):
            page.prose((line, "dim"), lead=("Taken for granted: ", "dim"))

    def _earlier(self, page: Page, kind: str, findings: tuple[Earlier, ...]) -> None:
        """What of the baseline is no longer there, or could not be looked at."""
        if not findings:
            return
        what = {"gone": "no longer found", "kept": "could not be looked at, and stays in the baseline"}[kind]
        by_rule = grouped((each.rule, each.name) for each in findings)
        page.line()
        for rule, names in sorted(by_rule.items()):
            page.prose(f"{rule} on {some(list(dict.fromkeys(names)))}: {what}", indent=2, lead=f"{kind:<8} ")
