"""`vnicheck analyze`: from a server's name to a verdict."""

from vnicheck.analysis.server import report_on
from vnicheck.cli.config import load_config, with_max_age
from vnicheck.cli.failure import UserError
from vnicheck.cli.gather import gather_regions
from vnicheck.cli.given import AnalyzeOptions
from vnicheck.cli.observations import with_observations
from vnicheck.cli.output import Destination, check_fail_on, exit_status, tell_notes, write_report
from vnicheck.cli.recent import remember
from vnicheck.system.clock import now


def analyze(given: AnalyzeOptions) -> int:
    """The work of `AnalyzeOptions`: the exit code."""
    destination = Destination(given.display.formats, given.display.output)
    fail_on = check_fail_on(given.display.fail_on)
    config = with_observations(with_max_age(load_config(given.config_file), given.max_age), given.observations)
    if given.local and given.instances:
        raise UserError("--local looks at the instance that this runs on: name no server beside it")
    if not (given.local or given.instances or given.snapshot):
        raise UserError(
            "name the servers, or give --local on the instance itself, or --snapshot PATH for all of its servers"
        )
    observed = gather_regions(
        given.instances or [],
        given.selection,
        given.ssh,
        snapshot=given.snapshot,
        local=given.local,
        no_color=given.display.no_color,
        quiet=given.quiet,
    )
    if given.snapshot is None and not given.local:
        remember(server.name for snapshot in observed.values() for server in snapshot.servers)
    report = report_on(*observed.values(), generated_at=now(), config=config)
    write_report(report, destination, no_color=given.display.no_color, explain=given.explain, quiet=given.quiet)
    tell_notes(config, report, whole=False)
    return exit_status(report, fail_on, allow_incomplete=given.display.allow_incomplete)
