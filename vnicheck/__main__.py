"""The program: one funnel from every failure to one line on stderr and the contract's exit code."""

import gc
import io
import os
import sys

from vnicheck import __version__
from vnicheck.cli.failure import Exit, UserError

_YOUNG_OBJECTS = 100_000
"""How many new objects are made before Python looks for garbage: a run is short, and almost none of it is in cycles."""


def main() -> None:
    """Runs the command line and exits. Characters that stdout's encoding lacks are written as `?`."""
    if sys.stdout is None:  # the shell closed it
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it lives as long as the program
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        status = _run(sys.argv[1:])
        sys.stdout.flush()  # or a full disk would be noticed only after the exit code is settled
    except KeyboardInterrupt:
        status = _say("interrupted", Exit.INTERRUPTED)
    except BrokenPipeError:
        status = _closed_pipe()
    except OSError as error:
        _discard_stdout()
        status = _say(f"cannot write the result: {error.strerror}", Exit.USAGE)
    if status == Exit.INTERRUPTED:
        sys.stderr.flush()
        os._exit(status)  # Python would first wait for threads, and those wait for the network
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:  # without Typer, whose start takes longer than all else
        print(f"vnicheck {__version__}")
        return Exit.OK
    from vnicheck.cli.app import app

    gc.set_threshold(_YOUNG_OBJECTS)
    try:
        status = app(args=arguments or ["--help"], prog_name="vnicheck", standalone_mode=False)
    except UserError as error:
        return _say(error, error.status)
    except (BrokenPipeError, SystemExit):
        # rich and typer answer a closed pipe with SystemExit(1), which would say that something was found
        return _closed_pipe()
    except Exception as error:  # noqa: BLE001 - the last funnel: no traceback for users
        return _unexpected(error)
    if status == Exit.INTERRUPTED:
        return _say("interrupted", Exit.INTERRUPTED)
    return status if arguments and isinstance(status, int) else Exit.OK if arguments else Exit.USAGE


def _unexpected(error: Exception) -> int:
    import errno

    import typer

    if isinstance(error, typer.Abort):
        return _say("interrupted", Exit.INTERRUPTED)
    usage = getattr(error, "format_message", None)  # typer brings its own click, whose errors have no public name
    if usage is not None:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "vnicheck"
        return _say(f"{str(usage()).rstrip('.?')}; '{command} --help' shows how it is used", Exit.USAGE)
    if os.environ.get("VNICHECK_DEBUG"):
        raise error
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EIO, errno.EDQUOT}:
        _discard_stdout()
        return _say(f"cannot write the result: {error.strerror}", Exit.USAGE)
    return _say(
        f"internal error ({type(error).__name__}: {error}); run again with VNICHECK_DEBUG=1 and report what it prints",
        Exit.INTERNAL,
    )


def _closed_pipe() -> int:
    """Who read our output has seen enough."""
    _discard_stdout()
    return Exit.OK


def _discard_stdout() -> None:
    """What is still buffered goes nowhere: Python would fail once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _say(message: object, status: Exit) -> int:
    from vnicheck.model.words import one_line

    print(f"vnicheck: {one_line(message, 1200)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
