"""`vnicheck lint`: every server in scope, for CI."""

import os
from functools import partial
from pathlib import Path

from rich.console import Console

from vnicheck.analysis.dask_cluster import ClusterError
from vnicheck.analysis.lint import LintResult, Taker
from vnicheck.analysis.lint import lint as lint_regions
from vnicheck.analysis.mutes import unnamed
from vnicheck.analysis.processes import WorkersLostError
from vnicheck.analysis.spread import spread_over
from vnicheck.cli.bundles import Fleet
from vnicheck.cli.carried import carried
from vnicheck.cli.config import find_config, here, load_config, with_max_age
from vnicheck.cli.failure import Exit, UserError, ended_by
from vnicheck.cli.gather import requested
from vnicheck.cli.given import LintOptions
from vnicheck.cli.observations import with_observations
from vnicheck.cli.output import (
    Destination,
    check_fail_on,
    emit_to,
    finish,
    tell_notes,
    write_bytes,
    write_page,
    writer_of,
)
from vnicheck.cli.recent import remember
from vnicheck.cli.terminal import Terminal, tell
from vnicheck.cloud.urls import is_http, shown_url
from vnicheck.collect.errors import CollectError
from vnicheck.collect.scope import ServerFilter, regions_in_scope
from vnicheck.model.baseline import Baseline, BaselineError, decode_baseline, encode_baseline
from vnicheck.model.report import Report
from vnicheck.model.snapshot import Server
from vnicheck.model.words import counted, one_line
from vnicheck.report.lines import JsonLinesWriter
from vnicheck.report.lint import LintText
from vnicheck.report.markdown import MarkdownWriter
from vnicheck.report.page import Page
from vnicheck.report.places import Anchors, repository_root
from vnicheck.report.writer import Settings, Writer, run_name
from vnicheck.system.clock import now
from vnicheck.system.files import UnreadableError, read_named

MAX_BASELINE = 256 << 20
READ_FLOWS = {"html", "sarif"}
"""The formats that need a server's flows; JSON does with --flows."""
JSON = {"json", "jsonl"}
_STATUS = {"clean": Exit.OK, "findings": Exit.FINDINGS, "incomplete": Exit.INCOMPLETE}
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
RULE_PAGES = "VNICHECK_RULE_PAGES"
SUMMARY_LIMIT = 900_000
"""Bytes of the table in a job's summary; GitHub takes a MiB of a step."""


def lint(given: LintOptions) -> int:
    """The work of `LintOptions`: the exit code."""
    destination = Destination(given.display.formats, given.display.output)
    fail_on = check_fail_on(given.display.fail_on) or "error"
    if given.terraform is not None and not given.terraform.is_dir():
        raise UserError(f"--terraform {given.terraform}: there is no such folder")
    path = find_config(given.config_file)
    config = with_observations(with_max_age(load_config(given.config_file), given.max_age), given.observations)
    known = _read_baseline(given.baseline)
    scope = ServerFilter(
        vpc=given.selection.vpc,
        resource_group=given.selection.resource_group,
        names=tuple(given.fleet.name or ()),
        multi_homed_only=given.fleet.multi_homed_only,
        expect=config.expect,
        earlier=frozenset(each.id for each in known.findings) if known is not None else frozenset(),
    )
    request = requested((), given.selection, given.ssh, fleet=given.fleet, snapshot=given.snapshot)
    terminal = Terminal(ask_pass=given.ssh.ask_pass, no_color=given.display.no_color, quiet=given.quiet)
    with ended_by(CollectError):
        regions = regions_in_scope(request, scope, terminal)
    if given.snapshot is None:
        remember(server.name for region in regions for server in region.servers if isinstance(server, Server))
    anchors = Anchors(repository_root(here()), config=config, config_file=path, terraform=given.terraform)
    name = run_name(
        given.selection.region or _default_regions(given.fleet, given.snapshot),
        scope.vpc,
        scope.resource_group,
        scope.names,
    )
    generated_at = now()
    settings = Settings(
        fail_on=fail_on,
        place=anchors.place,
        scope=name,
        flows=given.flows,
        generated_at=generated_at,
        rule_pages=_rule_pages(),
        job_summary=bool(os.environ.get(STEP_SUMMARY)),
        carried=carried(
            given.selection,
            given.ssh,
            fleet=given.fleet,
            snapshot=given.snapshot,
            config_file=given.config_file,
            observations=given.observations,
        ),
    )
    outputs = _Outputs(destination, settings, given)
    total = sum(len(region.servers) for region in regions)
    if given.dask is not None and given.workers is not None:
        raise UserError("--workers and --dask exclude each other")
    with (
        ended_by(ClusterError, WorkersLostError),
        spread_over(total, given.workers, given.dask) as spread,
        terminal.watch("analyzing") as progress,
    ):
        progress.expect(total)
        outcome = lint_regions(
            regions,
            config,
            generated_at=generated_at,
            writers=outputs.writers,
            earlier=known,
            whole=scope.is_whole and given.snapshot is None,  # a snapshot may hold a few servers that somebody named
            on_done=lambda instance: progress.done(instance.id, ok=instance.status == "analyzed"),
            spread=spread,
            plans=given.plans,
            flows=known is not None
            or given.write_baseline is not None
            or any(name in READ_FLOWS or (given.flows and name in JSON) for name, _ in destination.wanted),
        )
    outputs.write(outcome.report)
    if given.write_baseline is not None:
        _write_baseline(outcome, given.write_baseline, known)
    for note in anchors.notes:
        terminal.note(note)
    # servers that an expectation names are in scope whatever they have
    whole = scope.is_whole and not any(region.single_homed or region.problems for region in regions)
    tell_notes(config, outcome.report, outcome.seen, whole=whole, expectations_too=scope.is_whole)
    allow_incomplete = given.display.allow_incomplete
    status = _STATUS[outcome.judged(fail_on, allow_incomplete=allow_incomplete, min_coverage=given.min_coverage)]
    if status == Exit.OK and scope.is_whole and not allow_incomplete and unnamed(config, outcome.seen):
        return Exit.INCOMPLETE  # told above: an expectation holds of no server
    return status


