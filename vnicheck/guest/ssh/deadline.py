"""A whole connection's deadline."""

import contextlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self


class _Watchdog:
    """One thread for all deadlines: it expires those whose time has come. It ends when it has had none for a while."""

    IDLE = 5.0

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: set[Deadline] = set()
        self._next = 0.0
        self._runs = False

    def watch(self, deadline: "Deadline") -> None:
        with self._changed:
            self._waiting.add(deadline)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, daemon=True, name="deadlines").start()
            elif deadline.end < self._next:
                self._changed.notify()

    def forget(self, deadline: "Deadline") -> None:
        with self._changed:
            self._waiting.discard(deadline)

    def _run(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                self._next = min((each.end for each in self._waiting), default=now + self.IDLE)
                if self._next > now:
                    self._changed.wait(self._next - now)
                now = time.monotonic()
                due = [each for each in self._waiting if each.end <= now]
                self._waiting.difference_update(due)
                if not self._waiting and not due and now >= self._next:
                    self._runs = False
                    return
            for each in due:  # closing may take a while: each in a thread of its own
                threading.Thread(target=each.expire, daemon=True).start()


_watchdog = _Watchdog()


class Deadline:
    """After `seconds` the closers are called, which frees every wait on what they close."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self._expired = False
        self._over = threading.Event()
        self._closers: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    @property
    def expired(self) -> bool:
        """Whether the time is up; a wait of `remaining` seconds may end just before the watchdog."""
        return self._expired or time.monotonic() >= self.end - 0.02

    def remaining(self) -> float:
        """Seconds left, never below a small positive number: 0 would mean no limit to some callees."""
        return max(self.end - time.monotonic(), 0.01)

    def wait(self, seconds: float) -> None:
        """Pause, but no longer than the time that is left."""
        self._over.wait(min(seconds, self.remaining()))

    def closes(self, closer: Callable[[], object]) -> None:
        """Have `closer` called when the deadline passes, or on leaving the context. At once if it has passed."""
        with self._lock:
            self._closers.append(closer)
            if not self._expired:
                return
        _quietly(closer)

    def release(self) -> None:
        """Forget the closers: what was opened is to outlive this deadline."""
        with self._lock:
            if not self._expired:
                self._closers.clear()

    def expire(self) -> None:
        """Let the time be up now."""
        with self._lock:
            self._expired = True
            self._over.set()
            closers = self._closers[::-1]
        for closer in closers:
            _quietly(closer)

    def __enter__(self) -> Self:
        _watchdog.watch(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _watchdog.forget(self)
        with self._lock:
            closers = self._closers[::-1]
        for closer in closers:
            _quietly(closer)


def _quietly(closer: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):
        closer()
