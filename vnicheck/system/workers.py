"""Waiting no longer than one means to, also for calls that know no timeout, or only one for each byte."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def bounded(call: Callable[[], T], seconds: float) -> T:
    """The call's result, from a thread that is left behind when it takes longer.

    Raises TimeoutError, or what the call raises.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(seconds, 0.0))
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]


@contextmanager
def workers(count: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Threads for the work of a while. Whoever interrupts us does not wait for what they still wait for."""
    pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
