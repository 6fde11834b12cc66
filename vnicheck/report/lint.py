"""The lint report for people: coverage first, then a block for each server with errors or warnings, then the rest.

Readable for hundreds of servers: nothing stands of a server that is well, a finding has two lines, notes are counted.
"""

import msgspec
from msgspec import UnsetType

from vnicheck.model.baseline import Earlier
from vnicheck.model.flow import Finding, Severity
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.words import counted, one_line
from vnicheck.report.assumed import Assumed
from vnicheck.report.coverage import Unchecked, coverage_line, findings_line, note_lines, some
from vnicheck.report.page import SEVERITY_STYLES, Page
from vnicheck.report.writer import fix_line

BRIEF = 160
"""Characters of a finding's headline."""
_TOLD: tuple[Severity, ...] = ("error", "warning")


class LintText:
    """Collects servers, then writes them to a page. `explain`: messages in full, fixes, and notes in blocks, too."""

    def __init__(self, *, explain: bool = False) -> None:
        self._explain = explain
        self._blocks: list[InstanceReport] = []
        self._notes: dict[tuple[str, str], list[str]] = {}
        self._muted: dict[tuple[str, str, str], list[str]] = {}
        self._unchecked = Unchecked()
        self._assumed = Assumed()

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's report; of one without findings nothing is kept."""
        self._unchecked.add(instance)
        self._assumed.add(instance)
        told: list[Finding] = []
        for finding in instance.findings:
            if not isinstance(finding.muted, UnsetType):
                key = (finding.rule, finding.muted.expires, finding.muted.reason)
                self._muted.setdefault(key, []).append(instance.name)
            elif finding.is_known:
                continue
            elif self._explain or finding.severity in _TOLD:
                told.append(finding)
            else:
                self._notes.setdefault((finding.rule, finding.name), []).append(instance.name)
        if told:
            self._blocks.append(
                msgspec.structs.replace(instance, findings=tuple(told), flows=(), interfaces=(), problems=())
            )

    def write(self, page: Page, report: Report) -> None:
        """The report."""
        page.prose((coverage_line(report), "bold" if report.complete else "bold yellow"))
        problems = self._unchecked.lines(report)
        if problems:
            page.line()
            page.line(("Not checked", "bold yellow"), "; their state is unknown")
            for line in problems:
                page.prose(line, indent=2, lead=(f"{page.glyphs.question} ", "bold yellow"))
        for note in note_lines(report):
            page.prose(note, lead=("note: ", "dim"))
        for line in self._assumed.lines():
            page.prose(line, lead=("assumed: ", "dim"))
        for instance in self._blocks:
            page.line()
            self._block(page, instance)
        self._closing(page, report)

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
            page.prose(message + times, indent=2, lead=(lead, SEVERITY_STYLES[severity]))
            for fix in findings[0].fixes[:1] if self._explain else ():
                page.prose(fix_line(fix), indent=2 + len(lead), lead=("fix: ", "dim"))

    def _closing(self, page: Page, report: Report) -> None:
        rows = [
            *(("note", f"{rule} {name}", names, "") for (rule, name), names in self._notes.items()),
            *(
                ("muted", rule, names, f" until {expires}: {one_line(reason, 120)}")
                for (rule, expires, reason), names in self._muted.items()
            ),
        ]
        if rows:
            page.line()
        for kind, rule, found, more in rows:
            names = list(dict.fromkeys(found))  # a server may have several
            page.prose(f"{rule}: {counted(len(names), 'server')}, {some(names)}{more}", indent=2, lead=f"{kind:<8} ")
        if not isinstance(report.baseline, UnsetType):
            self._earlier(page, "gone", report.baseline.gone)
            self._earlier(page, "kept", report.baseline.carried)
        page.line()
        clean = not any(report.summary.findings.values()) and report.complete and report.summary.analyzed > 0
        page.prose((findings_line(report), "bold green" if clean else "bold"))
        if self._blocks and not self._explain:
            page.prose("'vnicheck analyze SERVER' shows one in full.")

    def _earlier(self, page: Page, kind: str, findings: tuple[Earlier, ...]) -> None:
        """What of the baseline is no longer there, or could not be looked at."""
        if not findings:
            return
        what = {"gone": "no longer found", "kept": "could not be looked at, and stays in the baseline"}[kind]
        by_rule: dict[str, list[str]] = {}
        for each in findings:
            by_rule.setdefault(each.rule, []).append(each.name)
        page.line()
        for rule, names in sorted(by_rule.items()):
            page.prose(f"{rule} on {some(list(dict.fromkeys(names)))}: {what}", indent=2, lead=f"{kind:<8} ")