class _Outputs:
    """What is written where. A job's summary on GitHub comes with the format of that name."""

    def __init__(self, destination: Destination, settings: Settings, given: LintOptions) -> None:
        self._given = given
        self._wanted = [(self._writer(name, place, settings), place) for name, place in destination.wanted]
        self._summary: MarkdownWriter | None = None
        if any(name == "github" for name, _ in destination.wanted) and os.environ.get(STEP_SUMMARY):
            self._summary = MarkdownWriter(settings, limit=SUMMARY_LIMIT)

    def _writer(self, name: str, place: Path | None, settings: Settings) -> Writer | LintText | JsonLinesWriter:
        match name:
            case "text":
                given = self._given
                return LintText(
                    explain=given.explain, verbose=given.verbose, quiet=given.quiet, carried=settings.carried
                )
            case "jsonl":
                return JsonLinesWriter(emit_to(place), settings)
            case _:
                return writer_of(name, settings)

    @property
    def writers(self) -> list[Taker]:
        """All that take servers."""
        taking: list[Taker] = [writer for writer, _ in self._wanted]
        return taking if self._summary is None else [*taking, self._summary]

    def write(self, report: Report) -> None:
        """Everything, files before what goes to stdout: who reads that may look for them."""
        for writer, place in sorted(self._wanted, key=lambda wanted: wanted[1] is None):
            if isinstance(writer, LintText):
                write_page(partial(_write_text, writer, report), place, no_color=self._given.display.no_color)
            else:
                finish(writer, report, place)
        if self._summary is not None:
            _append(Path(os.environ[STEP_SUMMARY]), b"".join(self._summary.finish(report)))


def _write_text(text: LintText, report: Report, screen: Console) -> None:
    text.write(Page(screen), report)


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


def _write_baseline(outcome: LintResult, place: Path, known: Baseline | None) -> None:
    write_bytes(encode_baseline(outcome.baseline), place, told=False)
    tell(f"note: {one_line(place, 300)} now holds {counted(len(outcome.baseline.findings), 'finding')}")
    if known is None and not outcome.report.complete:
        tell("note: what could not be checked is not in it, and will be new once it can be")


def _rule_pages() -> str | None:
    """Where the rules' pages are to be had; the action says so of its own repository."""
    pages = os.environ.get(RULE_PAGES) or None
    if pages is not None and not (is_http(shown_url(pages)) and pages.isprintable() and pages.isascii()):
        raise UserError(f"{RULE_PAGES} is no URL like https://HOST/docs/rules")
    return pages


def _default_regions(fleet: Fleet, snapshot: Path | None) -> tuple[str, ...]:
    """What stands for the regions where none is named."""
    if fleet.all_regions or snapshot is not None:
        return ("all" if fleet.all_regions else "snapshot",)
    return (os.environ.get("IBMCLOUD_REGION") or os.environ.get("IC_REGION") or "default",)
