"""Where work on many servers is done: a Dask cluster, or this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from vnicheck.analysis import many
from vnicheck.analysis.dask_cluster import dask_cluster
from vnicheck.analysis.processes import Spread, in_process, processes, usable_cores


@contextmanager
def spread_over(
    servers: int,
    workers: int | None,
    dask: str | None,
    *,
    chunk: int = many.CHUNK,
    worth_processes: int = many.WORTH_PROCESSES,
) -> Iterator[Spread]:
    """The way for so many servers: over the Dask cluster at an address, or over `workers` processes (None: as they are
    worth). Raises ClusterError, WorkersLostError.
    """
    if dask is None:
        yield local(servers, workers, chunk=chunk, worth_processes=worth_processes)
        return
    with dask_cluster(dask) as spread:
        yield spread


def local(
    servers: int,
    workers: int | None = None,
    *,
    chunk: int = many.CHUNK,
    worth_processes: int = many.WORTH_PROCESSES,
) -> Spread:
    """The way for so many servers on this machine: `workers` processes, by default one for each core."""
    count = usable_cores() if workers is None else workers
    if count == 1 or (workers is None and servers < worth_processes):
        return in_process
    return processes(min(count, max(1, -(-servers // chunk))))
