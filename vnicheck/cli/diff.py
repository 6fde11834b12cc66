"""`vnicheck diff`: what changed between two snapshots."""

from functools import partial

from vnicheck.analysis.diff import is_regression
from vnicheck.analysis.snapshot_diff import compare_snapshots
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import Exit, ended_by
from vnicheck.cli.given import DiffOptions
from vnicheck.cli.output import Destination, check_fail_on, write_document
from vnicheck.cli.terminal import tell
from vnicheck.collect.errors import CollectError
from vnicheck.collect.stored import open_stored
from vnicheck.model.diff import encode_diff
from vnicheck.model.finding import is_as_severe
from vnicheck.model.naming import Day
from vnicheck.report.diff import write_diff
from vnicheck.report.diff_markdown import diff_markdown
from vnicheck.system.clock import now

FORMATS = ("text", "json", "markdown")


def diff(given: DiffOptions) -> int:
    """The work of `DiffOptions`: the exit code."""
    destination = Destination(given.formats, given.output)
    destination.require(FORMATS, "a comparison")
    severity = check_fail_on(given.fail_on)
    config = load_config(given.config_file)
    with ended_by(CollectError):
        before, after = open_stored(given.old), open_stored(given.new)
        if before.redacted or after.redacted:
            tell("note: pseudonyms of a redacted snapshot are its own: servers of another are not found in it")
        compared = compare_snapshots(before, after, config, Day(now()[:10]))
    encoders = {"json": partial(encode_diff, compared), "markdown": partial(diff_markdown, compared)}
    write_document(destination.wanted, partial(write_diff, compared), encoders, no_color=given.no_color)
    worse = [each for server in compared.servers for each in server.findings if is_regression(each)]
    if severity is not None and any(is_as_severe(each.severity, severity) for each in worse):
        return Exit.FINDINGS
    unread = any("new" in server.reasons for server in compared.servers)
    return Exit.INCOMPLETE if unread and not given.allow_incomplete else Exit.OK
