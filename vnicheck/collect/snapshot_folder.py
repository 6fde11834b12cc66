"""A snapshot as a folder: `REGION/cloud.json`, and `REGION/guests/SERVER-ID.json` for each guest that was tried.

A fleet is read one server at a time, and an interrupted collection goes on where it stopped. Every file appears whole
or not at all, and is this user's alone to read.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote_to_bytes

import msgspec

from vnicheck.model.guest import Guest
from vnicheck.model.guest_file import encode_guest_file, read_guest_file
from vnicheck.model.snapshot import (
    Problem,
    Server,
    Snapshot,
    SnapshotError,
    decode_snapshot,
    encode_snapshot,
    with_guest,
)
from vnicheck.system.files import PRIVATE, UnreadableError, make_private_folder, read_file, replace_file

UNNAMED = "region"
"""The folder of a region that has no known name."""
MAX_CLOUD = 1 << 30
MAX_GUEST = 64 << 20

_SAFE = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CLOUD, _GUESTS, _SUFFIX = "cloud.json", "guests", ".json"


class SnapshotFolder:
    """One such folder. A region goes by its name (`""` where none is known), a server by its id."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: Path) -> "SnapshotFolder":
        """The folder at `path`, which holds at least one region. Raises SnapshotError."""
        folder = cls(path)
        if not folder.regions():
            raise SnapshotError(
                f"{path}: no snapshot folder: it holds no REGION/{_CLOUD}; make one with 'vnicheck snapshot'"
            )
        return folder

    def regions(self) -> list[str]:
        """The names of the regions that it holds, in order; none where there is no folder yet. Raises SnapshotError,
        also where there are guests without their region: the folder was copied in part.
        """
        with _told(self.path):
            if not self.path.exists():
                return []
            found = [each for each in self.path.iterdir() if (each / _CLOUD).is_file() or (each / _GUESTS).is_dir()]
            for each in found:
                if not (each / _CLOUD).is_file():
                    raise SnapshotError(f"{each.name} has guests, but no {_CLOUD}; collect it again")
            names = sorted(_name(each.name) for each in found)
            strange = next((name for name in names if not name.isascii() and _SURROGATE.search(name)), None)
            if strange is not None:
                raise SnapshotError(f"{strange[:40]!r} is no region's name")
            return names

    def holds(self, region: str) -> bool:
        """Whether a region's servers are in it."""
        return (self._region(region) / _CLOUD).is_file()

    def cloud(self, region: str) -> Snapshot:
        """A region's servers, without their guests, and their fabric. Raises SnapshotError."""
        path = self._region(region) / _CLOUD
        with _told(path):
            return decode_snapshot(read_file(path, MAX_CLOUD))

    def guest(self, region: str, server: str) -> Guest | Problem | None:
        """What collecting a server's guest gave; None: it was not tried. Raises SnapshotError."""
        data = self.guest_data(region, server)
        with _told(self._guest(region, server)):
            return None if data is None else read_guest_file(data, server)

    def guest_data(self, region: str, server: str) -> bytes | None:
        """A server's guest file as it is; None: there is none. Raises SnapshotError."""
        path = self._guest(region, server)
        with _told(path):
            try:
                return read_file(path, MAX_GUEST)
            except FileNotFoundError:
                return None

    def servers(self, region: str) -> Iterator[Server]:
        """A region's servers with their guests, each read as it is asked for. Raises SnapshotError."""
        for server in self.cloud(region).servers:
            yield with_guest(server, self.guest(region, server.id))

    def write_cloud(self, region: str, snapshot: Snapshot) -> None:
        """Writes a region's servers, whose guests go into files of their own, and fabric. Raises SnapshotError."""
        bare = tuple(msgspec.structs.replace(server, guest=None) for server in snapshot.servers)
        self._write(self._region(region) / _CLOUD, encode_snapshot(msgspec.structs.replace(snapshot, servers=bare)))

    def write_guest(self, region: str, server: str, result: Guest | Problem) -> None:
        """Writes what collecting a server's guest gave. Raises SnapshotError."""
        self._write(self._guest(region, server), encode_guest_file(server, result))

    def write(self, regions: Mapping[str, Snapshot]) -> None:
        """Writes all of some regions. Raises SnapshotError."""
        for name, snapshot in regions.items():
            for server in snapshot.servers:
                if server.guest is not None:
                    self.write_guest(name, server.id, server.guest)
            self.write_cloud(name, snapshot)

    def _write(self, path: Path, data: bytes) -> None:
        with _told(path):
            make_private_folder(path.parent)
            replace_file(path, data, mode=PRIVATE)

    def _region(self, region: str) -> Path:
        return self.path / _file_name(region or UNNAMED)

    def _guest(self, region: str, server: str) -> Path:
        return self._region(region) / _GUESTS / f"{_file_name(server)}{_SUFFIX}"


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever goes wrong with `path` leaves as a SnapshotError that names it."""
    try:
        yield
    except UnreadableError as error:
        raise SnapshotError(str(error)) from error
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from error
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from error


def _file_name(text: str) -> str:
    """`text` as the name of a file, percent-encoded unless it is letters, digits, `_`, `-` and inner dots."""
    data = text.encode(errors="surrogateescape")
    if _SAFE.fullmatch(data):
        return text
    return "".join(chr(byte) if byte < 128 and chr(byte).isalnum() else f"%{byte:02X}" for byte in data) or "%"


def _name(file_name: str) -> str:
    """What `_file_name` made a file name of."""
    return unquote_to_bytes(file_name).decode(errors="surrogateescape")
