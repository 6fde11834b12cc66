"""`vnicheck analyze`: from a server's name to a verdict."""

from typing import Annotated

import typer

from vnicheck.analysis.server import report_on
from vnicheck.cli import options
from vnicheck.cli.bundles import Display, Selection, Ssh, with_bundles
from vnicheck.cli.config import load_config, with_max_age
from vnicheck.cli.failure import UserError
from vnicheck.cli.gather import gather_regions
from vnicheck.cli.output import Destination, check_fail_on, exit_status, tell_notes, write_report
from vnicheck.system.clock import now


@with_bundles
def analyze(
    instances: Annotated[
        list[str] | None, typer.Argument(metavar="INSTANCE", help="Name, id, CRN, or one of its addresses.")
    ] = None,
    *,
    selection: Selection,
    ssh: Ssh,
    display: Display,
    local: options.Local = False,
    snapshot: options.SnapshotFile = None,
    config_file: options.ConfigFile = None,
    max_age: options.MaxAge = None,
    explain: options.Explain = False,
) -> int:
    """Read the VPC, collect the guest over SSH, predict every flow, and report what is broken and why."""
    destination = Destination(display.formats, display.output)
    check_fail_on(display.fail_on)
    config = with_max_age(load_config(config_file), max_age)
    if bool(instances) is local:
        raise UserError("name the servers, or give --local on the instance itself")
    observed = gather_regions(
        instances or [], selection, ssh, snapshot=snapshot, local=local, no_color=display.no_color
    )
    report = report_on(*observed.values(), generated_at=now(), config=config)
    write_report(report, destination, no_color=display.no_color, explain=explain)
    tell_notes(config, report, whole=False)
    return exit_status(report, display.fail_on, allow_incomplete=display.allow_incomplete)
