"""Reading files of bounded size, and writing them whole or not at all."""

import errno
import os
import secrets
import selectors
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600
"""The mode of what describes a network or its changes: snapshots, guests, plans, ledgers."""
PUBLIC = 0o666
"""The mode of reports: what the umask leaves."""
PRIVATE_FOLDER = 0o700
PIPE_SECONDS = 120.0
"""What a pipe may take until its other end closes it: `<(ssh HOST sh -s ...)` is one."""
_WRITER_SECONDS = 10.0
"""What a named pipe may take until somebody writes to it."""
_CHUNK = 1 << 20
_STREAMS = (Path("/dev/stdin"), Path("/dev/stdout"), Path("/dev/stderr"))
"""Links to what a process has open: to a regular file where its output goes to one."""


class UnreadableError(Exception):
    """A file that cannot be read. The message is one line for the user."""


class FileTooLargeError(UnreadableError):
    """A file larger than what it may hold."""


def read_file(
    path: Path, limit: int, *, seconds: float = 0.0, check: Callable[[os.stat_result], None] = lambda _: None
) -> bytes:
    """All of a file of at most `limit` bytes, or of a pipe that ends within `seconds` (0: a pipe is not read). `check`
    looks at what is read, once it is open, and raises where it is not to be.

    Raises OSError, FileTooLargeError, or UnreadableError for a device, a socket, and a pipe or a file (/proc/kmsg) that
    does not end.
    """
    with open(_opened(path), "rb", buffering=0) as file:
        told = os.fstat(file.fileno())
        check(told)
        mode = told.st_mode
        if told.st_size > limit:  # of a pipe, and of a file of the kernel's, 0
            raise FileTooLargeError(f"{path} is larger than {_size(limit)}")
        if stat.S_ISFIFO(mode) and seconds:
            parts = _pipe_parts(file.fileno(), path, seconds)
        elif stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # of a folder, reading says that it is one
            parts = _file_parts(file, path)
        elif os.path.samestat(os.fstat(file.fileno()), os.stat(os.devnull)):
            parts = iter(())
        else:
            raise UnreadableError(f"{path} is no file, but a {_kind(mode)}")
        data = bytearray()
        for part in parts:
            data += part
            if len(data) > limit:
                raise FileTooLargeError(f"{path} is larger than {_size(limit)}")
    return bytes(data)


def read_named(path: Path, limit: int, *, seconds: float = PIPE_SECONDS) -> bytes:
    """`read_file` of a file, or a pipe, that the user named. Raises UnreadableError."""
    try:
        return read_file(path, limit, seconds=seconds)
    except OSError as error:
        raise UnreadableError(f"cannot read {path}: {error.strerror}") from error


def read_again(path: Path, limit: int) -> bytes:
    """`read_named` of what is asked for more than once: a pipe gives what it has once. Raises UnreadableError."""
    return _read_once(path, limit) if path.is_fifo() else read_named(path, limit)


_read_once = cache(read_named)


def make_private_folder(path: Path) -> None:
    """Makes a folder, and those above it that are not there, for this user alone; one that is there stays as it is.

    Raises OSError.
    """
    for folder in reversed((path, *path.parents)):
        with suppress(FileExistsError):
            folder.mkdir(mode=PRIVATE_FOLDER)
    if not path.is_dir():
        raise NotADirectoryError(20, os.strerror(20), str(path))


def replace_file(place: Path, data: bytes | Iterable[bytes], *, mode: int = PUBLIC, durable: bool = False) -> None:
    """Writes a file, from `data` or from parts of it as they come, that appears whole or not at all; one that is there
    is replaced. `mode`: its permissions, less what the umask takes. `durable`: on disk before this returns. Raises
    OSError.
    """
    # a name that nobody knows before, and that is no link to elsewhere
    unfinished = place.with_name(f".{place.name[:200]}.{secrets.token_hex(8)}.partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    number = os.open(unfinished, flags, mode)
    try:
        with open(number, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            if durable:
                file.flush()
                os.fsync(number)
        unfinished.replace(place)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def may_replace(place: Path) -> bool:
    """Whether a place is a file's or a link's, to be replaced; /dev/stdout, devices and pipes are written to."""
    if place.is_relative_to("/dev/fd") or place.is_relative_to("/proc") or place in _STREAMS:
        return False
    # of a link that somebody may have laid, the name is replaced: it is not followed, whatever it leads to
    return place.is_symlink() or place.is_file() or not place.exists()


def open_file(place: Path, *, mode: int = PUBLIC) -> BinaryIO:
    """Opens a file to be written as its parts come, in place of a file or a link that is there; a pipe or a device is
    written to. `mode`: its permissions, less what the umask takes. Raises OSError.
    """
    if not may_replace(place):
        return place.open("wb")
    place.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(place, flags, mode), "wb")


def _opened(path: Path) -> int:
    """Raises OSError, and UnreadableError for a socket."""
    try:
        # O_NONBLOCK: opening a named pipe that nobody writes to would wait for ever
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO and path.is_socket():
            raise UnreadableError(f"{path} is no file, but a socket") from error
        raise


def _file_parts(file: RawIOBase, path: Path) -> Iterator[bytes]:
    """What a file holds. Raises UnreadableError for one that waits for more, as the kernel's log does."""
    while (part := file.read(_CHUNK)) != b"":
        if part is None:
            raise UnreadableError(f"{path} is no ordinary file: it has no end")
        yield part


def _pipe_parts(number: int, path: Path, seconds: float) -> Iterator[bytes]:
    """What a pipe's writers write until the last one closes it. Raises UnreadableError where they take too long."""
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(number, selectors.EVENT_READ)
        # Linux calls a pipe whose first writer is still to come not readable, but reads nothing at once
        if not selector.select(min(seconds, _WRITER_SECONDS)):
            with suppress(BlockingIOError):
                if not (part := os.read(number, _CHUNK)):
                    raise UnreadableError(f"{path} is a pipe that nobody writes to")
                yield part
        while selector.select(max(until - time.monotonic(), 0.0)):
            part = os.read(number, _CHUNK)
            if not part:
                return
            yield part
    raise UnreadableError(f"{path} is a pipe that did not end in {seconds:g} seconds")


def _kind(mode: int) -> str:
    return "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"


def _size(limit: int) -> str:
    return f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit} bytes"
