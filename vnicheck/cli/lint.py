"""`vnicheck lint`: every server in scope, for CI."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vnicheck.cli import options
from vnicheck.cli.bundles import Display, Fleet, Selection, Ssh, with_bundles
from vnicheck.cli.clock import now
from vnicheck.cli.config import find_config, load_config
from vnicheck.cli.failure import Exit, UserError
from vnicheck.cli.fleet import live_regions, scope_of, snapshot_regions, spread_over
from vnicheck.cli.input import read_input
from vnicheck.cli.output import (
    Destination,
    check_fail_on,
    console,
    tell_notes,
    worse_or_equal,
    write_bytes,
    write_chunks,
    writer_of,
)
from vnicheck.cli.progress import Progress
from vnicheck.model.words import one_line

if TYPE_CHECKING:
    from vnicheck.analysis.lint import Outcome
    from vnicheck.collect.scope import Scope
    from vnicheck.model.baseline import Baseline
    from vnicheck.model.flow import Severity
    from vnicheck.model.report import Report
    from vnicheck.report.lint import LintText
    from vnicheck.report.writer import Settings, Writer

MAX_BASELINE = 256 << 20
READ_FLOWS = {"json", "html", "sarif"}
"""The formats that need a server's flows."""
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
SUMMARY_LIMIT = 900_000
"""Bytes of the table in a job's summary; GitHub takes a MiB of a step."""


@with_bundles
def lint(
    selection: Selection,
    fleet: Fleet,
    ssh: Ssh,
    display: Display,
    snapshot: options.SnapshotFile = None,
    config_file: options.ConfigFile = None,
    baseline: options.BaselineFile = None,
    write_baseline: options.WriteBaseline = None,
    min_coverage: options.MinCoverage = None,
    terraform: options.Terraform = None,
    explain: options.Explain = False,
    workers: options.Workers = None,
    dask: options.Dask = None,
) -> int:
    """Check every server in scope that has several interfaces, for CI; fails on errors."""
    destination = Destination(display.formats, display.output)
    fail_on = check_fail_on(display.fail_on) or "error"
    if terraform is not None and not terraform.is_dir():
        raise UserError(f"--terraform {terraform}: there is no such folder")
    path = find_config(config_file)
    config = load_config(path)
    known = _read_baseline(baseline)

    from vnicheck.analysis.lint import lint as run
    from vnicheck.report.places import Anchors, repository_root
    from vnicheck.report.writer import Settings

    ids = frozenset(each.id for each in known.findings) if known is not None else frozenset()
    scope = scope_of(selection, fleet, config, ids)
    if snapshot is None:
        regions = live_regions(selection, fleet, ssh, scope, no_color=display.no_color)
    else:
        regions = snapshot_regions(snapshot, selection, fleet, scope)
    anchors = Anchors(repository_root(Path.cwd()), config=config, config_file=path, terraform=terraform)
    settings = Settings(fail_on=fail_on, place=anchors.place, scope=_run_name(selection, fleet, scope, snapshot))
    outputs = _Outputs(destination, settings, explain=explain, no_color=display.no_color)
    total = sum(region.chosen for region in regions)
    with spread_over(total, workers, dask) as spread, Progress("analyzing", no_color=display.no_color) as progress:
        progress.expect(total)
        outcome = run(
            regions,
            config,
            generated_at=now(),
            writers=outputs.writers,
            earlier=known,
            whole=scope.is_whole and snapshot is None,  # a snapshot may hold a few servers that somebody named
            on_done=lambda instance: progress.done(instance.id, ok=instance.status == "analyzed"),
            spread=spread,
            flows=any(name in READ_FLOWS for name, _ in destination.wanted),
        )
    outputs.write(outcome.report)
    if write_baseline is not None:
        _write_baseline(outcome, write_baseline, known)
    for note in anchors.notes:
        print(f"vnicheck: note: {one_line(note, 300)}", file=sys.stderr)
    whole = scope.is_whole and not any(region.single_homed or region.problems for region in regions)
    tell_notes(config, outcome.report, outcome.seen, whole=whole)
    return _exit_status(outcome.report, fail_on, display.allow_incomplete, min_coverage)


