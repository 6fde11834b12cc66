"""Answers that are worked out once."""

import sys
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo(dict[Hashable, Any]):
    """Answers by their questions. What is answered by None is asked again."""

    def __init__(self, most: int = sys.maxsize) -> None:
        """`most`: where there are as many answers, all are forgotten."""
        super().__init__()
        self._most = most

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` says, computed once for each key."""
        known: T | None = self.get(key)
        if known is None:
            known = compute()
            if len(self) >= self._most:
                self.clear()
            self[key] = known
        return known
