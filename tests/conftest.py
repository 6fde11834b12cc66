"""For all tests."""

import os
import signal
import zlib
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.support", "tests.lab")

from tests.support import amounts  # noqa: E402 (what it imports is rewritten, too)

# Of a test that is marked `long`, about one set of parameters in so many runs without --long; or in N of `long(N)`.
# Of one that is marked `recorded(N)` one in N runs, and one in so many with --quick.
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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --long, of each test that is marked `long` or `recorded` the first case is kept, and a sample: the same
    on every machine, and the same sets of parameters in each test, which share what is made for them. Where a case of
    the test is not marked, that one is the first; of a test marked `long(sampled=False)` none is kept.
    """
    if config.getoption("--long"):
        return
    quick = config.getoption("--quick")
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    begun: set[str] = set()
    for item in items:
        test, _, parameters = item.nodeid.partition("[")
        mark = next((mark for mark in item.iter_markers() if mark.name in ("long", "recorded")), None)
        drawn = test not in begun or zlib.crc32(parameters.encode()) % _one_in(mark, quick=quick) == 0
        begun.add(test)
        (kept if mark is None or (drawn and mark.kwargs.get("sampled", True)) else left_out).append(item)
    items[:] = kept
    if left_out:
        config.hook.pytest_deselected(items=left_out)


def _one_in(mark: pytest.Mark | None, *, quick: bool) -> int:
    """In how many cases one is tried."""
    if mark is None:
        return 1
    if mark.name == "recorded":
        return SAMPLE if quick else int(mark.args[0])
    return int(mark.args[0]) if mark.args else SAMPLE
