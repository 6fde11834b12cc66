"""A snapshot at a path, a file or a folder: of a folder, a guest is read when it is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.select import select_servers
from vnicheck.collect.errors import CollectError, told
from vnicheck.collect.request import Request
from vnicheck.collect.snapshot_folder import MAX_CLOUD, SnapshotFolder
from vnicheck.model.region import Job, job_of
from vnicheck.model.snapshot import Problem, Server, Snapshot, SnapshotError, decode_snapshot, with_guest
from vnicheck.system.files import read_named


class Stored(Struct, frozen=True):
    """`regions`: the snapshots by region, a file being one; without the guests where they are in a `folder`."""

    regions: Mapping[str, Snapshot]
    folder: SnapshotFolder | None = None

    @property
    def redacted(self) -> bool:
        """Whether names and addresses in it are pseudonyms."""
        return any(snapshot.redacted is True for snapshot in self.regions.values())

    def server(self, region: str, server: Server) -> Server:
        """A server of one of the regions with its guest. Raises CollectError where the guest's file cannot be read."""
        if self.folder is None:
            return server
        with told():
            return with_guest(server, self.folder.guest(region, server.id))


def require_regions(path: Path, wanted: Sequence[str], there: Sequence[str]) -> None:
    """Raises CollectError where one of the regions that are `wanted` is not there."""
    missing = next((name for name in wanted if name not in there), None)
    if missing is not None:
        held = ", ".join(name for name in there if name) or "none by name"
        raise CollectError(f"{path} holds no region {missing!r}; it holds {held}")


def open_stored(path: Path, regions: Sequence[str] = ()) -> Stored:
    """The snapshot at `path`, a file or a folder; of these `regions` (none: all). Raises CollectError."""
    with told():
        if path.is_dir():
            folder = SnapshotFolder.open(path)
            there = folder.regions()
            require_regions(path, regions, there)
            return Stored({name: folder.cloud(name) for name in regions or there}, folder)
        data = read_named(path, MAX_CLOUD)
        try:
            snapshot = decode_snapshot(data)
        except SnapshotError as error:
            raise SnapshotError(f"{path}: {error}") from error
        name = next((server.region for server in snapshot.servers), "")
        require_regions(path, regions, [name])
        return Stored({name: snapshot})


def stored_snapshots(request: Request, path: Path) -> dict[str, Snapshot]:
    """The snapshots at `path` by region, with the servers that are named (none: all in scope), and their guests.

    Of several regions only those that have such a server, and only those servers' guests are read. Raises CollectError.
    """
    stored = open_stored(path, request.regions)
    known = in_vpc(stored, request.vpc, path)
    everything = [server for servers in known.values() for server in servers]
    try:
        chosen = select_servers(everything, request.servers, scope=str(path))
    except CloudError as error:
        raise CollectError(str(error)) from error
    cut = {}
    for name, servers in known.items():
        ids = {server.id for server in servers}
        mine = tuple(stored.server(name, server) for server in chosen if server.id in ids)
        if mine or not request.servers:
            cut[name] = msgspec.structs.replace(stored.regions[name], servers=mine)
    return cut


def in_vpc(stored: Stored, vpc: str | None, path: Path) -> dict[str, list[Server]]:
    """The servers by region, of one VPC (an id or a name) or of all. Raises CollectError where it has none."""
    known = {
        name: [server for server in snapshot.servers if vpc in (None, server.vpc.id, server.vpc.name)]
        for name, snapshot in stored.regions.items()
    }
    if vpc is not None and not any(known.values()):
        raise CollectError(f"{path} holds no server of a VPC {vpc!r}")
    return known


class FolderServers:
    """Servers of a folder's region, each with its guest's file, which is read as the server is asked for."""

    def __init__(self, folder: SnapshotFolder, region: str, servers: Sequence[Server]) -> None:
        self._folder, self._region, self._servers = folder, region, servers

    def __len__(self) -> int:
        return len(self._servers)

    def __iter__(self) -> Iterator[Job]:
        for server in self._servers:
            try:
                yield job_of(server, self._folder.guest_data(self._region, server.id))
            except SnapshotError as error:
                yield job_of(with_guest(server, Problem(code="guest_unreadable", message=str(error))))
