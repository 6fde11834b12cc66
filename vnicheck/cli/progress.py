"""What goes on, while it goes on: on a terminal's stderr, and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vnicheck.cli.output import console


@contextmanager
def progress(what: str, *, no_color: bool) -> Iterator[Any]:
    """A spinner, whose text `update` changes; None where there is no terminal."""
    screen = console(stderr=True, no_color=no_color)
    if not screen.is_terminal:
        yield None
        return
    with screen.status(what) as status:
        yield status
