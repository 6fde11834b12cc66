"""The program: one funnel from every failure to one line on stderr and the contract's exit code."""

import gc
import io
import os
import sys
from typing import Any

from vnicheck import __version__
from vnicheck.cli.failure import Exit, UserError
from vnicheck.system.interrupts import end_alike, heed_no_more

_YOUNG_OBJECTS = 100_000
"""How many new objects are made before Python looks for garbage: a run is short, and almost none of it is in cycles."""


def main() -> None:
    """Runs the command line and exits. Characters that stdout's encoding lacks are written as `?`."""
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BufferedReader(io.FileIO(os.devnull)))  # where the shell closed it
    sys.stdout = _patient(sys.stdout, errors="replace")
    sys.stderr = _patient(sys.stderr, errors="backslashreplace")
    try:
        end_alike()
        status = _run(sys.argv[1:])
        sys.stdout.flush()  # or a full disk would be noticed only after the exit code is settled
    except KeyboardInterrupt:
        status = _interrupted()
    except OSError as error:
        _discard(1)
        status = _say(f"cannot write the result: {error.strerror}", Exit.USAGE)
    if status == Exit.INTERRUPTED:
        sys.stderr.flush()
        os._exit(status)  # Python would first wait for threads, and those wait for the network
    sys.exit(status)


class _PatientFile(io.FileIO):
    """Once nobody reads any more, what is written goes nowhere: the exit code is still to come, and somebody waits for
    it (`vnicheck lint | head`).
    """

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            _discard(self.fileno())
            return len(data)


def _patient(stream: Any, errors: str) -> io.TextIOWrapper:
    """stdout or stderr, also where the shell closed it."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    file = io.BufferedWriter(_PatientFile(stream.fileno(), "wb", closefd=False))
    by_line = stream.line_buffering or stream.write_through  # the second alone, where PYTHONUNBUFFERED is set
    return io.TextIOWrapper(file, stream.encoding, errors, line_buffering=by_line)


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:  # without Typer, whose start takes longer than all else
        print(f"vnicheck {__version__}")
        return Exit.OK
    if "--version" in arguments and set(arguments) <= {"--version", "-v", "--verbose"}:
        from vnicheck.cli.versions import versions

        print("\n".join(versions()))
        return Exit.OK
    from vnicheck.cli.app import app

    gc.set_threshold(_YOUNG_OBJECTS)
    try:
        status = app(args=arguments or ["--help"], prog_name="vnicheck", standalone_mode=False)
    except UserError as error:
        return _say(error, error.status)
    except Exception as error:  # noqa: BLE001 - the last funnel: no traceback for users
        return _unexpected(error)
    if status == Exit.INTERRUPTED:
        return _interrupted()
    return status if arguments and isinstance(status, int) else Exit.OK if arguments else Exit.USAGE


def _unexpected(error: Exception) -> int:
    import errno

    import typer

    if isinstance(error, typer.Abort):
        return _interrupted()
    usage = getattr(error, "format_message", None)  # typer brings its own click, whose errors have no public name
    if usage is not None:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "vnicheck"
        said, hint = str(usage()).rstrip(".?"), f"'{command} --help' shows how it is used"
        if command == "vnicheck lint" and said.startswith("Got unexpected extra argument"):
            hint = "lint takes all servers in scope: choose with --name, or look at one with 'vnicheck analyze'"
        return _say(f"{said}; {hint}", Exit.USAGE)
    if os.environ.get("VNICHECK_DEBUG"):
        raise error
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EIO, errno.EDQUOT}:
        _discard(1)
        return _say(f"cannot write the result: {error.strerror}", Exit.USAGE)
    return _say(
        f"internal error ({type(error).__name__}: {error}); run again with VNICHECK_DEBUG=1 and report what it prints",
        Exit.INTERNAL,
    )


def _interrupted() -> int:
    heed_no_more()
    return _say("interrupted", Exit.INTERRUPTED)


def _discard(descriptor: int) -> None:
    """What is still buffered goes nowhere: Python would fail once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _say(message: object, status: Exit) -> int:
    from vnicheck.model.words import one_line

    try:
        print(f"vnicheck: {one_line(message, 1200)}", file=sys.stderr, flush=True)
    except OSError:
        _discard(2)  # a full disk: the exit code still counts
    return status


if __name__ == "__main__":
    main()
