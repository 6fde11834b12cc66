"""`vnicheck lint`: every server in scope, for CI."""

import os
from pathlib import Path
from typing import cast

from vnicheck.analysis.dask_cluster import ClusterError
from vnicheck.analysis.lint import Outcome
from vnicheck.analysis.lint import lint as lint_regions
from vnicheck.analysis.many import WorkersLostError
from vnicheck.analysis.mutes import unnamed
from vnicheck.analysis.spread import spread_over
from vnicheck.cli import options
from vnicheck.cli.bundles import Display, Fleet, Selection, Ssh, with_bundles
from vnicheck.cli.config import find_config, load_config, with_max_age
from vnicheck.cli.failure import Exit, UserError, ended_by
from vnicheck.cli.gather import requested
from vnicheck.cli.output import (
    Destination,
    check_fail_on,
    tell_notes,
    worse_or_equal,
    write_bytes,
    write_chunks,
    write_page,
    writer_of,
)
from vnicheck.cli.terminal import Terminal, tell
from vnicheck.collect.errors import CollectError
from vnicheck.collect.scope import Scope, regions_in_scope
from vnicheck.model.baseline import Baseline, BaselineError, decode_baseline, encode_baseline
from vnicheck.model.flow import Severity
from vnicheck.model.report import Report
from vnicheck.model.words import one_line
from vnicheck.report.lint import LintText
from vnicheck.report.markdown import MarkdownWriter
from vnicheck.report.places import Anchors, repository_root
from vnicheck.report.text import Page
from vnicheck.report.writer import Settings, Writer, run_name
from vnicheck.system.clock import now
from vnicheck.system.files import UnreadableError, read_named

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
    max_age: options.MaxAge = None,
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
    config = with_max_age(load_config(config_file), max_age)
    known = _read_baseline(baseline)
    scope = Scope(
        vpc=selection.vpc,
        resource_group=selection.resource_group,
        names=tuple(fleet.name or ()),
        multi_homed_only=fleet.multi_homed_only,
        expect=config.expect,
        earlier=frozenset(each.id for each in known.findings) if known is not None else frozenset(),
    )
    request = requested((), selection, ssh, fleet=fleet, snapshot=snapshot)
    terminal = Terminal(ask_pass=ssh.ask_pass, no_color=display.no_color)
    with ended_by(CollectError):
        regions = regions_in_scope(request, scope, terminal)
    anchors = Anchors(repository_root(Path.cwd()), config=config, config_file=path, terraform=terraform)
    name = run_name(selection.region or _default_regions(fleet, snapshot), scope.vpc, scope.resource_group, scope.names)
    settings = Settings(fail_on=fail_on, place=anchors.place, scope=name)
    outputs = _Outputs(destination, settings, explain=explain, no_color=display.no_color)
    total = sum(len(region.servers) for region in regions)
    if dask is not None and workers is not None:
        raise UserError("--workers and --dask exclude each other")
    with (
        ended_by(ClusterError, WorkersLostError),
        spread_over(total, workers, dask) as spread,
        terminal.watch("analyzing") as progress,
    ):
        progress.expect(total)
        outcome = lint_regions(
            regions,
            config,
            generated_at=now(),
            writers=outputs.writers,
            earlier=known,
            whole=scope.is_whole and snapshot is None,  # a snapshot may hold a few servers that somebody named
            on_done=lambda instance: progress.done(instance.id, ok=instance.status == "analyzed"),
            spread=spread,
            flows=known is not None
            or write_baseline is not None
            or any(name in READ_FLOWS for name, _ in destination.wanted),
        )
    outputs.write(outcome.report)
    if write_baseline is not None:
        _write_baseline(outcome, write_baseline, known)
    for note in anchors.notes:
        terminal.note(note)
    # servers that an expectation names are in scope whatever they have
    whole = scope.is_whole and not any(region.single_homed or region.problems for region in regions)
    tell_notes(config, outcome.report, outcome.seen, whole=whole, expectations_too=scope.is_whole)
    status = _exit_status(outcome.report, fail_on, display.allow_incomplete, min_coverage)
    if status == Exit.OK and scope.is_whole and not display.allow_incomplete and unnamed(config, outcome.seen):
        return Exit.INCOMPLETE  # told above: an expectation holds of no server
    return status


class _Outputs:
    """What is written where. A job's summary on GitHub comes with the format of that name."""

    def __init__(self, destination: Destination, settings: Settings, *, explain: bool, no_color: bool) -> None:
        self._no_color = no_color
        self._explain = explain
        self._wanted: list[tuple[Writer | LintText, Path | None]] = [
            (LintText(explain=explain) if name == "text" else writer_of(name, settings), place)
            for name, place in destination.wanted
        ]
        self._summary: MarkdownWriter | None = None
        if any(name == "github" for name, _ in destination.wanted) and os.environ.get(STEP_SUMMARY):
            self._summary = MarkdownWriter(limit=SUMMARY_LIMIT)

    @property
    def writers(self) -> list[Writer]:
        """All that take servers."""
        taking = [cast(Writer, writer) for writer, _ in self._wanted]
        return taking if self._summary is None else [*taking, self._summary]

    def write(self, report: Report) -> None:
        """Everything, files before what goes to stdout: who reads that may look for them."""
        for writer, place in sorted(self._wanted, key=lambda wanted: wanted[1] is None):
            if isinstance(writer, LintText):
                write_page(
                    lambda screen, text=writer: text.write(Page(screen, explain=self._explain), report),  # type: ignore[misc]
                    place,
                    no_color=self._no_color,
                )
            else:
                write_chunks(writer.finish(report), place)
        if self._summary is not None:
            _append(Path(os.environ[STEP_SUMMARY]), b"".join(self._summary.finish(report)))


def _append(place: Path, data: bytes) -> None:
    try:
        with place.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise UserError(f"cannot write the job's summary {place}: {error.strerror}") from error


def _read_baseline(place: Path | None) -> Baseline | None:
    if place is None:
        return None
    with ended_by(UnreadableError):
        data = read_named(place, MAX_BASELINE)
    try:
        return decode_baseline(data)
    except BaselineError as error:
        raise UserError(f"{place}: {error}") from error


def _write_baseline(outcome: Outcome, place: Path, known: Baseline | None) -> None:
    write_bytes(encode_baseline(outcome.baseline), place)
    count = len(outcome.baseline.findings)
    tell(f"note: {one_line(place, 300)} now holds {count} finding{'' if count == 1 else 's'}")
    if known is None and not outcome.report.complete:
        tell("note: what could not be checked is not in it, and will be new once it can be")


def _default_regions(fleet: Fleet, snapshot: Path | None) -> tuple[str, ...]:
    """What stands for the regions where none is named."""
    if fleet.all_regions or snapshot is not None:
        return ("all" if fleet.all_regions else "snapshot",)
    return (os.environ.get("IBMCLOUD_REGION") or os.environ.get("IC_REGION") or "default",)


def _exit_status(report: Report, fail_on: Severity, allow_incomplete: bool, min_coverage: float | None) -> Exit:
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
