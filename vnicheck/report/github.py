"""GitHub workflow commands: an annotation for each finding, as far as GitHub shows them, the summary first.

GitHub keeps ten annotations of a level and step; the table of all findings goes to the job's summary. Where there is
none, what is not shown follows as a group of plain lines.
"""

from collections.abc import Iterator

from vnicheck.model.finding import Severity
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
        self._plain: dict[str, list[str]] = {level: [] for level in _LEVELS.values()}
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
            title = f"{finding.rule} {finding.name} on {one_line(instance.name, 80)}"
            self._plain[level].append(_plain(f"{finding.severity}: {title}: {finding.message}"))
            if len(self._kept[level]) < SHOWN:
                place = self._settings.place(instance, finding)
                self._kept[level].append(
                    command(level, finding.message, title=title, file=place.uri, line=str(place.line))
                )

    def finish(self, report: Report) -> Iterator[bytes]:
        """The lines: the summary, then what could not be checked and the findings, the worst first. What annotations
        have no room for is in the job's summary; where there is none, in a group of plain lines.
        """
        level = "error" if self._fails else "notice" if report.complete else "warning"
        summary = command(level, f"{coverage_line(report)} {findings_line(report)}", title="vnicheck")
        lines = {name: list[str]() for name in _LEVELS.values()}
        lines["warning"] += [
            command("warning", each, title="vnicheck: not checked") for each in self._unchecked.lines(report)
        ]
        lines["notice"] += [command("notice", line, title="vnicheck") for line in note_lines(report)]
        left_out: list[str] = []
        yield f"{summary}\n".encode()
        for name, told in lines.items():
            room = max(SHOWN - (name == level) - len(told), 0)
            yield "".join(f"{line}\n" for line in (*told, *self._kept[name][:room])).encode()
            left_out += self._plain[name][room:]
        if left_out and self._settings.job_summary:
            yield f"{len(left_out)} more are in the job's summary\n".encode()
        elif left_out:
            yield "".join(
                f"{line}\n" for line in (f"::group::{len(left_out)} more", *left_out, "::endgroup::")
            ).encode()


def command(level: str, message: str, **properties: str) -> str:
    """A workflow command, such as `::error file=main.tf,line=3::message`."""
    named = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{level} {named}::{_data(one_line(message, _MESSAGE))}"


def _plain(text: str) -> str:
    """A line of the log. The runner takes `##[` for a command wherever it stands."""
    return one_line(text, _MESSAGE).replace("##[", "## [")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
