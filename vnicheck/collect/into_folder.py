"""Collecting into a snapshot folder: each guest is written as soon as it is there, and what is there stays."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from vnicheck.cloud.region import Region
from vnicheck.collect.errors import CollectError, told
from vnicheck.collect.guests import collect_guests
from vnicheck.collect.live import make_snapshot
from vnicheck.collect.observed import read_regions
from vnicheck.collect.request import Asker, Request
from vnicheck.collect.saved_guests import SavedGuests
from vnicheck.collect.snapshot_folder import SnapshotFolder
from vnicheck.guest.fleet import Result
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Server, Snapshot, SnapshotError
from vnicheck.model.words import counted
from vnicheck.system.clock import now

_SHOWN = 8


def collect_into(path: Path, request: Request, asker: Asker, *, refresh: bool) -> dict[str, Snapshot]:
    """Reads the cloud, then collects the guests that the folder at `path` does not have (with `refresh`: all).

    Returns what was read by region, without the guests, and with the problems of those that could not be collected.
    Raises CollectError.
    """
    saved = SavedGuests(request, asker)
    folder = SnapshotFolder(path)
    with told():
        regions = read_regions(request, asker)
        created_at = now()
        whole = not request.servers
        observed = {
            region.name: make_snapshot(region, region.servers, created_at=created_at, everything=whole)
            for region in regions
            if region.servers or whole
        }
        for region in regions:
            if region.name in observed and _to_be_written(folder, region, asker, named=not whole):
                folder.write_cloud(region.name, observed[region.name])
        servers = [server for region in regions for server in region.servers]
        given = saved.results(servers, scope=", ".join(region.scope for region in regions), whole=whole)
        problems = _collect(folder, regions, given, request, asker, refresh=refresh)
    return {name: _with_problems(snapshot, problems) for name, snapshot in observed.items()}


def _collect(
    folder: SnapshotFolder,
    regions: Sequence[Region],
    given: Mapping[str, Result],
    request: Request,
    asker: Asker,
    *,
    refresh: bool,
) -> dict[str, Server]:
    """Collects and writes what is to be collected; the servers that have a problem now, by id."""
    region_of = {server.id: region.name for region in regions for server in region.servers}
    todo, skipped = [], []
    for server in (server for region in regions for server in region.servers):
        there = None if refresh else _earlier(folder, region_of[server.id], server, asker)
        if there is not None and not isinstance(given.get(server.id), Guest):
            skipped.append(there)
        else:
            todo.append(server)
    _tell_skipped(folder, skipped, asker)
    written = set()

    def write(server_id: str, result: Result) -> None:
        folder.write_guest(region_of[server_id], server_id, result)
        written.add(server_id)

    failed = {}
    for before, after in zip(todo, collect_guests(todo, given, request, asker, write), strict=True):
        new = after.problems[len(before.problems) :]
        if before.id not in written and (after.guest is not None or new):
            write(before.id, after.guest if after.guest is not None else new[0])
        if new:
            failed[before.id] = after
    return failed


def _earlier(folder: SnapshotFolder, region: str, server: Server, asker: Asker) -> str | None:
    """When the guest in the folder was collected; None where there is none that can be read."""
    try:
        guest = folder.guest(region, server.id)
    except SnapshotError as error:
        asker.tell(f"{error}; collected anew")
        return None
    return guest.collected_at if isinstance(guest, Guest) else None


def _to_be_written(folder: SnapshotFolder, region: Region, asker: Asker, *, named: bool) -> bool:
    """Whether what was read of a region takes the place of what the folder has of it, and a line on what that means.

    Raises CollectError where the servers named would push others out.
    """
    try:
        before = folder.cloud(region.name) if folder.holds(region.name) else None
    except SnapshotError as error:
        asker.tell(f"{error}; read anew")
        return True
    if before is None:
        return True
    if region.failure is not None:
        asker.tell(f"{region.name}: what {folder.path} holds of it was read at {before.created_at}, and stays")
        return False
    read = {server.id for server in region.servers}
    others = [server.name for server in before.servers if server.id not in read]
    shown = f"{', '.join(others[:_SHOWN])}{', ...' if len(others) > _SHOWN else ''}"
    if others and named:
        raise CollectError(f"{folder.path} holds other servers too ({shown}): give --all, or another folder")
    if others:
        asker.tell(f"{region.name}: no longer in {folder.path}, being gone or out of scope: {shown}")
    return True


def _tell_skipped(folder: SnapshotFolder, collected_at: Sequence[str], asker: Asker) -> None:
    if collected_at:
        count = counted(len(collected_at), "server is", "servers are")
        asker.tell(
            f"{count} in {folder.path} already and skipped, the oldest of {min(collected_at)}; "
            "--refresh collects them anew"
        )


def _with_problems(snapshot: Snapshot, failed: dict[str, Server]) -> Snapshot:
    return msgspec.structs.replace(
        snapshot, servers=tuple(failed.get(server.id, server) for server in snapshot.servers)
    )
