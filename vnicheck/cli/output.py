"""Where results go: one or more formats, to stdout or to files."""

import errno
import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from rich.console import Console

from vnicheck.analysis.mutes import notes
from vnicheck.cli.failure import Exit, UserError
from vnicheck.cli.terminal import console, tell
from vnicheck.model.config import Config
from vnicheck.model.finding import SEVERITIES, Severity, is_as_severe
from vnicheck.model.naming import Day
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.words import one_line
from vnicheck.report.commands import NOTHING, Carried
from vnicheck.report.lines import Emit, JsonLinesWriter
from vnicheck.report.text import write_text
from vnicheck.report.writer import Settings, Writer
from vnicheck.system.clock import days_after
from vnicheck.system.files import PRIVATE, PUBLIC, may_replace, open_file, replace_file
from vnicheck.system.interrupts import written_whole

FORMATS = ("text", "json", "jsonl", "markdown", "html", "sarif", "junit", "github")
_WRITERS = {
    "json": ("writer", "JsonWriter", True),
    "markdown": ("markdown", "MarkdownWriter", True),
    "html": ("html", "HtmlWriter", False),
    "sarif": ("sarif", "SarifWriter", True),
    "junit": ("junit", "JunitWriter", True),
    "github": ("github", "GithubWriter", True),
}
"""Module of `report`, class, whether it takes the settings. Loaded when asked for: Jinja is slow."""
STDOUT = Path("-")
"""What `-o` calls it."""
_ROOM = 1 << 16
"""Bytes that must find room where a file is to be written."""
SOON = 14
"""Days before a mute expires in which that is told."""


class Destination:
    """Formats with the file that each goes to (None: stdout), from `-f text -f json=report.json -o FILE`. Raises
    UserError.
    """

    known: Sequence[str] = FORMATS
    choices = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    example = "report.json"

    def __init__(self, formats: Sequence[str] | None, output: Path | None) -> None:
        self.wanted: list[tuple[str, Path | None]] = []
        output = None if output == STDOUT else output
        for spec in formats or ["text"]:
            name, equals, file = spec.partition("=")
            if name not in self.known or (equals and not file):
                raise UserError(f"--format {spec!r}: write {self.choices}, or FORMAT=FILE")
            place = Path(file) if equals else output
            self.wanted.append((name, None if place == STDOUT else place))
        places = [place for _, place in self.wanted]
        if len(set(places)) != len(places):
            raise UserError(f"two formats go to one place: give all but one a file, as in -f json={self.example}")

    def require(self, known: Sequence[str], what: str) -> None:
        """Refuses formats other than the `known` ones, in which `what` (`a listing`) is written. Raises UserError."""
        for name, _ in self.wanted:
            if name not in known:
                written = f"{', '.join(known[:-1])} or {known[-1]}"
                raise UserError(f"--format {name!r}: {what} is written as {written}")


def write_report(
    report: Report,
    destination: Destination,
    *,
    no_color: bool,
    explain: bool = False,
    quiet: bool = False,
    settings: Settings | None = None,
    text: Callable[[Console], None] | None = None,
    carried: Carried = NOTHING,
) -> None:
    """Writes the report in every format that was asked for. `explain`: the text with all evidence. `quiet`: the text
    with the answer alone. `text`: what writes another text than the report's. `carried`: what suggested commands need.
    """
    write = text or (lambda screen: write_text(report, screen, explain=explain, quiet=quiet, carried=carried))
    for name, place in destination.wanted:
        if name == "text":
            write_page(write, place, no_color=no_color)
            continue
        given = settings or Settings(generated_at=report.generated_at, servers=True, carried=carried)
        writer = JsonLinesWriter(emit_to(place), given) if name == "jsonl" else writer_of(name, given)
        for instance in report.instances:
            writer.add(instance)
        finish(writer, report, place)


def writer_of(name: str, settings: Settings) -> Writer:
    """What writes a format that is one document, at the end."""
    module, kind, takes_settings = _WRITERS[name]
    make = getattr(import_module(f"vnicheck.report.{module}"), kind)
    writer: Writer = make(settings) if takes_settings else make()
    return writer


def finish(writer: Writer | JsonLinesWriter, report: Report, place: Path | None) -> None:
    """Writes what a writer made of the servers that it was given; `report` is the document around them."""
    if isinstance(writer, JsonLinesWriter):
        writer.close(report)
        tell_written(place)
    else:
        write_chunks(writer.finish(report), place)


