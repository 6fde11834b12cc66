"""For all tests."""

import fcntl
import os
import signal
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.support", "tests.lab")

from tests.support import amounts  # noqa: E402 (what it imports is rewritten, too)

# Of a test that is marked `long`, about one set of parameters in so many runs without --long; or in N of `long(N)`.
SAMPLE = 12


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="all of what is long by nature, not the same sample each time")
    parser.addoption("--quick", action="store_true", help="of what is done with every recorded case such a sample, too")


def pytest_configure(config: pytest.Config) -> None:
    """A shell's background job ignores SIGINT, and so would the programs whose answer to it is tested."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    amounts.long = config.getoption("--long")


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of our own: the names of servers that the tests make up are not to be the user's completions."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", os.fspath(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="module")
def _managers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Namespaces of the lab see one another's processes: while a file's tests start network managers, those of no other
    file do so, or ask a server which ones run. Other runs of the tests on the machine count, too.
    """
    mark = request.node.get_closest_marker("managers")
    if mark is None:
        yield
        return
    with (Path(tempfile.gettempdir()) / "vnicheck-tests-managers").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if mark.args == ("starts",) else fcntl.LOCK_SH)
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --long, of each test marked `long` the first case is kept, and a sample: the same on every machine, and
    the same sets of parameters in each test, which share what is made for them. Where a case of the test is not marked,
    that one is the first; of a test marked `long(sampled=False)` none is kept. With --quick the same holds of each test
    marked `recorded`.
    """
    if config.getoption("--long"):
        return
    sampled = ("long", "recorded") if config.getoption("--quick") else ("long",)
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    begun: set[str] = set()
    for item in items:
        test, _, parameters = item.nodeid.partition("[")
        mark = next((mark for mark in item.iter_markers() if mark.name in sampled), None)
        every = mark.args[0] if mark is not None and mark.args else SAMPLE
        drawn = test not in begun or zlib.crc32(parameters.encode()) % every == 0
        begun.add(test)
        (kept if mark is None or (drawn and mark.kwargs.get("sampled", True)) else left_out).append(item)
    items[:] = kept
    if left_out:
        config.hook.pytest_deselected(items=left_out)
