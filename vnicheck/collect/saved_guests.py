"""Guests from saved output of the collect script: files by what names their server, and a folder with a file each."""

from collections.abc import Sequence
from pathlib import Path

from vnicheck.cloud.select import matching, select_servers
from vnicheck.collect.errors import CollectError
from vnicheck.collect.request import Asker, Request
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.fleet import Result
from vnicheck.model.snapshot import Problem, Server
from vnicheck.model.words import counted, one_line
from vnicheck.system.files import UnreadableError, read_named

MAX_BYTES = 64 << 20
SUFFIX = ".txt"
_SHOWN = 8


class SavedGuests:
    """The files that a request names. Made before the cloud is read, so that a slip is told at once."""

    def __init__(self, request: Request, asker: Asker) -> None:
        self._files = request.guests
        self._seconds = request.ssh.timeout  # `<(ssh HOST ...)` is a pipe, and a server that is collected
        self._folder = request.guest_folder
        self._in_folder = [] if self._folder is None else _listed(self._folder)
        self._asker = asker

    def results(self, servers: Sequence[Server], *, scope: str, whole: bool) -> dict[str, Result]:
        """The guests by server id; a file that cannot be read as one is its server's problem.

        With a folder every other server that runs has a problem too, and if `servers` are `whole` (all in scope), files
        that are of none of them are told. Raises CloudError where what is to name a file's server names none, or
        several, and UnreadableError.
        """
        results = self._from_folder(self._folder, servers, whole=whole) if self._folder is not None else {}
        for name, path in self._files.items():
            server = select_servers(servers, [name], scope=f"{scope}, those named alone")[0]
            results[server.id] = _parsed(read_named(path, MAX_BYTES, seconds=self._seconds))
        return results

    def _from_folder(self, folder: Path, servers: Sequence[Server], *, whole: bool) -> dict[str, Result]:
        files = (path for path in self._in_folder if path.suffix == SUFFIX and path.is_file())
        found = {path: matching(servers, path.stem) for path in files}
        named = {server.id for server in servers}
        results: dict[str, Result] = {}
        for path in sorted(found, key=lambda path: path.stem not in named):  # a file named by the id comes first
            for server in found[path]:
                if server.id in results:
                    continue
                if len(found[path]) > 1:
                    message = f"{path.name} may be of {len(found[path])} servers: name the file by the server's id"
                    results[server.id] = Problem(code="guest_ambiguous", message=message)
                else:
                    results[server.id] = _from_file(path)
        stray = [path.name for path in self._in_folder if not found.get(path)]
        if stray and whole:
            self._asker.note(_stray(folder, stray))
        for server in servers:
            if server.may_run and server.id not in results:
                message = f"no file for it in {folder}: neither {server.name}{SUFFIX} nor {server.id}{SUFFIX}"
                results[server.id] = Problem(code="guest_no_file", message=message)
        return results


def _listed(folder: Path) -> list[Path]:
    """What is in a folder but hidden files, in order. Raises CollectError."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise CollectError(f"--guest-dir: cannot read {folder}: {error.strerror}") from error


def _parsed(data: bytes) -> Result:
    try:
        return read_guest(data, via="file")
    except CollectionError as error:
        return error.problem()


def _from_file(path: Path) -> Result:
    try:
        return _parsed(read_named(path, MAX_BYTES))
    except UnreadableError as error:
        return Problem(code="guest_unreadable", message=str(error))


def _stray(folder: Path, stray: list[str]) -> str:
    count = counted(len(stray), "file is", "files are")
    more = f" and {len(stray) - _SHOWN} more" if len(stray) > _SHOWN else ""
    names = one_line(f"{', '.join(stray[:_SHOWN])}{more}", 400)
    return f"{folder}: {count} of no server in scope: {names}"
