"""Where results go: one or more formats, to stdout or to files."""

import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vnicheck.cli.failure import Exit, UserError
from vnicheck.files import replace_file

if TYPE_CHECKING:
    from rich.console import Console

    from vnicheck.model.config import Config
    from vnicheck.model.report import Report

FORMATS = ("text", "json")
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
                raise UserError(f"--format {spec!r}: write {' or '.join(FORMATS)}, or FORMAT=FILE")
            self.wanted.append((name, Path(file) if equals else output))
        places = [place for _, place in self.wanted]
        if len(set(places)) != len(places):
            raise UserError("two formats go to one place: give all but one a file, as in -f json=report.json")


def write_report(report: "Report", destination: Destination, *, no_color: bool, explain: bool = False) -> None:
    """Writes the report in every format that was asked for. `explain`: the text with all evidence."""
    for name, place in destination.wanted:
        if name == "json":
            from vnicheck.model.report import encode_report
            from vnicheck.model.words import shown_json

            write_bytes(shown_json(encode_report(report)), place)
        else:
            _write_text(report, place, no_color=no_color, explain=explain)


def write_bytes(data: bytes, place: Path | None) -> None:
    """Writes to stdout, or to a file that appears whole or not at all."""
    if place is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        if place.exists() and not place.is_file():
            place.write_bytes(data)  # a pipe or a device: nothing to replace
        else:
            replace_file(place, data)
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
        threshold = _RANK[fail_on]
        counted = [finding for instance in report.instances for finding in instance.findings if finding.counts]
        if any(_RANK[finding.severity] >= threshold for finding in counted):
            return Exit.FINDINGS
    return Exit.OK if report.complete or allow_incomplete else Exit.INCOMPLETE


def tell_notes(config: "Config", report: "Report", *, whole: bool) -> None:
    """One line on stderr for each expectation or mute that does nothing, and each mute that expires soon. `whole`: the
    report is on all that the configuration is for, so that one that means none of its servers is told too.
    """
    from vnicheck.cli.clock import days_after
    from vnicheck.model.naming import Day
    from vnicheck.rules.mutes import notes

    today = Day(report.generated_at[:10])
    soon = Day(days_after(today, SOON))
    for note in notes(config, report.instances, today=today, soon=soon, whole=whole):
        print(f"vnicheck: note: {note}", file=sys.stderr)


def check_fail_on(fail_on: str | None) -> None:
    """Refuses a severity that does not exist."""
    if fail_on is not None and fail_on not in _RANK:
        raise UserError(f"--fail-on {fail_on!r}: write error, warning or note")


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
