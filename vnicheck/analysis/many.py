"""Reports on many servers, in order: spread over processes, or over whatever else runs a function of bytes.

A server's report is a pure function of its snapshot and of what its region shares. The region goes to each worker once,
servers in chunks, and of neither side's chunks more than a few exist at a time: memory does not grow with the fleet.
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

import msgspec
from msgspec import Struct

from vnicheck.analysis.mutes import apply_mutes
from vnicheck.analysis.server import analyze_server, instance_report
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.guest_file import read_guest_file
from vnicheck.model.naming import Day
from vnicheck.model.region import Job
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import Problem, Server, SnapshotError, with_guest
from vnicheck.model.words import one_line

CHUNK = 20
"""Servers that go to a worker at once."""
WORTH_PROCESSES = 100
"""Fewer servers than this are sooner done than processes are started."""
_AHEAD = 2
"""Chunks that wait for each worker, so that none of them does."""
_YOUNG_OBJECTS = 100_000
"""How many new objects a worker makes before it looks for garbage: almost none of it is in cycles."""


class WorkersLostError(Exception):
    """A worker ended before its work was done. The message is one line for the user."""


class Shared(Struct, frozen=True, kw_only=True):
    """What all servers of a region share. `generated_at`: the day counts, for mutes. `flows`: whether reports have
    them; else they have the first one alone, and findings name flows that are not there.
    """

    fabric: Fabric
    config: Config
    read_at: str
    generated_at: str
    flows: bool = True


Spread = Callable[[Shared, Iterator[bytes]], Iterator[bytes]]
"""Gives the answers of `analyze_chunk` for chunks, in their order, wherever it runs."""

_server = msgspec.json.Decoder(Server)
_jobs = msgspec.msgpack.Decoder(list[Job])
_reports = msgspec.msgpack.Decoder(list[InstanceReport])
_pack = msgspec.msgpack.Encoder()


def analyze_many(jobs: Iterable[Job], shared: Shared, spread: Spread) -> Iterator[InstanceReport]:
    """The reports, muted, in the order of the jobs. Raises WorkersLostError."""
    remaining = iter(jobs)
    chunks = iter(lambda: list(islice(remaining, CHUNK)), [])
    for answer in spread(shared, map(_pack.encode, chunks)):
        yield from _reports.decode(answer)


def analyze_chunk(shared: Shared, chunk: bytes) -> bytes:
    """The reports of a chunk of servers. What goes wrong with one is its own problem, and no other's."""
    return _pack.encode([_report(shared, job) for job in _jobs.decode(chunk)])


def in_process(shared: Shared, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Here, one chunk after the other."""
    return (analyze_chunk(shared, chunk) for chunk in chunks)


def processes(workers: int) -> Spread:
    """Over that many processes of this machine."""

    def spread(shared: Shared, chunks: Iterator[bytes]) -> Iterator[bytes]:
        pool = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(shared,)
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


def local(servers: int, workers: int | None = None) -> Spread:
    """The way for so many servers on this machine: `workers` processes, by default one for each core."""
    count = usable_cores() if workers is None else workers
    if count == 1 or (workers is None and servers < WORTH_PROCESSES):
        return in_process
    return processes(min(count, max(1, -(-servers // CHUNK))))


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(submit: Callable[[bytes], Future[bytes]], chunks: Iterator[bytes], *, ahead: int) -> Iterator[bytes]:
    """The results in the order of the chunks, of which no more than `ahead` are out at a time."""
    waiting: deque[Future[bytes]] = deque(submit(chunk) for chunk in islice(chunks, ahead))
    while waiting:
        yield waiting.popleft().result()
        waiting.extend(submit(chunk) for chunk in islice(chunks, 1))


def _report(shared: Shared, job: Job) -> InstanceReport:
    server = _server.decode(job.server)
    try:
        if job.guest is not None:
            server = _with_guest_of(server, job.guest)
        report = analyze_server(server, shared.fabric, shared.config, read_at=shared.read_at)
        report = apply_mutes(report, shared.config.mute, Day(shared.generated_at[:10]))
    except Exception as error:  # noqa: BLE001 - a fault of ours must not take the other servers' results away
        report = _failed(server, error)
    return report if shared.flows else msgspec.structs.replace(report, flows=report.flows[:1])


def _with_guest_of(server: Server, data: bytes) -> Server:
    try:
        return with_guest(server, read_guest_file(data, server.id))
    except SnapshotError as error:
        return with_guest(server, Problem(code="guest_unreadable", message=f"its guest file: {error}"))


def _failed(server: Server, error: Exception) -> InstanceReport:
    message = one_line(f"internal error ({type(error).__name__}: {error}); report it with this server's snapshot")
    return instance_report(server, "incomplete", (*server.problems, Problem(code="internal_error", message=message)))


_of_worker: list[Shared] = []


def _start_worker(shared: Shared) -> None:
    """In a worker process, once. Interrupts are the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _of_worker[:] = [shared]
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


def _work(chunk: bytes) -> bytes:
    return analyze_chunk(_of_worker[0], chunk)
