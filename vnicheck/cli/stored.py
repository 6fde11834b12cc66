"""A snapshot at a path, server by server: of a folder, a guest is read when it is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from vnicheck.cli.failure import UserError
from vnicheck.cli.input import read_input
from vnicheck.cli.load import MAX_BYTES
from vnicheck.collect.snapshot_folder import SnapshotFolder
from vnicheck.model.snapshot import Problem, Server, Snapshot, SnapshotError, decode_snapshot, with_guest

if TYPE_CHECKING:
    from vnicheck.model.cloud import Fabric


class Place(Struct, frozen=True):
    """A server as the VPC has it, and the region that it is in."""

    region: str
    server: Server


class Stored:
    """`places`: its servers by id. `read_at`: when each region was read."""

    def __init__(self, regions: dict[str, Snapshot], folder: SnapshotFolder | None = None) -> None:
        self._regions = regions
        self._folder = folder
        self.places = {
            server.id: Place(name, server) for name, snapshot in regions.items() for server in snapshot.servers
        }
        self.read_at = {name: snapshot.created_at for name, snapshot in regions.items()}
        self.redacted = any(snapshot.redacted is True for snapshot in regions.values())

    def server(self, key: str) -> Server:
        """A server with its guest. Raises UserError where the guest's file cannot be read."""
        place = self.places[key]
        if self._folder is None:
            return place.server
        try:
            return with_guest(place.server, self._folder.guest(place.region, key))
        except SnapshotError as error:
            raise UserError(str(error)) from error

    def fabric(self, region: str) -> "Fabric":
        """What the servers of a region share."""
        return self._regions[region].fabric

    def unread(self, region: str) -> Problem | None:
        """Why a server of a region that is not in the snapshot may be there all the same; None: it is not there."""
        if region not in self._regions:
            return Problem(code="region_not_read", message=f"this snapshot has no region {region}")
        missing = self.fabric(region).missing.get("servers")
        return None if missing is None else Problem(code="servers_unread", message=missing)


def open_stored(path: Path) -> Stored:
    """The snapshot at `path`, a file or a folder. Raises UserError."""
    try:
        if path.is_dir():
            folder = SnapshotFolder.open(path)
            return Stored({name: folder.cloud(name) for name in folder.regions()}, folder)
        snapshot = decode_snapshot(read_input(path, MAX_BYTES))
    except SnapshotError as error:
        raise UserError(str(error) if path.is_dir() else f"{path}: {error}") from error
    region = next((server.region for server in snapshot.servers), "")
    return Stored({region: snapshot})
