"""`vnicheck lint` of a folder over processes and over a Dask cluster: the same bytes as from one process."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet import write_folder
from tests.support.program import lint, one_line

SERVERS = 45
FORMATS = ("json", "sarif", "text", "junit")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("region"), SERVERS)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    distributed: Any = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


def documents(folder: Path, where: Path, *options: str) -> dict[str, bytes]:
    """Every format's bytes, without the time."""
    where.mkdir()
    done = lint(f"--snapshot={folder}", *options, *(f"--format={name}={where / name}" for name in FORMATS))
    assert (done.returncode, done.stdout) == (1, "")
    stamp = re.compile(rb'"(generated_at|generatedAt)": "[^"]*"')
    return {name: stamp.sub(b"", (where / name).read_bytes()) for name in FORMATS}


def test_processes_and_a_cluster_write_the_same_bytes(repository: Path, folder: Path, scheduler: str) -> None:
    alone = documents(folder, repository / "alone", "--workers=1")
    assert all(len(data) > 400 for data in alone.values())
    assert documents(folder, repository / "processes", "--workers=2") == alone
    assert documents(folder, repository / "cluster", f"--dask={scheduler}") == alone


def test_text_alone_is_the_same_as_text_beside_formats_that_read_flows(repository: Path, folder: Path) -> None:
    beside = documents(folder, repository / "beside")["text"].decode()
    alone = lint(f"--snapshot={folder}", "--workers=2", "--format=text=text")
    assert alone.returncode == 1
    assert (repository / "text").read_text() == beside


def test_a_broken_guest_file_is_its_servers_problem(repository: Path, folder: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt"
    shutil.copytree(folder, spoilt)
    (path,) = (spoilt / "us-south" / "guests").glob("*web-2-0.*")
    path.write_text("{}")
    done = lint(f"--snapshot={spoilt}", "--workers=2", "--format=json")
    assert done.returncode == 1
    assert done.stdout.count('"guest_unreadable"') == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dask=tcp://127.0.0.1:8786", "--workers=2"], "--workers and --dask exclude each other"),
        (["--dask=nonsense"], "no Dask scheduler answers at nonsense"),
        (["--workers=0"], "--workers"),
    ],
)
def test_slips(repository: Path, folder: Path, options: list[str], said: str) -> None:
    done = lint(f"--snapshot={folder}", *options)
    assert done.returncode == 2
    assert said in one_line(done)
