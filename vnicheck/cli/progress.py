"""Progress on a terminal's stderr: how many, how fast, and on whom we wait. Nothing elsewhere."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from vnicheck.model.words import one_line

SLOW_AFTER = 3.0
"""Seconds from which a server that is still awaited is named."""
SHOWN = 3


class ProgressTally:
    """What has become of the servers so far. Safe to use from several threads; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begin = clock()
        self._lock = threading.Lock()
        self._running: dict[str, tuple[float, str]] = {}
        self.total = 0
        self.finished = 0
        self.failed = 0

    def start(self, key: str, name: str) -> None:
        """A server's turn has come."""
        with self._lock:
            self._running[key] = (self._clock(), name)

    def done(self, key: str, *, ok: bool) -> None:
        """A server is read, or has failed."""
        with self._lock:
            self._running.pop(key, None)
            self.finished += 1
            self.failed += not ok

    def line(self) -> str:
        """`12 of 50, 2 failed, 9/s; waiting for web-7 (12 s), db-1 (4 s)`."""
        now = self._clock()
        with self._lock:
            begun = sorted(self._running.values())
            finished, failed = self.finished, self.failed
        parts = [f"{finished} of {self.total}"]
        if failed:
            parts.append(f"{failed} failed")
        elapsed = now - self._begin
        if finished and elapsed >= 1:
            rate = finished / elapsed
            parts.append(f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
        slow = [(now - since, name) for since, name in begun if now - since >= SLOW_AFTER]
        line = ", ".join(parts)
        if slow:
            line += "; waiting for " + ", ".join(f"{one_line(name, 40)} ({age:.0f} s)" for age, name in slow[:SHOWN])
            line += f" and {len(slow) - SHOWN} more" if len(slow) > SHOWN else ""
        return line


class Progress(ProgressTally):
    """A spinner and the tally beside it, as a context."""

    def __init__(self, what: str, screen: Console, *, shown: bool = True) -> None:
        super().__init__()
        self._shown = shown
        self._what = what
        self._screen = screen
        self._status: Status | None = None
        self._over = threading.Event()

    def expect(self, total: int) -> None:
        """So many servers will be read: show the tally from now on."""
        self.total = total
        if self._status is not None:
            threading.Thread(target=self._refresh, daemon=True).start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The terminal is somebody else's for a while."""
        if self._status is not None:
            self._status.stop()
        try:
            yield
        finally:
            if self._status is not None:
                self._status.start()

    def _refresh(self) -> None:
        while self._status is not None and not self._over.wait(0.2):
            self._status.update(Text(f"{self._what}: {self.line()}", overflow="ellipsis", no_wrap=True))

    def __enter__(self) -> Self:
        if self._shown and self._screen.is_terminal:
            self._status = self._screen.status(self._what)
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        if self._status is not None:
            self._status.stop()
