"""What formats are written by: instances go in one by one, the document comes out at the end. Also the JSON format."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Protocol
from urllib.parse import quote

import msgspec
from msgspec import Struct

from vnicheck.model.baseline import Earlier
from vnicheck.model.finding import Finding, Fix, Severity, is_as_severe
from vnicheck.model.report import InstanceReport, Report, encode_instance, encode_report
from vnicheck.report.commands import NOTHING, Carried

IN_MEMORY = 32 << 20
"""How much of a document waits in memory for its head; more waits in a file without a name."""
_CHUNK = 1 << 20


class Writer(Protocol):
    """One format. A writer serves one document."""

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's report."""

    def finish(self, report: Report) -> Iterator[bytes]:
        """The document. `report` has all but the instances."""


class Location(Struct, frozen=True, kw_only=True):
    """A line of a file in the repository that a finding is shown at. `uri` is relative to the repository's root."""

    uri: str
    line: int = 1
    end_line: int | None = None


class Settings(Struct, frozen=True, kw_only=True):
    """What formats need to know beside the report.

    `fail_on`: the severity from which a finding is a failure. `place`: where a finding is shown, by its server's name
    and the names of its VNIs. `scope`: names the run's selection, the same from run to run. `flows`: whether JSON has
    them. `generated_at`: UTC, ISO 8601. `rule_pages`: the URL of the folder of the rules' pages, where they are to be
    had. `servers`: whether Markdown shows every server, which takes its flows. `job_summary`: whether the CI shows a
    summary of its own, with everything that annotations have no room for. `carried`: what suggested commands need.
    """

    fail_on: Severity = "error"
    place: Callable[[InstanceReport | Earlier, Finding | Earlier], Location] = lambda *_: Location(uri="vnicheck.toml")
    scope: str = "vnicheck/"
    flows: bool = True
    generated_at: str = ""
    rule_pages: str | None = None
    job_summary: bool = False
    servers: bool = False
    carried: Carried = NOTHING

    def fails(self, finding: Finding) -> bool:
        """Whether a finding makes the run fail."""
        return finding.counts and is_as_severe(finding.severity, self.fail_on)


def fix_line(fix: Fix) -> str:
    """`policy routing (until the next boot): ip rule add ... && ...`: all of a fix on one line, fit to be pasted."""
    if not fix.commands:
        return fix.title
    until = "" if fix.by_hand is True else " (until the next boot)"  # by hand, the title says how it is kept
    return f"{fix.title}{until}: {' && '.join(fix.commands)}"


def run_name(regions: Sequence[str], vpc: str | None, resource_group: str | None, names: Sequence[str]) -> str:
    """A run's selection as a path, the same from run to run: `vnicheck/us-south/prod/`."""
    filters = [f"group={resource_group}"] if resource_group is not None else []
    filters += [f"name={name}" for name in sorted(names)]
    parts = ["+".join(sorted(regions)), vpc or "all", *filters]
    return "/".join(["vnicheck", *(quote(part, safe="+=*") for part in parts)]) + "/"


class Spool:
    """Bytes that wait until what stands before them is known."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - it lives as long as we do

    def write(self, data: bytes) -> None:
        """Adds to the end."""
        self._file.write(data)

    def __iter__(self) -> Iterator[bytes]:
        """Everything, once."""
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            yield chunk
        self._file.close()


class JsonWriter:
    """`--format json`. With flows byte for byte what `encode_report` makes of the whole report."""

    def __init__(self, settings: Settings) -> None:
        self._flows = settings.flows
        self._spool = Spool()
        self._empty = True

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's report."""
        data = msgspec.json.format(encode_instance(instance, flows=self._flows), indent=2)
        self._spool.write((b"\n    " if self._empty else b",\n    ") + data.replace(b"\n", b"\n    "))
        self._empty = False

    def finish(self, report: Report) -> Iterator[bytes]:
        """The document."""
        head = encode_report(msgspec.structs.replace(report, instances=()))
        if self._empty:
            yield head
            return
        before, after = around(head, "instances")
        yield before
        yield from self._spool
        yield b"\n  " + after


def around(head: bytes, field: str) -> tuple[bytes, bytes]:
    """A document's text up to the opening bracket of its last field's empty list, and from the closing one on."""
    before, found, after = head.rpartition(f'"{field}": []'.encode())
    if not found:
        raise ValueError(f"{field} is no empty list")
    return before + f'"{field}": ['.encode(), b"]" + after
