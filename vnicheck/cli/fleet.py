"""From the command line's selection to the regions that `lint` goes through: live, or from a snapshot's file or folder.

From a folder each guest is read when its server's turn comes, so that a fleet needs no more memory than one server.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vnicheck.cli.bundles import Fleet, Selection, Ssh
from vnicheck.cli.clock import now
from vnicheck.cli.failure import UserError
from vnicheck.cli.gather import check_ssh, collect_guests
from vnicheck.cli.input import read_input
from vnicheck.cli.load import MAX_BYTES
from vnicheck.cli.progress import Progress
from vnicheck.cli.saved_guests import SavedGuests

if TYPE_CHECKING:
    from vnicheck.analysis.lint import Region
    from vnicheck.analysis.many import Job, Spread
    from vnicheck.collect.scope import RegionInScope, Scope
    from vnicheck.collect.snapshot_folder import SnapshotFolder
    from vnicheck.model.config import Config
    from vnicheck.model.snapshot import Server


def scope_of(selection: Selection, fleet: Fleet, config: "Config", earlier: frozenset[str]) -> "Scope":
    """The filters. `earlier`: ids of servers with findings in the baseline."""
    from vnicheck.collect.scope import Scope

    return Scope(
        vpc=selection.vpc,
        resource_group=selection.resource_group,
        names=tuple(fleet.name or ()),
        multi_homed_only=fleet.multi_homed_only,
        expect=config.expect,
        earlier=earlier,
    )


def live_regions(
    selection: Selection, fleet: Fleet, ssh: Ssh, scope: "Scope", *, no_color: bool
) -> "tuple[Region, ...]":
    """Reads the regions, then the guests of the servers in scope. Raises UserError."""
    check_ssh(ssh)
    saved = SavedGuests(selection)
    if fleet.all_regions and selection.region:
        raise UserError("--region and --all-regions exclude each other")

    from vnicheck.cloud.client import HttpSettings
    from vnicheck.cloud.connect import connect_all
    from vnicheck.cloud.errors import CloudError
    from vnicheck.cloud.regions import connect_everywhere
    from vnicheck.collect.scope import read_regions
    from vnicheck.model.snapshot import with_guest

    http = HttpSettings(total=selection.api_timeout)
    try:
        with Progress("reading the VPC", no_color=no_color):
            if fleet.all_regions:
                clients, failed = connect_everywhere(environ=os.environ, auth=selection.auth, http=http)
            else:
                names = selection.region or ()
                clients, failed = [*connect_all(names, environ=os.environ, auth=selection.auth, http=http)], {}
            found = read_regions(clients, failed, scope, now=now)
    except CloudError as error:
        raise UserError(error.message) from error
    servers = [server for region in found for server in region.servers]
    given = saved.results(servers, scope="the servers in scope", whole=scope.is_whole)
    if fleet.cloud_only:
        collected = tuple(with_guest(server, given.get(server.id)) for server in servers)
    else:
        collected = collect_guests(servers, given, ssh, no_color=no_color)
    by_id = {server.id: server for server in collected}
    return _some([_region(region, [by_id[server.id] for server in region.servers]) for region in found], scope)


def snapshot_regions(path: Path, selection: Selection, fleet: Fleet, scope: "Scope") -> "tuple[Region, ...]":
    """The regions of a snapshot, a file or a folder. Raises UserError."""
    refused = {
        "--all-regions": fleet.all_regions or None,
        "--resource-group": selection.resource_group,
        "--auth": selection.auth,
        "--guest": selection.guest,
        "--guest-dir": selection.guest_dir,
        "--cloud-only": fleet.cloud_only or None,
    }
    for option, value in refused.items():
        if value is not None:
            raise UserError(f"{option} has no meaning with --snapshot, which holds what was collected")

    from vnicheck.collect.scope import snapshot_region
    from vnicheck.model.snapshot import SnapshotError, decode_snapshot

    try:
        if path.is_dir():
            found = _folder_regions(path, scope)
        else:
            try:
                snapshot = decode_snapshot(read_input(path, MAX_BYTES))
            except SnapshotError as error:
                raise SnapshotError(f"{path}: {error}") from error
            found = [_region(region, list(region.servers)) for region in snapshot_region(snapshot, scope)]
    except SnapshotError as error:
        raise UserError(str(error)) from error
    missing = sorted(set(selection.region or ()) - {region.name for region in found})
    if missing:
        named = ", ".join(region.name for region in found if region.name) or "none by name"
        raise UserError(f"{path} holds no region {missing[0]!r}; it holds {named}")
    wanted = selection.region or [region.name for region in found]
    return _some([region for region in found if region.name in wanted], scope)


def _folder_regions(path: Path, scope: "Scope") -> "list[Region]":
    from vnicheck.collect.scope import snapshot_region
    from vnicheck.collect.snapshot_folder import UNNAMED, SnapshotFolder

    folder = SnapshotFolder.open(path)
    return [
        _region(region, _FolderServers(folder, name, region.servers))
        for name in folder.regions()
        for region in snapshot_region(folder.cloud(name), scope, name="" if name == UNNAMED else name)
    ]


class _FolderServers:
    """The servers of a folder, each with its guest's file, which is read as the server is asked for."""

    def __init__(self, folder: "SnapshotFolder", region: str, servers: "tuple[Server, ...]") -> None:
        self._folder, self._region, self._servers = folder, region, servers

    def __iter__(self) -> "Iterator[Job]":
        from vnicheck.analysis.many import job_of
        from vnicheck.model.snapshot import Problem, SnapshotError, with_guest

        for server in self._servers:
            try:
                yield job_of(server, self._folder.guest_data(self._region, server.id))
            except SnapshotError as error:
                yield job_of(with_guest(server, Problem(code="guest_unreadable", message=str(error))))


@contextmanager
def spread_over(servers: int, workers: int | None, dask: str | None) -> "Iterator[Spread]":
    """Where so many servers are analyzed: a Dask cluster, or this machine. Raises UserError."""
    from vnicheck.analysis.dask_cluster import ClusterError, dask_cluster
    from vnicheck.analysis.many import WorkersLostError, local

    if dask is not None and workers is not None:
        raise UserError("--workers and --dask exclude each other")
    try:
        if dask is None:
            yield local(servers, workers)
        else:
            with dask_cluster(dask) as spread:
                yield spread
    except (ClusterError, WorkersLostError) as error:
        raise UserError(str(error)) from error


def _region(region: "RegionInScope", servers: "Iterable[Server | Job]") -> "Region":
    from vnicheck.analysis.lint import Region

    return Region(
        name=region.name,
        servers=servers,
        chosen=len(region.servers),
        single_homed=region.single_homed,
        fabric=region.fabric,
        read_at=region.read_at,
        problems=region.problems,
        notes=region.notes,
    )


def _some(regions: "list[Region]", scope: "Scope") -> "tuple[Region, ...]":
    """The regions, where they hold any server in scope, or may. Raises UserError."""
    if any(region.problems or region.single_homed or region.chosen for region in regions):
        return tuple(regions)
    asked = [f"VPC {scope.vpc}"] if scope.vpc else []
    asked += [f"resource group {scope.resource_group}"] if scope.resource_group else []
    asked += [f"name {name}" for name in scope.names]
    where = ", ".join(region.name for region in regions if region.name)
    said = f" with {', '.join(asked)}" if asked else ""
    raise UserError(f"nothing to check: there is no server{said}{f' in {where}' if where else ''}")
