"""Work on many servers, in chunks and in order: here, over processes, or over whatever else runs a function of bytes.

What the servers share goes to each worker once, and of neither side's chunks more than a few exist at a time: memory
does not grow with the fleet.
"""

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

import msgspec

from vnicheck.model.region import Job

_AHEAD = 2
"""Chunks that wait for each worker, so that none of them does."""
_YOUNG_OBJECTS = 100_000
"""How many new objects a worker makes before it looks for garbage: almost none of it is in cycles."""

S = TypeVar("S")
Work = Callable[[S, bytes], bytes]
"""From what all servers share and a chunk of jobs to the answers: a function of a module, which workers import."""


class WorkersLostError(Exception):
    """A worker ended before its work was done. The message is one line for the user."""


class Spread(Protocol):
    """Gives the answers of `work` for chunks, in their order, wherever it runs."""

    def __call__(self, work: Work[S], shared: S, chunks: Iterator[bytes]) -> Iterator[bytes]: ...


_pack = msgspec.msgpack.Encoder()


def chunks_of(jobs: Iterable[Job], size: int) -> Iterator[bytes]:
    """The jobs, so many at a time, as `work` gets them."""
    remaining = iter(jobs)
    return map(_pack.encode, iter(lambda: list(islice(remaining, size)), []))


def in_process(work: Work[S], shared: S, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Here, one chunk after the other."""
    return (work(shared, chunk) for chunk in chunks)


def processes(workers: int) -> Spread:
    """Over that many processes of this machine."""

    def spread(work: Work[S], shared: S, chunks: Iterator[bytes]) -> Iterator[bytes]:
        pool = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(work, shared)
        )
        try:
            yield from in_order(lambda chunk: pool.submit(_work, chunk), chunks, ahead=_AHEAD * workers)
        except BrokenProcessPool as error:
            raise WorkersLostError(
                "a worker process ended before its work was done (out of memory?); try fewer with --workers"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    return spread


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(submit: Callable[[bytes], Future[bytes]], chunks: Iterator[bytes], *, ahead: int) -> Iterator[bytes]:
    """The results in the order of the chunks, of which no more than `ahead` are out at a time."""
    waiting: deque[Future[bytes]] = deque(submit(chunk) for chunk in islice(chunks, ahead))
    while waiting:
        yield waiting.popleft().result()
        waiting.extend(submit(chunk) for chunk in islice(chunks, 1))


_of_worker: list[tuple[Work[Any], Any]] = []


def _start_worker(work: Work[S], shared: S) -> None:
    """In a worker process, once. Interrupts are the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _of_worker[:] = [(work, shared)]
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


def _work(chunk: bytes) -> bytes:
    work, shared = _of_worker[0]
    return work(shared, chunk)
