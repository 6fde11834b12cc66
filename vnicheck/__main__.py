"""The program: one funnel from every failure to one line on stderr and the contract's exit code."""

import sys

from vnicheck.cli.failure import Exit, UserError


def main() -> None:
    """Runs the command line and exits."""
    sys.exit(_run())


def _run() -> int:
    from vnicheck.cli.app import app
    from vnicheck.model.words import one_line

    try:
        status = app(standalone_mode=False)
    except UserError as error:
        print(f"vnicheck: {one_line(error, 1200)}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("vnicheck: interrupted", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return Exit.OK
    except Exception as error:  # noqa: BLE001 - the last funnel: no traceback for users
        return _unexpected(error)
    return status if isinstance(status, int) else Exit.OK


def _unexpected(error: Exception) -> int:
    import os

    import click

    from vnicheck.model.words import one_line

    if isinstance(error, click.exceptions.Abort):
        print("vnicheck: interrupted", file=sys.stderr)
        return Exit.INTERRUPTED
    if isinstance(error, click.exceptions.ClickException):
        error.show()
        return Exit.USAGE
    if os.environ.get("VNICHECK_DEBUG"):
        raise error
    what = one_line(f"{type(error).__name__}: {error}")
    print(
        f"vnicheck: internal error ({what}); run again with VNICHECK_DEBUG=1 and report what it prints", file=sys.stderr
    )
    return Exit.INTERNAL


if __name__ == "__main__":
    main()
