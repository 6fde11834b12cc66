"""What applying needs of the world."""

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from vnicheck.fixes.effects import PatchVni
from vnicheck.guest.change import ScriptAnswer
from vnicheck.guest.errors import CollectionError
from vnicheck.model.guest import Guest


class Reach(Protocol):
    """One server and its VNIs. Each call that touches the guest makes an SSH session of its own."""

    def collect(self) -> Guest:
        """The guest as it is now. Raises CollectionError."""

    def run(self, script: str) -> ScriptAnswer:
        """What a script of guest/change.py, run as root, answers. Raises CollectionError."""

    def patch(self, effect: PatchVni, *, back: bool = False, sending: Callable[[], None] = lambda: None) -> bool:
        """The PATCH, or the one that undoes it; whether it was one: False where the VNI is so already. `sending` runs
        right before it. Raises CloudError (see `cloud/patch.py`).
        """

    def monotonic(self) -> float:
        """Seconds."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


def quietly(reach: Reach, script: str) -> bool:
    """A script whose failure changes nothing; whether it was answered."""
    with suppress(CollectionError):
        reach.run(script)
        return True
    return False