def emit_to(place: Path | None, *, private: bool = False) -> Emit:
    """What writes lines to stdout or a file as they come, for whoever follows it; `private` as in `write_bytes`. Raises
    UserError.
    """
    if place is None:
        file: IO[bytes] = sys.stdout.buffer
    else:
        try:
            file = open_file(place, mode=PRIVATE if private else PUBLIC)
        except OSError as error:
            raise UserError(f"cannot write {place}: {error.strerror}") from error

    def emit(line: bytes) -> None:
        with written_whole():
            file.write(line)
            file.flush()

    return emit


def require_place(place: Path) -> None:
    """Whether a file can be written there later. Raises UserError."""
    try:
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if may_replace(place):
            with TemporaryFile(dir=place.parent) as file:
                file.write(bytes(_ROOM))
        elif not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise UserError(f"cannot write {place}: {error.strerror}; nothing was changed") from error


def write_bytes(data: bytes, place: Path | None, *, private: bool = False, told: bool = True) -> None:
    """Writes to stdout, or to a file that appears whole or not at all; `private`: for this user alone to read. Without,
    the umask decides, for steps of a pipeline that run as other users read reports.
    """
    write_chunks([data], place, private=private, told=told)


def write_chunks(chunks: Iterable[bytes], place: Path | None, *, private: bool = False, told: bool = True) -> None:
    """Writes what comes, one after the other, as `write_bytes` does. `told`: says so on a terminal."""
    if place is None:
        with written_whole():
            sys.stdout.flush()
            sys.stdout.buffer.writelines(chunks)
            sys.stdout.buffer.flush()
        return
    try:
        with written_whole():
            if may_replace(place):
                replace_file(place, chunks, mode=PRIVATE if private else PUBLIC)
            else:
                with place.open("wb") as file:
                    file.writelines(chunks)
    except OSError as error:
        raise UserError(f"cannot write {place}: {error.strerror}") from error
    if told:
        tell_written(place)


def tell_written(place: Path | None) -> None:
    """A line on stderr where somebody watches it: nothing else would say that all went well."""
    if place is not None and sys.stderr.isatty():
        tell(f"note: wrote {one_line(place, 300)}")


def exit_status(report: Report, fail_on: Severity | None, *, allow_incomplete: bool) -> Exit:
    """The contract's exit code for a report; muted findings do not count."""
    if fail_on is not None:
        counted = [finding for instance in report.instances for finding in instance.findings if finding.counts]
        if any(is_as_severe(finding.severity, fail_on) for finding in counted):
            return Exit.FINDINGS
    return Exit.OK if report.complete or allow_incomplete else Exit.INCOMPLETE


def tell_notes(
    config: Config,
    report: Report,
    instances: Sequence[InstanceReport] | None = None,
    *,
    whole: bool,
    expectations_too: bool = False,
) -> None:
    """One line on stderr for each expectation or mute that does nothing, and each mute that expires soon. `instances`:
    the servers, where the report holds none. `whole`: they are all that the configuration is for, so that a table that
    means none of them is told too.
    """
    today = Day(report.generated_at[:10])
    soon = Day(days_after(today, SOON))
    for note in notes(
        config,
        report.instances if instances is None else instances,
        today=today,
        soon=soon,
        whole=whole,
        expectations_too=expectations_too,
    ):
        tell(f"note: {note}")


def check_fail_on(fail_on: str | None) -> Severity | None:
    """The severity. Refuses one that does not exist."""
    if fail_on is not None and fail_on not in SEVERITIES:
        raise UserError(f"--fail-on {fail_on!r}: write error, warning or note")
    return fail_on


def write_document(
    wanted: Iterable[tuple[str, Path | None]],
    text: Callable[[Console], None],
    encoders: Mapping[str, Callable[[], bytes]],
    *,
    no_color: bool,
) -> None:
    """Writes a document to each place: as text, or as one of the `encoders`, which go by their formats, makes it."""
    for name, place in wanted:
        if name == "text":
            write_page(text, place, no_color=no_color)
        else:
            write_bytes(encoders[name](), place)


def write_page(write: Callable[[Console], None], place: Path | None, *, no_color: bool, private: bool = False) -> None:
    """Writes text to stdout as the terminal is, or plainly to a file; `private` as in `write_bytes`."""
    if place is None:
        write(console(no_color=no_color))
        return
    page = io.StringIO()
    write(Console(file=page, width=100, color_system=None, highlight=False, markup=False))
    write_bytes(page.getvalue().encode(), place, private=private)
