"""Failures that the stand-in commits on demand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase


@dataclass
class Fault:
    """What happens to the next `times` calls (None: all) of `method` on paths like `path` (`/instances/*/x`).

    In this order: wait `delay` seconds; `reset` the connection; answer `status` with `headers` and `body` (None: the
    API's error shape); or answer normally, but with `repeat_page` link each page but the first to itself, with
    `same_page` give the first page under ever new links, with `drip` wait so many seconds before each byte, and with
    `cut` end the list after its first page. `gzip`: a `body` is sent compressed. A fault of a delay alone only slows
    the answer.
    """

    path: str
    method: str = "GET"
    times: int | None = 1
    delay: float = 0.0
    reset: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    repeat_page: bool = False
    same_page: bool = False
    drip: float = 0.0
    cut: bool = False
    gzip: bool = False

    def takes(self, method: str, path: str) -> bool:
        """Whether the call is one of them; counts it."""
        if self.times == 0 or method != self.method or not fnmatchcase(path, self.path):
            return False
        if self.times is not None:
            self.times -= 1
        return True
