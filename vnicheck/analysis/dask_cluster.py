"""Work on an existing Dask cluster: the same function of the same bytes, on its workers. Needs `vnicheck[dask]`."""

import socket
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlsplit

from vnicheck import __version__
from vnicheck.analysis.processes import S, Spread, Work, WorkersLostError, in_order, usable_cores
from vnicheck.model.words import one_line

CONNECT_TIMEOUT = 20
LOCAL = "local"
"""In place of an address: a cluster of this machine's cores, on loopback, that lives as long as it is needed."""
_AHEAD = 3


class ClusterError(Exception):
    """No cluster to work on. The message is one line for the user."""


@contextmanager
def dask_cluster(address: str) -> Iterator[Spread]:
    """The way over the cluster of the scheduler at `address` (`tcp://10.0.0.9:8786`, or LOCAL). Raises ClusterError."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ClusterError("--dask needs Dask: pip install '.[dask]' in a checkout of vnicheck") from error
    if address == LOCAL:
        with (
            LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=usable_cores(),
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=50,
            ) as cluster,
            dask_cluster(cluster.scheduler_address) as spread,
        ):
            yield spread
        return
    _require_answer(address)
    try:
        client: Any = Client(address, timeout=CONNECT_TIMEOUT, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(f"no Dask scheduler answers at {one_line(address, 100)}: {one_line(error, 200)}") from error
    with client:
        _require_same_version(client, address)
        yield _over(client)


def _require_answer(address: str) -> None:
    """Raises ClusterError where nothing listens: a Client that finds nothing takes most of a minute to give up."""
    told = f"no Dask scheduler answers at {one_line(address, 100)}"
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None:
        raise ClusterError(f"{told}: write tcp://HOST:PORT")
    try:
        socket.create_connection((host, port), CONNECT_TIMEOUT).close()
    except OSError as error:
        raise ClusterError(f"{told}: {error.strerror or error}") from error


def _over(client: Any) -> Spread:
    def spread(work: Work[S], shared: S, chunks: Iterator[bytes]) -> Iterator[bytes]:
        from distributed import CancelledError, KilledWorker
        from distributed.client import FutureCancelledError

        threads = sum(client.nthreads().values())
        there = client.scatter(shared, broadcast=True, hash=False)

        def submit(chunk: bytes) -> Future[bytes]:
            return cast(Future[bytes], client.submit(work, there, chunk, pure=False))

        try:
            yield from in_order(submit, chunks, ahead=_AHEAD * threads)
        except (KilledWorker, CancelledError, FutureCancelledError, OSError) as error:
            why = "workers of the Dask cluster ended while they worked (out of memory?), or its scheduler did"
            raise WorkersLostError(why) from error

    return spread


def _require_same_version(client: Any, address: str) -> None:
    """Workers that run another version would give other answers. Raises ClusterError."""
    try:
        versions = client.run(_version)
    except Exception as error:  # the workers' own failure comes back as itself
        raise ClusterError(
            f"the workers of {one_line(address, 100)} cannot import vnicheck: {one_line(error)}"
        ) from error
    if not versions:
        raise ClusterError(f"the Dask cluster at {one_line(address, 100)} has no workers")
    others = sorted({str(version) for version in versions.values()} - {__version__})
    if others:
        raise ClusterError(f"the workers run vnicheck {others[0]}, and this is {__version__}: install the same there")


def _version() -> str:
    from vnicheck import __version__

    return __version__
