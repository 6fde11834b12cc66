"""A command that prints an API key: run without a shell, bounded in time and size, and once for a whole run."""

import os
import shlex
import shutil
import subprocess
import time
from functools import cache
from selectors import EVENT_READ, DefaultSelector

from vnicheck.cloud.errors import CloudError
from vnicheck.model.words import one_line

SECONDS = 60.0
"""People unlock a key ring meanwhile."""
_LOOK = 0.05
"""Seconds after which it is looked whether the program has ended, though its pipe is open."""
_LIMIT = 1 << 16
"""Bytes that are read of what it prints."""


def key_of_command(command: str | list[str], named_by: str) -> tuple[str, str]:
    """The first line that the command prints, and the name of its program. `command`: its words, or one line of them
    quoted as a shell would take them. Raises CloudError `bad_credentials`; no message has what was printed, nor the
    command's arguments, which may hold secrets.
    """
    try:
        words = tuple(shlex.split(command) if isinstance(command, str) else command)
    except ValueError:
        words = ()
    if not words or not words[0]:
        raise CloudError(
            "bad_credentials", f"{named_by}: a command is a program and its arguments, quoted as in a shell"
        )
    return _run(words, named_by), one_line(os.path.basename(words[0]), 60)


@cache
def _run(words: tuple[str, ...], named_by: str) -> str:
    program = _program(words[0], named_by)
    shown = f"{named_by}: {one_line(os.path.basename(program), 60)}"
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own words, and no shell reads them
            [program, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
    except OSError as error:
        raise CloudError("bad_credentials", f"{shown} cannot be started: {error.strerror}") from None
    try:
        data = _printed(process)
        if len(data) > _LIMIT:
            raise CloudError("bad_credentials", f"{shown} prints more than {_LIMIT} bytes: that is no API key")
        status = process.wait(timeout=5)
    except (TimeoutError, subprocess.TimeoutExpired):
        raise CloudError("bad_credentials", f"{shown} did not end within {SECONDS:g} s; run it by hand") from None
    finally:
        process.kill()
        if process.stdout is not None:
            process.stdout.close()
    if status != 0:
        raise CloudError("bad_credentials", f"{shown} ended with status {status}; run it by hand to see why")
    return next(iter(data.decode("utf-8", "replace").strip().splitlines()), "").strip()


def _printed(process: "subprocess.Popen[bytes]") -> bytes:
    """What the program prints until it ends, or one byte more than `_LIMIT`: what it started may hold its pipe open for
    longer. Raises TimeoutError.
    """
    assert process.stdout is not None  # noqa: S101 - it is piped
    until, data = time.monotonic() + SECONDS, b""
    with DefaultSelector() as selector:
        selector.register(process.stdout, EVENT_READ)
        while len(data) <= _LIMIT:
            ended = process.poll() is not None  # asked first: all that it printed is in the pipe then
            if selector.select(0 if ended else _LOOK):
                more = os.read(process.stdout.fileno(), _LIMIT + 1 - len(data))
                if not more:
                    break
                data += more
            elif ended:
                break
            if time.monotonic() > until:
                raise TimeoutError
    return data


def _program(name: str, named_by: str) -> str:
    """Where the program is: a full path, or found on PATH; never relative to the current folder."""
    path = os.path.expanduser(name)
    if "/" in name and not path.startswith("/"):
        raise CloudError("bad_credentials", f"{named_by}: give the full path of {one_line(name, 60)}")
    folders = [folder for folder in os.get_exec_path() if folder.startswith("/")]
    found = shutil.which(path, path=os.pathsep.join(folders))
    if found is None:
        raise CloudError("bad_credentials", f"{named_by}: there is no program {one_line(name, 60)}")
    return found
