"""Collecting into a snapshot folder: each guest is written as soon as it is there, and what is there stays."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vnicheck.cli.bundles import Selection, Ssh
from vnicheck.cli.clock import now
from vnicheck.cli.failure import UserError
from vnicheck.cli.gather import check_ssh, collect_guests
from vnicheck.cli.regions import read_regions
from vnicheck.cli.saved_guests import SavedGuests

if TYPE_CHECKING:
    from vnicheck.cloud.region import Region
    from vnicheck.collect.snapshot_folder import SnapshotFolder
    from vnicheck.guest.fleet import Result
    from vnicheck.model.snapshot import Server, Snapshot

_SHOWN = 8


def collect_into(
    path: Path, instances: Sequence[str], selection: Selection, ssh: Ssh, *, refresh: bool, no_color: bool
) -> "dict[str, Snapshot]":
    """Reads the cloud, then collects the guests that the folder at `path` does not have (with `refresh`: all).

    Returns what was read by region, without the guests, and with the problems of those that could not be collected.
    Raises UserError.
    """
    from vnicheck.collect.live import make_snapshot
    from vnicheck.collect.snapshot_folder import SnapshotFolder
    from vnicheck.model.snapshot import SnapshotError

    check_ssh(ssh)
    saved = SavedGuests(selection)
    folder = SnapshotFolder(path)
    try:
        regions = read_regions(instances, selection, no_color=no_color)
        created_at = now()
        observed = {
            region.name: make_snapshot(region, region.servers, created_at=created_at, everything=not instances)
            for region in regions
            if region.servers or not instances
        }
        for region in regions:
            if region.name in observed and _to_be_written(folder, region, named=bool(instances)):
                folder.write_cloud(region.name, observed[region.name])
        servers = [server for region in regions for server in region.servers]
        given = saved.results(servers, scope=", ".join(region.scope for region in regions), whole=not instances)
        problems = _collect(folder, regions, given, ssh, refresh=refresh, no_color=no_color)
    except SnapshotError as error:
        raise UserError(str(error)) from error
    return {name: _with_problems(snapshot, problems) for name, snapshot in observed.items()}


def _collect(
    folder: "SnapshotFolder",
    regions: "Sequence[Region]",
    given: "dict[str, Result]",
    ssh: Ssh,
    *,
    refresh: bool,
    no_color: bool,
) -> "dict[str, Server]":
    """Collects and writes what is to be collected; the servers that have a problem now, by id."""
    from vnicheck.model.guest import Guest

    region_of = {server.id: region.name for region in regions for server in region.servers}
    todo, skipped = [], []
    for server in (server for region in regions for server in region.servers):
        there = None if refresh else _earlier(folder, region_of[server.id], server)
        if there is not None and not isinstance(given.get(server.id), Guest):
            skipped.append(there)
        else:
            todo.append(server)
    _tell_skipped(folder, skipped)
    written = set()

    def write(server_id: str, result: "Result") -> None:
        folder.write_guest(region_of[server_id], server_id, result)
        written.add(server_id)

    failed = {}
    for before, after in zip(todo, collect_guests(todo, given, ssh, no_color=no_color, on_result=write), strict=True):
        new = after.problems[len(before.problems) :]
        if before.id not in written and (after.guest is not None or new):
            write(before.id, after.guest if after.guest is not None else new[0])
        if new:
            failed[before.id] = after
    return failed


def _earlier(folder: "SnapshotFolder", region: str, server: "Server") -> str | None:
    """When the guest in the folder was collected; None where there is none that can be read."""
    from vnicheck.model.guest import Guest
    from vnicheck.model.snapshot import SnapshotError

    try:
        guest = folder.guest(region, server.id)
    except SnapshotError as error:
        _say(f"{error}; collected anew")
        return None
    return guest.collected_at if isinstance(guest, Guest) else None


def _to_be_written(folder: "SnapshotFolder", region: "Region", *, named: bool) -> bool:
    """Whether what was read of a region takes the place of what the folder has of it, and a line on what that means.

    Raises UserError where the servers named would push others out.
    """
    from vnicheck.model.snapshot import SnapshotError

    try:
        before = folder.cloud(region.name) if folder.holds(region.name) else None
    except SnapshotError as error:
        _say(f"{error}; read anew")
        return True
    if before is None:
        return True
    if region.failure is not None:
        _say(f"{region.name}: what {folder.path} holds of it was read at {before.created_at}, and stays")
        return False
    read = {server.id for server in region.servers}
    others = [server.name for server in before.servers if server.id not in read]
    shown = f"{', '.join(others[:_SHOWN])}{', ...' if len(others) > _SHOWN else ''}"
    if others and named:
        raise UserError(f"{folder.path} holds other servers too ({shown}): give --all, or another folder")
    if others:
        _say(f"{region.name}: no longer in {folder.path}, being gone or out of scope: {shown}")
    return True


def _tell_skipped(folder: "SnapshotFolder", collected_at: Sequence[str]) -> None:
    if collected_at:
        count = "1 server is" if len(collected_at) == 1 else f"{len(collected_at)} servers are"
        _say(
            f"{count} in {folder.path} already and skipped, the oldest of {min(collected_at)}; "
            "--refresh collects them anew"
        )


def _with_problems(snapshot: "Snapshot", failed: "dict[str, Server]") -> "Snapshot":
    import msgspec

    return msgspec.structs.replace(
        snapshot, servers=tuple(failed.get(server.id, server) for server in snapshot.servers)
    )


def _say(text: str) -> None:
    from vnicheck.model.words import one_line

    print(f"vnicheck: {one_line(text, 600)}", file=sys.stderr)
