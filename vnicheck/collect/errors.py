"""The one exception of this room, and the funnel into it."""

from collections.abc import Iterator
from contextlib import contextmanager

from vnicheck.cloud.errors import CloudError
from vnicheck.guest.errors import CollectionError
from vnicheck.model.snapshot import SnapshotError
from vnicheck.system.files import UnreadableError


class CollectError(Exception):
    """What was asked for cannot be collected. The message is one line for the user: what is wrong, what to do."""


@contextmanager
def told() -> Iterator[None]:
    """What ends a collection leaves as a CollectError; what concerns one server is caught before, and its problem."""
    try:
        yield
    except (CloudError, CollectionError, SnapshotError, UnreadableError) as error:
        raise CollectError(str(error)) from error
