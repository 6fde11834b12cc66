"""Where results go: one or more formats, to stdout or to files."""

import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from vnicheck.cli.failure import Exit, UserError
from vnicheck.system.files import replace_file

if TYPE_CHECKING:
    from rich.console import Console

    from vnicheck.model.config import Config
    from vnicheck.model.flow import Severity
    from vnicheck.model.report import InstanceReport, Report
    from vnicheck.report.writer import Settings, Writer

FORMATS = ("text", "json", "markdown", "html", "sarif", "junit", "github")
SOON = 14
"""Days before a mute expires in which that is told."""
_RANK = {"note": 0, "warning": 1, "error": 2}


class Destination:
    """Formats with the file that each goes to (None: stdout), from `-f text -f json=report.json -o FILE`."""

    def __init__(self, formats: Sequence[str] | None, output: Path | None) -> None:
        self.wanted: list[tuple[str, Path | None]] = []
        for spec in formats or ["text"]:
            name, equals, file = spec.partition("=")
            if name not in FORMATS or (equals and not file):
                raise UserError(f"--format {spec!r}: write {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, or FORMAT=FILE")
            self.wanted.append((name, Path(file) if equals else output))
        places = [place for _, place in self.wanted]
        if len(set(places)) != len(places):
            raise UserError("two formats go to one place: give all but one a file, as in -f json=report.json")


def write_report(
    report: "Report",
    destination: Destination,
    *,
    no_color: bool,
    explain: bool = False,
    settings: "Settings | None" = None,
) -> None:
    """Writes the report in every format that was asked for. `explain`: the text with all evidence."""
    for name, place in destination.wanted:
        if name == "text":
            _write_text(report, place, no_color=no_color, explain=explain)
            continue
        writer = writer_of(name, settings)
        for instance in report.instances:
            writer.add(instance)
        write_chunks(writer.finish(report), place)


def writer_of(name: str, settings: "Settings | None" = None) -> "Writer":
    """What writes a format other than text."""
    from vnicheck.report.writer import JsonWriter, Settings

    if name == "json":
        return JsonWriter()
    if name == "html":
        from vnicheck.report.html import HtmlWriter

        return HtmlWriter()
    if name == "markdown":
        from vnicheck.report.markdown import MarkdownWriter

        return MarkdownWriter()
    chosen = Settings() if settings is None else settings
    if name == "sarif":
        from vnicheck.report.sarif import SarifWriter

        return SarifWriter(chosen)
    if name == "junit":
        from vnicheck.report.junit import JunitWriter

        return JunitWriter(chosen)
    from vnicheck.report.github import GithubWriter

    return GithubWriter(chosen)


def write_bytes(data: bytes, place: Path | None) -> None:
    """Writes to stdout, or to a file that appears whole or not at all."""
    write_chunks([data], place)


def write_chunks(chunks: Iterable[bytes], place: Path | None) -> None:
    """Writes what comes, one after the other, as `write_bytes` does."""
    if place is None:
        sys.stdout.flush()
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    try:
        if place.exists() and not place.is_file():
            with place.open("wb") as file:  # a pipe or a device: nothing to replace
                file.writelines(chunks)
        else:
            replace_file(place, chunks)
    except OSError as error:
        raise UserError(f"cannot write {place}: {error.strerror}") from error


def console(*, stderr: bool = False, no_color: bool = False) -> "Console":
    """A terminal or a pipe. Styles only on a terminal, and not where NO_COLOR is set."""
    from rich.console import Console

    plain = no_color or os.environ.get("NO_COLOR", "") != ""
    return Console(
        stderr=stderr,
        no_color=plain or None,
        color_system=None if plain else "auto",
        highlight=False,
        markup=False,
    )


def exit_status(report: "Report", fail_on: str | None, *, allow_incomplete: bool) -> Exit:
    """The contract's exit code for a report; muted findings do not count."""
    if fail_on is not None:
        counted = [finding for instance in report.instances for finding in instance.findings if finding.counts]
        if any(worse_or_equal(finding.severity, fail_on) for finding in counted):
            return Exit.FINDINGS
    return Exit.OK if report.complete or allow_incomplete else Exit.INCOMPLETE


def worse_or_equal(severity: str, other: str) -> bool:
    """Whether a severity is at or above another."""
    return _RANK[severity] >= _RANK[other]


def tell_notes(
    config: "Config", report: "Report", instances: "Sequence[InstanceReport] | None" = None, *, whole: bool
) -> None:
    """One line on stderr for each expectation or mute that does nothing, and each mute that expires soon. `instances`:
    the servers, where the report holds none. `whole`: they are all that the configuration is for, so that a table that
    means none of them is told too.
    """
    from vnicheck.analysis.mutes import notes
    from vnicheck.cli.clock import days_after
    from vnicheck.model.naming import Day

    today = Day(report.generated_at[:10])
    soon = Day(days_after(today, SOON))
    for note in notes(
        config, report.instances if instances is None else instances, today=today, soon=soon, whole=whole
    ):
        print(f"vnicheck: note: {note}", file=sys.stderr)


def check_fail_on(fail_on: str | None) -> "Severity | None":
    """The severity. Refuses one that does not exist."""
    if fail_on is not None and fail_on not in _RANK:
        raise UserError(f"--fail-on {fail_on!r}: write error, warning or note")
    return cast("Severity | None", fail_on)


def write_page(write: "Callable[[Console], None]", place: Path | None, *, no_color: bool) -> None:
    """Writes text to stdout as the terminal is, or plainly to a file."""
    if place is None:
        write(console(no_color=no_color))
        return
    from rich.console import Console

    page = io.StringIO()
    write(Console(file=page, width=100, color_system=None, highlight=False, markup=False))
    write_bytes(page.getvalue().encode(), place)


def _write_text(report: "Report", place: Path | None, *, no_color: bool, explain: bool) -> None:
    from vnicheck.report.text import write_text

    write_page(lambda screen: write_text(report, screen, explain=explain), place, no_color=no_color)
