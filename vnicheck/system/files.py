"""Reading files of bounded size, and writing them whole or not at all."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


class UnreadableError(Exception):
    """A file that cannot be read. The message is one line for the user."""


class FileTooLargeError(UnreadableError):
    """A file larger than what it may hold."""


def read_file(path: Path, limit: int) -> bytes:
    """All of a file of at most `limit` bytes. Raises OSError, or FileTooLargeError."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise FileTooLargeError(f"{path} is larger than {limit >> 20} MiB")
    return data


def read_named(path: Path, limit: int) -> bytes:
    """`read_file` of a file that the user named. Raises UnreadableError."""
    try:
        return read_file(path, limit)
    except OSError as error:
        raise UnreadableError(f"cannot read {path}: {error.strerror}") from error


def replace_file(place: Path, data: bytes | Iterable[bytes]) -> None:
    """Writes a file, from `data` or from parts of it as they come, that appears whole or not at all; one that is there
    is replaced. Raises OSError.
    """
    partial = place.with_name(f".{place.name[:200]}.{os.getpid()}.partial")
    try:
        if isinstance(data, bytes):
            partial.write_bytes(data)
        else:
            with partial.open("wb") as file:
                file.writelines(data)
        partial.replace(place)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
