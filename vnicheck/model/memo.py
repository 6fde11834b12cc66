"""Answers that are worked out once."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo(dict[Hashable, Any]):
    """Answers by their questions. None is no answer: what says it is asked again."""

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` says, computed once for each key."""
        known: T | None = self.get(key)
        if known is None:
            known = self[key] = compute()
        return known
