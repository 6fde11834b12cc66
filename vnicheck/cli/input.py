"""Files that the command line names."""

from pathlib import Path

from vnicheck.cli.failure import UserError
from vnicheck.system.files import FileTooLargeError, read_file


def read_input(path: Path, limit: int) -> bytes:
    """All of a file of at most `limit` bytes. Raises UserError."""
    try:
        return read_file(path, limit)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except FileTooLargeError as error:
        raise UserError(str(error)) from error
