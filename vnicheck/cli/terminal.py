"""The user, as whoever collects meets him: lines on stderr, progress on a terminal, prompts on it."""

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console

from vnicheck.cli.progress import Progress
from vnicheck.model.words import one_line


def tell(line: object) -> None:
    """A line on stderr."""
    print(f"vnicheck: {one_line(line, 600)}", file=sys.stderr)


def console(*, stderr: bool = False, no_color: bool = False) -> Console:
    """A terminal or a pipe. Styles only on a terminal, and not where NO_COLOR is set."""
    plain = no_color or os.environ.get("NO_COLOR", "") != ""
    return Console(
        stderr=stderr,
        no_color=plain or None,
        color_system=None if plain else "auto",
        highlight=False,
        markup=False,
    )


class Terminal:
    """`ask_pass`: whether the user wants to be asked for the login's password. `quiet`: no progress, and no notes."""

    def __init__(self, *, ask_pass: bool, no_color: bool, quiet: bool = False) -> None:
        self._quiet = quiet
        self._ask_pass = ask_pass
        self._no_color = no_color
        self._progress: Progress | None = None

    @property
    def ask_passphrase(self) -> Callable[[Path], str | None] | None:
        """Asks for that of a key file; None where there is no terminal."""
        return (lambda file: self._ask(f"Passphrase of {file}: ")) if sys.stdin.isatty() else None

    @property
    def ask_password(self) -> Callable[[], str | None] | None:
        """Asks for the login's password."""
        return (lambda: self._ask("SSH password: ")) if self._ask_pass else None

    def tell(self, line: str) -> None:
        """A line that changes what comes out."""
        tell(line)

    def note(self, line: str) -> None:
        """A line that is good to know."""
        if not self._quiet:
            tell(f"note: {line}")

    @contextmanager
    def watch(self, what: str) -> Iterator[Progress]:
        """Progress, as long as the context lasts; prompts put it out of the way."""
        with Progress(what, console(stderr=True, no_color=self._no_color), shown=not self._quiet) as self._progress:
            yield self._progress
        self._progress = None

    def _ask(self, question: str) -> str | None:
        with self._progress.paused() if self._progress is not None else nullcontext():
            return getpass.getpass(question) or None
