"""Snapshots, from a file or a folder, cut down to the servers that the command line names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vnicheck.cli.bundles import Selection
from vnicheck.cli.failure import UserError, refuse_given
from vnicheck.cli.input import read_input

if TYPE_CHECKING:
    from vnicheck.collect.snapshot_folder import SnapshotFolder
    from vnicheck.model.snapshot import Server, Snapshot

MAX_BYTES = 1 << 30


def load_regions(path: Path, instances: Sequence[str], selection: Selection) -> "dict[str, Snapshot]":
    """The snapshots at `path` by region, a file being one, with the servers that `instances` name (none: all in scope).

    Of a folder, only those regions that have such a server, and only those servers' guests are read. Raises UserError.
    """
    from vnicheck.collect.snapshot_folder import SnapshotFolder
    from vnicheck.model.snapshot import SnapshotError, decode_snapshot

    _refuse(selection, folder=path.is_dir())
    try:
        if path.is_dir():
            return _from_folder(SnapshotFolder.open(path), instances, selection)
        snapshot = decode_snapshot(read_input(path, MAX_BYTES))
    except SnapshotError as error:
        raise UserError(str(error) if path.is_dir() else f"{path}: {error}") from error
    region = next((server.region for server in snapshot.servers), "")
    return _chosen({region: snapshot}, instances, selection, path)


def only(regions: "Mapping[str, Snapshot]") -> "Snapshot":
    """The one region of a command that looks at one at a time. Raises UserError where there are several."""
    if len(regions) > 1:
        raise UserError(
            f"the servers are in {len(regions)} regions ({', '.join(regions)}), and this looks at one at a time: "
            "choose with --region"
        )
    return next(iter(regions.values()))


def _refuse(selection: Selection, *, folder: bool) -> None:
    refused = {
        "--region": None if folder else selection.region,
        "--resource-group": selection.resource_group,
        "--auth": selection.auth,
        "--guest": selection.guest,
        "--guest-dir": selection.guest_dir,
    }
    refuse_given(refused, "--snapshot, which holds what was collected")


def _from_folder(folder: "SnapshotFolder", instances: Sequence[str], selection: Selection) -> "dict[str, Snapshot]":
    import msgspec

    from vnicheck.model.snapshot import with_guest

    there = folder.regions()
    for name in selection.region or ():
        if name not in there:
            raise UserError(f"{folder.path} holds no region {name!r}; it holds {', '.join(there)}")
    wanted = {name: folder.cloud(name) for name in selection.region or there}
    chosen = _chosen(wanted, instances, selection, folder.path)
    return {
        name: msgspec.structs.replace(
            snapshot,
            servers=tuple(with_guest(server, folder.guest(name, server.id)) for server in snapshot.servers),
        )
        for name, snapshot in chosen.items()
    }


def _chosen(
    regions: "dict[str, Snapshot]", instances: Sequence[str], selection: Selection, path: Path
) -> "dict[str, Snapshot]":
    """The regions with only the servers that are meant; those that have none are left out if servers are named."""
    import msgspec

    from vnicheck.cloud.errors import CloudError
    from vnicheck.cloud.select import select_servers

    def in_scope(server: "Server") -> bool:
        return selection.vpc is None or selection.vpc in (server.vpc.id, server.vpc.name)

    known = {name: [each for each in snapshot.servers if in_scope(each)] for name, snapshot in regions.items()}
    try:
        chosen = select_servers([each for servers in known.values() for each in servers], instances, scope=str(path))
    except CloudError as error:
        raise UserError(f"{path}: {error}") from error
    cut = {}
    for name, servers in known.items():
        ids = {server.id for server in servers}
        mine = tuple(server for server in chosen if server.id in ids)
        if mine or not instances:
            cut[name] = msgspec.structs.replace(regions[name], servers=mine)
    return cut
