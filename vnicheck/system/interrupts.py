"""Ctrl-C, SIGTERM and the end of the terminal: they end a run alike, but cut nothing in two that is being written."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_alike() -> None:
    """From now on SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does. One that is ignored (nohup) stays so."""
    for number in _ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def heed_no_more() -> None:
    """Whoever is interrupted already is not interrupted once more while he says so."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def written_whole() -> Iterator[None]:
    """What is written here is written to its end: an interrupt comes after it, and only a second one, for whoever waits
    for a reader that is stuck, cuts it off.
    """
    if threading.current_thread() is not threading.main_thread():  # Python gives signals to the main thread alone
        yield
        return
    before = {number: handler for number in _ENDING if callable(handler := signal.getsignal(number))}
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            before[signal.Signals(number)](number, frame)

    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        first = signal.Signals(came[0])
        before[first](first, None)
