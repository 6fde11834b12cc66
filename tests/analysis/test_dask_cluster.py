"""A real Dask cluster of two workers on loopback gives the bytes that this process gives."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.support.many import SHARED, analyzed, fleet
from vnicheck.analysis import dask_cluster as ours
from vnicheck.analysis.dask_cluster import ClusterError, dask_cluster
from vnicheck.analysis.many import CHUNK, analyze_many
from vnicheck.analysis.processes import WorkersLostError
from vnicheck.model.region import job_of

distributed: Any = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    config = {"distributed.scheduler.allowed-failures": 0, "distributed.worker.daemon": True}
    import dask

    with (
        dask.config.set(config),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
        ) as made,
    ):
        yield made


def test_a_cluster_gives_the_same_bytes_in_the_same_order(cluster: Any) -> None:
    jobs = [job_of(each) for each in fleet(5 * CHUNK + 1)]
    with dask_cluster(cluster.scheduler_address) as spread:
        there = analyzed(jobs, spread=spread)
        again = analyzed(jobs, spread=spread)
    here = [msgspec.json.encode(each) for each in analyzed(jobs)]
    assert [msgspec.json.encode(each) for each in there] == here
    assert [msgspec.json.encode(each) for each in again] == here


def test_a_cluster_of_this_machine() -> None:
    jobs = [job_of(each) for each in fleet(CHUNK + 1)]
    with dask_cluster("local") as spread:
        assert analyzed(jobs, spread=spread) == analyzed(jobs)


def test_both_workers_work(cluster: Any) -> None:
    jobs = [job_of(each) for each in fleet(12 * CHUNK)]
    with distributed.Client(cluster) as client, dask_cluster(cluster.scheduler_address) as spread:
        analyzed(jobs, SHARED, spread)
        fabrics = client.run(fabrics_known)
    assert len(fabrics) == 2
    assert all(count > 0 for count in fabrics.values())


def fabrics_known() -> int:
    """How many fabrics the process has looked into."""
    from vnicheck.fabric import memory

    return len(memory._known)


def test_no_scheduler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "CONNECT_TIMEOUT", 1)
    with (
        pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
        dask_cluster("tcp://127.0.0.1:9"),
    ):
        pass
    with pytest.raises(ClusterError, match="no Dask scheduler answers"), dask_cluster("what is this"):
        pass


def test_workers_of_another_version_are_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "__version__", "0.0.0")
    refused = pytest.raises(ClusterError, match=r"the workers run vnicheck .*, and this is 0\.0\.0")
    with refused, dask_cluster(cluster.scheduler_address):
        pass


def test_workers_that_die_are_told(cluster: Any) -> None:
    """The last test: it leaves the cluster's workers dead, or new ones."""
    jobs = [job_of(each) for each in fleet(60 * CHUNK)]
    with dask_cluster(cluster.scheduler_address) as spread:
        reports = analyze_many(jobs, SHARED, spread)
        next(reports)
        for nanny in cluster.workers.values():
            os.kill(nanny.pid, signal.SIGKILL)
        with pytest.raises(WorkersLostError):
            list(reports)
