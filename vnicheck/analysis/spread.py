"""Where many servers are analyzed: a Dask cluster, or this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from vnicheck.analysis.dask_cluster import dask_cluster
from vnicheck.analysis.many import Spread, local


@contextmanager
def spread_over(servers: int, workers: int | None, dask: str | None) -> Iterator[Spread]:
    """The way for so many servers: over the Dask cluster at an address, or over `workers` processes (None: as they are
    worth). Raises ClusterError, WorkersLostError.
    """
    if dask is None:
        yield local(servers, workers)
        return
    with dask_cluster(dask) as spread:
        yield spread
