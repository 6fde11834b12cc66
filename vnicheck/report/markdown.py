"""Markdown, for comments and job summaries: of a server the answer, the matrix, the causes and the fix; of a fleet the
answer, causes by number of servers, and a table of findings.

Names and messages are remote text: they cannot leave their cell, start a table, or mention anybody.
"""

import re
from collections.abc import Iterator, Sequence

from msgspec import UnsetType

from vnicheck.model.finding import SEVERITIES, Finding, Severity
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.words import counted, one_line
from vnicheck.report.age import collected_words, since_words
from vnicheck.report.commands import NOTHING, Carried, Suggested
from vnicheck.report.confidence import confidence_words
from vnicheck.report.coverage import coverage_line, findings_line, note_lines
from vnicheck.report.fixes import reboot_words
from vnicheck.report.fleet import Fleet
from vnicheck.report.grouping import by_hand, next_boot, nothing_said, told_causes, told_fixes
from vnicheck.report.matrix import COLUMNS, WAYS, Cell, Mark, Part, legend, matrix_of
from vnicheck.report.verdicts import verdict_lines
from vnicheck.report.writer import Settings, fix_line

_SIGNS = {"error": "🔴", "warning": "🟡", "note": "🔵"}
MARKS = {"error": "🔴 error", "warning": "🟡 warning", "note": "🔵 note"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
_MESSAGE = 500


class MarkdownWriter:
    """`--format markdown`. `limit`: about how many bytes the table may have (GitHub cuts what is longer)."""

    def __init__(self, settings: Settings, limit: int | None = None) -> None:
        self._settings = settings
        self._limit = limit
        self._rows: dict[Severity, list[str]] = {severity: [] for severity in SEVERITIES}
        self._muted: list[str] = []
        self._servers: list[str] = []
        self._fleet = Fleet(settings.carried)

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's report."""
        self._fleet.add(instance)
        if self._settings.servers:
            self._servers += server_lines(instance, self._settings.generated_at, self._settings.carried)
        for finding in instance.findings:
            rows = self._muted if finding.is_muted else self._rows[finding.severity]
            if finding.is_muted or not self._settings.servers:
                rows.append(_row(instance, finding))

    def finish(self, report: Report) -> Iterator[bytes]:
        """The document."""
        yield "\n".join(["## vnicheck", "", *self._head(report), *self._servers, ""]).encode()
        rows = [row for severity in SEVERITIES for row in self._rows[severity]]
        shown = self._within_limit([*rows, *self._muted])
        yield from _table("", rows[:shown])
        yield from _table("**Muted**\n\n", self._muted[: max(shown - len(rows), 0)])
        tail: list[str] = []
        left_out = len(rows) + len(self._muted) - shown
        if left_out:
            tail += [
                f"{counted(left_out, 'more finding')}, the least severe, {'is' if left_out == 1 else 'are'} left out.",
                "",
            ]
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
        of_fleet = not self._settings.servers
        tail += [f"- {escaped(self._fleet.next_boot)}"] if of_fleet and self._fleet.next_boot else []
        granted = self._fleet.assumed.short()
        tail += [f"- taken for granted: {escaped(granted)}"] if granted else []
        tail += [""] if tail and tail[-1] else []
        since = since_words(self._fleet.collected, report.generated_at) if of_fleet else ""
        tail.append(f"<sub>vnicheck {report.tool.version}, {report.generated_at}{f'; {since}' if since else ''}</sub>")
        yield ("\n" + "\n".join(tail) + "\n").encode()

    def _head(self, report: Report) -> Iterator[str]:
        """The answer, then what makes it, by how many servers; and what could not be checked."""
        if not self._settings.servers or report.summary.instances > 1:
            yield from (f"**{escaped(self._fleet.answer)}**", "")
            causes = self._fleet.causes
            if causes:
                yield from ("| servers | cause | fix |", "|---:|---|---|")
                for each in causes:
                    fix = escaped(each.fix) or ("" if each.severity == "note" else "by hand")
                    example = f"<br>for example: {escaped(each.example)}" if each.example else ""
                    yield f"| {each.servers} | {_SIGNS[each.severity]} {escaped(each.title)}{example} | {fix} |"
                yield ""
            worst = "".join(f"Worst: {code(each.name)}. " for each in self._fleet.worst[:1])
            if self._fleet.next:
                yield from (f"{worst}Next: {', '.join(map(code, self._fleet.next))}", "")
            yield from (f"{escaped(coverage_line(report))} {escaped(findings_line(report))}", "")
        problems = self._fleet.unchecked.lines(report)
        if problems:
            yield from ("**Not everything could be checked**", "", *(f"- {escaped(line)}" for line in problems), "")

    def _within_limit(self, rows: list[str]) -> int:
        """How many of the rows, which are the worst first, there is room for."""
        size = 0
        for number, row in enumerate(rows):
            size += len(row.encode())
            if self._limit is not None and size > self._limit:
                return number
        return len(rows)


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
    return f"| {MARKS[finding.severity]}{known} | {finding.rule} {escaped(finding.name)} | {where} | {what}{fix} |\n"


def server_lines(instance: InstanceReport, now: str, carried: Carried = NOTHING) -> Iterator[str]:
    """One server: the answer, the matrix, causes with their findings, and the fix."""
    where = ", ".join(part for part in (f"VPC {instance.vpc.name}", instance.zone) if part)
    times = collected_words(instance.collected, now)
    yield from (f"### {code(instance.name)}", "", f"{escaped(where)}{f'; {escaped(times)}' if times else ''}", "")
    yield from (f"- {MATRIX_SIGNS[mark]} {escaped(line)}" for mark, line in verdict_lines(instance))
    yield ""
    yield from _matrix(instance)
    told = told_causes(instance)
    for each in told:
        lead = "Also" if each.cause.severity == "note" else "Cause"
        yield from (f"**{lead}: {escaped(each.cause.title)}**", "")
        for number, finding in each.findings:
            flows = [instance.flows[index] for index in finding.flows if index < len(instance.flows)]
            doubt = confidence_words(finding, flows)
            more = f" ({escaped(doubt)})" if doubt else ""
            yield f"{number}. {MARKS[finding.severity]} {finding.rule}: {escaped(finding.message)}{more}"
        yield ""
        advice = by_hand(each, explain=True)
        yield from (*(f"- fix: {escaped(line)}" for line in advice), *([""] if advice else []))
    for fix in told_fixes(told):
        yield from (f"**{escaped(fix.words)}**", "")
        yield from fenced(fix.plan.commands) if fix.plan.commands else ()
        yield from (f"- {escaped(change)}" for change in fix.plan.vpc_changes)
        yield from (
            "",
            *(_suggested(each) for each in reboot_words(fix.plan, instance.name, instance.region, carried)),
            "",
        )
    boot = next_boot(instance)
    yield from (f"Next boot: {escaped(boot)}.", "") if boot else ()
    if not told:
        said = nothing_said(instance)
        yield from (f"{said[0].upper()}{escaped(said[1:])}.", "")


MATRIX_SIGNS = {Mark.WORKS: "✅", Mark.DROPPED: "❌", Mark.AT_RISK: "⚠️", Mark.UNKNOWN: "❔", Mark.CLOSED: "–"}


def _matrix(instance: InstanceReport) -> Iterator[str]:
    rows = matrix_of(instance)
    if not rows:
        return
    yield from ("| address | | " + " | ".join(COLUMNS) + " |", "|---|---|" + "---|" * len(COLUMNS))
    for address in rows:
        for row in address.rows:
            cells = " | ".join(_cell(cell) for cell in row.cells)
            yield f"| {code(f'{address.address} {address.place}'.strip())} | {WAYS[row.direction]} | {cells} |"
    words = legend(rows, instance)
    yield from ("", escaped(words), "") if words else ("",)


def _cell(cell: Cell) -> str:
    """The parts; where they depend on the remote, who fares how."""
    if cell.mixed:
        return "<br>".join(f"{_part(part)}: {escaped(who)}" for part, who in cell.mixed)
    return "<br>".join(map(_part, cell.parts)) or MATRIX_SIGNS[Mark.CLOSED]


def _part(part: Part) -> str:
    return " ".join(word for word in (MATRIX_SIGNS[part.mark], part.what, part.why) if word)


def fenced(lines: Sequence[str], *, indent: int = 0) -> Iterator[str]:
    """A block of code, in an item of a list where it is indented, which nothing in it can end."""
    plain = ["".join(char if char.isprintable() else " " for char in line) for line in lines]
    longest = max((len(run) for line in plain for run in re.findall("`+", line)), default=0)
    fence = "`" * max(longest + 1, 3)
    yield from (f"{' ' * indent}{line}" for line in (fence, *plain, fence))


def escaped(text: str) -> str:
    """Text as it is, in Markdown: no markup, no mention, no link."""
    plain = _SPECIAL.sub(r"\\\1", one_line(text, 4000))
    return plain.replace("@", "@\u200b").replace("://", ":\u200b//")


def code(text: str) -> str:
    """Text as a code span that may stand in a table."""
    return _span(one_line(text, 200).replace("|", "\\|"))


def _suggested(each: Suggested) -> str:
    """A sentence; the command within it as a code span, so that it can be copied as it is."""
    before = f"{escaped(each.before)} " if each.before else ""
    return f"{before}{_span(each.command)} {escaped(each.after)}"


def _span(plain: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{plain}{pad}{fence}"
