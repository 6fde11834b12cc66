"""`vnicheck diff`: what changed between two snapshots."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vnicheck.cli import options
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import Exit, UserError
from vnicheck.cli.output import Destination, check_fail_on, write_bytes, write_page

if TYPE_CHECKING:
    from vnicheck.cli.stored import Stored
    from vnicheck.model.config import Config
    from vnicheck.model.diff import ServerChange
    from vnicheck.model.naming import Day
    from vnicheck.model.report import InstanceReport

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
) -> int:
    """Compare two snapshots: findings that are new or gone, and flows that fare differently."""
    destination = Destination(formats, output)
    for name, _ in destination.wanted:
        if name not in FORMATS:
            raise UserError(f"--format {name!r}: a comparison is written as {' or '.join(FORMATS)}")
    severity = check_fail_on(fail_on)
    config = load_config(config_file)

    from vnicheck.analysis.diff import RANK, assemble_diff, is_worse
    from vnicheck.cli.clock import now
    from vnicheck.cli.stored import open_stored
    from vnicheck.model.diff import Side, encode_diff
    from vnicheck.model.naming import Day
    from vnicheck.report.diff import write_diff

    before, after = open_stored(old), open_stored(new)
    _note_pseudonyms(before, after)
    today = Day(now()[:10])
    compared = assemble_diff(
        Side(read_at=before.read_at), Side(read_at=after.read_at), _changes(before, after, config, today)
    )
    for name, place in destination.wanted:
        if name == "json":
            write_bytes(encode_diff(compared), place)
        else:
            write_page(partial(write_diff, compared), place, no_color=no_color)
    worse = [each for server in compared.servers for each in server.findings if is_worse(each)]
    if severity is not None and any(RANK[each.severity] >= RANK[severity] for each in worse):
        return Exit.FINDINGS
    return Exit.OK


def _changes(before: "Stored", after: "Stored", config: "Config", today: "Day") -> "Iterator[ServerChange]":
    """Each server's changes, by region and name; one server's guests are in memory at a time."""
    from vnicheck.analysis.diff import compare

    places = sorted(
        {**before.places, **after.places}.items(), key=lambda item: (item[1].region, item[1].server.name, item[0])
    )
    for key, place in places:
        reports = [_report(side, key, config, today) for side in (before, after)]
        sides = [side for side, report in zip((before, after), reports, strict=True) if report is None]
        yield compare(*reports, absent=sides[0].unread(place.region) if sides else None)


def _report(side: "Stored", key: str, config: "Config", today: "Day") -> "InstanceReport | None":
    from vnicheck.analysis.mutes import apply_mutes
    from vnicheck.analysis.server import analyze_server

    place = side.places.get(key)
    if place is None:
        return None
    instance = analyze_server(side.server(key), side.fabric(place.region), config, read_at=side.read_at[place.region])
    return apply_mutes(instance, config.mute, today)


def _note_pseudonyms(before: "Stored", after: "Stored") -> None:
    if before.redacted or after.redacted:
        print(
            "vnicheck: note: pseudonyms of a redacted snapshot are its own: servers of another are not found in it",
            file=sys.stderr,
        )
