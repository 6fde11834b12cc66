"""`vnicheck diff`: what changed between two snapshots."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from vnicheck.analysis.diff import RANK, is_worse
from vnicheck.analysis.snapshot_diff import compare_snapshots
from vnicheck.cli import options
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import Exit, UserError, ended_by
from vnicheck.cli.output import Destination, check_fail_on, write_bytes, write_page
from vnicheck.cli.terminal import tell
from vnicheck.collect.errors import CollectError
from vnicheck.collect.stored import open_stored
from vnicheck.model.diff import encode_diff
from vnicheck.model.naming import Day
from vnicheck.report.diff import write_diff
from vnicheck.system.clock import now

FORMATS = ("text", "json")


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The earlier snapshot: a file, or a folder.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The later one.")],
    config_file: options.ConfigFile = None,
    formats: options.Formats = None,
    output: options.Output = None,
    no_color: options.NoColor = False,
    fail_on: Annotated[
        str | None,
        typer.Option("--fail-on", metavar="error|warning|note", help="Exit 1 if a finding this bad or worse is new."),
    ] = None,
    allow_incomplete: options.AllowIncomplete = False,
) -> int:
    """Compare two snapshots: findings that are new or gone, and flows that fare differently."""
    destination = Destination(formats, output)
    for name, _ in destination.wanted:
        if name not in FORMATS:
            raise UserError(f"--format {name!r}: a comparison is written as {' or '.join(FORMATS)}")
    severity = check_fail_on(fail_on)
    config = load_config(config_file)
    with ended_by(CollectError):
        before, after = open_stored(old), open_stored(new)
        if before.redacted or after.redacted:
            tell("note: pseudonyms of a redacted snapshot are its own: servers of another are not found in it")
        compared = compare_snapshots(before, after, config, Day(now()[:10]))
    for name, place in destination.wanted:
        if name == "json":
            write_bytes(encode_diff(compared), place)
        else:
            write_page(partial(write_diff, compared), place, no_color=no_color)
    worse = [each for server in compared.servers for each in server.findings if is_worse(each)]
    if severity is not None and any(RANK[each.severity] >= RANK[severity] for each in worse):
        return Exit.FINDINGS
    unread = any("new" in server.reasons for server in compared.servers)
    return Exit.INCOMPLETE if unread and not allow_incomplete else Exit.OK
