"""A bound on the whole of a call, which a socket's timeout is not: who sends a byte now and then never meets that."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class LateError(Exception):
    """The work was not done in time. It goes on unheeded, and does not keep the program from ending."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns or raises. Raises LateError where it takes longer than so many seconds."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="vpc-call", daemon=True).start()
    try:
        return future.result(timeout=max(0.0, seconds))
    except TimeoutError:
        if future.done():  # the work's own
            raise
        raise LateError from None
