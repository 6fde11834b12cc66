"""GitHub workflow commands: an annotation for each finding, as far as GitHub shows them, the summary before all others.

GitHub keeps ten annotations of a level and step; the table of all findings goes to the job's summary.
"""

from collections.abc import Iterator

from vnicheck.model.flow import Severity
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.words import one_line
from vnicheck.report.coverage import Unchecked, coverage_line, findings_line, note_lines
from vnicheck.report.writer import Settings

SHOWN = 10
"""Annotations of one level that GitHub keeps."""
_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "note": "notice"}
_MESSAGE = 1000


class GithubWriter:
    """`--format github`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: dict[str, list[str]] = {level: [] for level in _LEVELS.values()}
        self._count = dict.fromkeys(_LEVELS.values(), 0)
        self._unchecked = Unchecked()
        self._fails = False

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's findings that count."""
        self._unchecked.add(instance)
        for finding in instance.findings:
            if not finding.counts:
                continue
            self._fails |= self._settings.fails(finding)
            level = _LEVELS[finding.severity]
            self._count[level] += 1
            if len(self._kept[level]) < SHOWN:
                place = self._settings.place(instance, finding)
                title = f"{finding.rule} {finding.name} on {one_line(instance.name, 80)}"
                self._kept[level].append(
                    command(level, finding.message, title=title, file=place.uri, line=str(place.line))
                )

    def finish(self, report: Report) -> Iterator[bytes]:
        """The lines: the summary, what could not be checked, then the findings, the worst first."""
        level = "error" if self._fails else "notice" if report.complete else "warning"
        said = f"{coverage_line(report)} {findings_line(report)}"
        lines = {name: list[str]() for name in _LEVELS.values()}
        lines[level].append(command(level, said, title="vnicheck"))
        unchecked = self._unchecked.lines(report)
        lines["warning"] += [command("warning", line, title="vnicheck: not checked") for line in unchecked]
        lines["notice"] += [command("notice", line, title="vnicheck") for line in note_lines(report)]
        left_out = 0
        for name, kept in self._kept.items():
            left_out += max(len(lines[name]) + self._count[name] - SHOWN, 0)
            lines[name] = [*lines[name], *kept][:SHOWN]
        order = [level, *(name for name in lines if name != level)]
        yield "".join(f"{line}\n" for name in order for line in lines[name]).encode()
        if left_out:
            yield f"{left_out} more are in the job's summary\n".encode()


def command(level: str, message: str, **properties: str) -> str:
    """A workflow command, such as `::error file=main.tf,line=3::message`."""
    named = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{level} {named}::{_data(one_line(message, _MESSAGE))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
