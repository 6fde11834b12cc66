"""Work on many servers, in chunks and in order: here, over processes, or over whatever else runs a function of bytes.

What the servers share goes to each worker once, and of neither side's chunks more than a few exist at a time: memory
does not grow with the fleet.
"""

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Protocol, TypeVar

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
        crew = _Crew(workers, work, shared)
        threads = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        try:
            yield from in_order(lambda chunk: threads.submit(crew.ask, chunk), chunks, ahead=_AHEAD * workers)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            crew.end()
            threads.shutdown()

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


class _Crew:
    """Worker processes, each with a pipe of its own: one that is killed in the middle of an answer closes it. (Those of
    `concurrent.futures` share a pipe, and the rest of such an answer is waited for.)
    """

    def __init__(self, workers: int, work: Work[S], shared: S) -> None:
        context = get_context("spawn")
        self._processes = []
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        for _ in range(workers):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, work, shared), daemon=True)
            with _kept_from_interrupts():
                process.start()
            there.close()
            self._processes.append(process)
            self._idle.put(here)

    def ask(self, chunk: bytes) -> bytes:
        """The answer of a worker that has nothing to do. Raises WorkersLostError, and what the work raises there."""
        worker = self._idle.get()
        try:
            worker.send_bytes(chunk)
            answer = worker.recv()
        except (EOFError, OSError) as error:
            raise WorkersLostError(
                "a worker process ended before its work was done (out of memory?); try fewer with --workers"
            ) from error
        finally:
            self._idle.put(worker)
        if isinstance(answer, Exception):
            raise answer
        return bytes(answer)

    def end(self) -> None:
        """Ends the workers, whatever they do."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()


@contextmanager
def _kept_from_interrupts() -> Iterator[None]:
    """A process that is started here gets no Ctrl-C, from its first instruction on: it is the parent's to handle."""
    resource_tracker.ensure_running()  # as it starts, it unblocks them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(parent: Connection, work: Work[S], shared: S) -> None:
    """A worker process: answers until its parent ends."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
    while True:
        try:
            chunk = parent.recv_bytes()
        except EOFError:
            return
        try:
            answer: bytes | Exception = work(shared, chunk)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
            answer = error
        parent.send(answer)