class _Outputs:
    """What is written where. A job's summary on GitHub comes with the format of that name."""

    def __init__(self, destination: Destination, settings: "Settings", *, explain: bool, no_color: bool) -> None:
        self._no_color = no_color
        self._explain = explain
        self._wanted: list[tuple[Any, Path | None]] = []
        for name, place in destination.wanted:
            self._wanted.append((self._made(name, settings), place))
        self._summary: Writer | None = None
        if any(name == "github" for name, _ in destination.wanted) and os.environ.get(STEP_SUMMARY):
            from vnicheck.report.markdown import MarkdownWriter

            self._summary = MarkdownWriter(limit=SUMMARY_LIMIT)

    def _made(self, name: str, settings: "Settings") -> "Writer | LintText":
        if name != "text":
            return writer_of(name, settings)
        from vnicheck.report.lint import LintText

        return LintText(explain=self._explain)

    @property
    def writers(self) -> "list[Writer]":
        """All that take servers."""
        taking = [cast("Writer", writer) for writer, _ in self._wanted]
        return taking if self._summary is None else [*taking, self._summary]

    def write(self, report: "Report") -> None:
        """Everything, files before what goes to stdout: who reads that may look for them."""
        for writer, place in sorted(self._wanted, key=lambda wanted: wanted[1] is None):
            if hasattr(writer, "finish"):
                write_chunks(writer.finish(report), place)
            else:
                self._write_text(writer, report, place)
        if self._summary is not None:
            _append(Path(os.environ[STEP_SUMMARY]), b"".join(self._summary.finish(report)))

    def _write_text(self, text: "LintText", report: "Report", place: Path | None) -> None:
        from rich.console import Console

        from vnicheck.report.text import Page

        if place is None:
            text.write(Page(console(no_color=self._no_color), explain=self._explain), report)
            return
        page = io.StringIO()
        screen = Console(file=page, width=100, color_system=None, highlight=False, markup=False)
        text.write(Page(screen, explain=self._explain), report)
        write_bytes(page.getvalue().encode(), place)


def _append(place: Path, data: bytes) -> None:
    try:
        with place.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise UserError(f"cannot write the job's summary {place}: {error.strerror}") from error


def _read_baseline(place: Path | None) -> "Baseline | None":
    if place is None:
        return None
    from vnicheck.model.baseline import BaselineError, decode_baseline

    try:
        return decode_baseline(read_input(place, MAX_BASELINE))
    except BaselineError as error:
        raise UserError(f"{place}: {error}") from error


def _write_baseline(outcome: "Outcome", place: Path, known: "Baseline | None") -> None:
    from vnicheck.model.baseline import encode_baseline

    write_bytes(encode_baseline(outcome.baseline), place)
    count = len(outcome.baseline.findings)
    print(
        f"vnicheck: note: {one_line(place, 300)} now holds {count} finding{'' if count == 1 else 's'}", file=sys.stderr
    )
    if known is None and not outcome.report.complete:
        print("vnicheck: note: what could not be checked is not in it, and will be new once it can be", file=sys.stderr)


def _run_name(selection: Selection, fleet: Fleet, scope: "Scope", snapshot: Path | None) -> str:
    """The run's selection as a path, the same from run to run: `vnicheck/us-south/prod/`."""
    from urllib.parse import quote

    regions = sorted(selection.region or ()) or ["all" if fleet.all_regions else "snapshot" if snapshot else ""]
    default = os.environ.get("IBMCLOUD_REGION") or os.environ.get("IC_REGION") or "default"
    filters = [f"group={scope.resource_group}"] if scope.resource_group is not None else []
    filters += [f"name={name}" for name in sorted(scope.names)]
    parts = ["+".join(regions) or default, scope.vpc or "all", *filters]
    return "/".join(["vnicheck", *(quote(part, safe="+=*") for part in parts)]) + "/"


def _exit_status(report: "Report", fail_on: "Severity", allow_incomplete: bool, min_coverage: float | None) -> Exit:
    """The contract's exit code."""
    found = [severity for severity, number in report.summary.findings.items() if number]
    if any(worse_or_equal(severity, fail_on) for severity in found):
        return Exit.FINDINGS
    if report.complete:
        return Exit.OK
    if min_coverage is not None:
        percent = report.coverage.percent if report.coverage else None
        return Exit.OK if percent is not None and percent >= min_coverage else Exit.INCOMPLETE
    return Exit.OK if allow_incomplete else Exit.INCOMPLETE
