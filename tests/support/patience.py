"""What ends by itself, and in time.

The program's limits are of a second or so in tests, and what they end would last for a minute or more. Between the two
there is room for a machine that has much else to do: how quick it is belongs to `benchmarks/`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 45


@contextmanager
def ends_in_time() -> Iterator[None]:
    """What runs here has ended long before what it waits for, or would have worked at, has."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SECONDS, "what a limit is there to end was waited for"
