"""Every format, as it stands: of the article's first check, of a server that nobody reached, and of a fleet of sixty.

After a change that is meant: VNICHECK_UPDATE_GOLDEN=1 pytest tests/report, and read the difference.
"""

import io
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.support import reports
from tests.support.fleet import BROKEN, NOW, TIMEOUT, WELL, member, regions
from vnicheck import __version__
from vnicheck.analysis.lint import lint
from vnicheck.cli.output import writer_of
from vnicheck.model.config import Config
from vnicheck.model.report import Report
from vnicheck.model.snapshot import Server
from vnicheck.report.lines import JsonLinesWriter
from vnicheck.report.lint import LintText
from vnicheck.report.page import Page
from vnicheck.report.writer import Settings

GOLDEN = Path(__file__).parent / "golden_formats"
FORMATS = {
    "text": "txt",
    "json": "json",
    "jsonl": "jsonl",
    "markdown": "md",
    "html": "html",
    "sarif": "sarif",
    "junit": "xml",
    "github": "github.txt",
}


def sixty() -> Iterator[Server]:
    """Three in four broken, most of the others well, two out of reach, one stopped."""
    for number in range(60):
        if number % 4:
            yield member(f"web-{number:02}", BROKEN)
        elif number in (12, 36):
            yield member(f"gateway-{number}", problems=(TIMEOUT,))
        elif number == 24:
            yield member("asleep", status="stopped")
        else:
            yield member(f"db-{number:02}", WELL)


@cache
def unreachable() -> Report:
    several = reports.several()
    (alone,) = [each for each in several.instances if each.name == "unreached"]
    return reports.around(alone)


def of_report(name: str, report: Report) -> bytes:
    settings = Settings(generated_at=report.generated_at, servers=True)
    if name == "text":
        return reports.render(report, 80).encode()
    return _written(name, settings, report.instances, report)


@cache
def of_fleet() -> dict[str, bytes]:
    """Every format of one run."""
    settings = Settings(generated_at=NOW, flows=False)
    text = LintText()
    lines: list[bytes] = []
    writers: dict[str, Any] = {
        name: JsonLinesWriter(lines.append, settings) if name == "jsonl" else writer_of(name, settings)
        for name in FORMATS
        if name != "text"
    }
    report = lint(regions(*sixty()), Config(), generated_at=NOW, writers=[text, *writers.values()]).report
    page = io.StringIO()
    text.write(Page(Console(file=page, width=80, color_system=None, highlight=False)), report)
    return {name: _finished(each, report, lines) for name, each in writers.items()} | {"text": page.getvalue().encode()}


def _written(name: str, settings: Settings, instances: Any, report: Report) -> bytes:
    lines: list[bytes] = []
    writer: Any = JsonLinesWriter(lines.append, settings) if name == "jsonl" else writer_of(name, settings)
    for instance in instances:
        writer.add(instance)
    return _finished(writer, report, lines)


def _finished(writer: Any, report: Report, lines: list[bytes]) -> bytes:
    if isinstance(writer, JsonLinesWriter):
        writer.close(report)
        return b"".join(lines)
    return b"".join(writer.finish(report))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("what", ["check-1", "unreachable", "fleet-60"])
def test_golden(what: str, name: str) -> None:
    path = GOLDEN / f"{what}.{FORMATS[name]}"
    if what == "fleet-60":
        shown = of_fleet()[name]
    else:
        shown = of_report(name, reports.demo(1) if what == "check-1" else unreachable())
    shown = shown.replace(__version__.encode(), b"VERSION")
    if os.environ.get("VNICHECK_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(shown)
    assert shown == path.read_bytes()


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{what}.{end}" for what in ("check-1", "unreachable", "fleet-60") for end in FORMATS.values()}
    assert {path.name for path in GOLDEN.iterdir()} == expected
