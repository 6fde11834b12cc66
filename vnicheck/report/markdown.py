"""Markdown: what was checked, a table of findings, and what could not be checked; for comments and job summaries.

Names and messages are remote text: they cannot leave their cell, start a table, or mention anybody.
"""

import re
from collections.abc import Iterator

from msgspec import UnsetType

from vnicheck.model.flow import Finding
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.words import one_line
from vnicheck.report.coverage import Unchecked, coverage_line, findings_line, note_lines
from vnicheck.report.writer import fix_line

_MARKS = {"error": "🔴 error", "warning": "🟡 warning", "note": "🔵 note"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
_MESSAGE = 500


class MarkdownWriter:
    """`--format markdown`. `limit`: about how many bytes the table may have (GitHub cuts what is longer)."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._size = 0
        self._left_out = 0
        self._rows: list[str] = []
        self._muted: list[str] = []
        self._unchecked = Unchecked()

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's findings."""
        self._unchecked.add(instance)
        for finding in instance.findings:
            self._keep(self._muted if finding.is_muted else self._rows, _row(instance, finding))

    def _keep(self, rows: list[str], row: str) -> None:
        size = len(row.encode())
        if self._limit is not None and self._size + size > self._limit:
            self._left_out += 1
            return
        self._size += size
        rows.append(row)

    def finish(self, report: Report) -> Iterator[bytes]:
        """The document."""
        lines = ["## vnicheck", "", f"{escaped(coverage_line(report))} {escaped(findings_line(report))}", ""]
        problems = self._unchecked.lines(report)
        if problems:
            lines += ["**Not everything could be checked**", "", *(f"- {escaped(line)}" for line in problems), ""]
        yield "\n".join(lines).encode()
        yield from _table("", self._rows)
        yield from _table("**Muted**\n\n", self._muted)
        tail: list[str] = []
        if self._left_out:
            tail += [f"{self._left_out} more findings are left out here.", ""]
        if not isinstance(report.baseline, UnsetType):
            tail += [
                f"- gone: {escaped(each.rule)} on {code(each.name)}: {escaped(one_line(each.message, _MESSAGE))}"
                for each in report.baseline.gone
            ]
            tail += [
                f"- not checked, found earlier: {escaped(each.rule)} on {code(each.name)}: "
                f"{escaped(one_line(each.message, _MESSAGE))}"
                for each in report.baseline.carried
            ]
        tail += [f"- note: {escaped(line)}" for line in note_lines(report)]
        tail.append(f"<sub>vnicheck {report.tool.version}, {report.generated_at}</sub>")
        yield ("\n" + "\n".join(tail) + "\n").encode()


def _table(title: str, rows: list[str]) -> Iterator[bytes]:
    if rows:
        yield f"\n{title}| severity | rule | server | what |\n|---|---|---|---|\n".encode()
        yield "".join(rows).encode()


def _row(instance: InstanceReport, finding: Finding) -> str:
    known = " (known)" if finding.is_known else ""
    where = f"{code(instance.name)}{f', {escaped(instance.region)}' if instance.region else ''}"
    what = escaped(one_line(finding.message, _MESSAGE))
    if isinstance(finding.muted, UnsetType):
        fix = f"<br>fix: {escaped(one_line(fix_line(finding.fixes[0]), _MESSAGE))}" if finding.fixes else ""
    else:
        fix = f"<br>until {finding.muted.expires}: {escaped(one_line(finding.muted.reason, _MESSAGE))}"
    return f"| {_MARKS[finding.severity]}{known} | {finding.rule} {escaped(finding.name)} | {where} | {what}{fix} |\n"


def escaped(text: str) -> str:
    """Text as it is, in Markdown: no markup, no mention, no link."""
    plain = _SPECIAL.sub(r"\\\1", one_line(text, 4000))
    return plain.replace("@", "@\u200b").replace("://", ":\u200b//")


def code(text: str) -> str:
    """Text as a code span that may stand in a table."""
    plain = one_line(text, 200).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{plain}{pad}{fence}"
