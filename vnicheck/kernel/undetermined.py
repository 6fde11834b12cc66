"""The third answer: what a lookup says when it meets a fact that was not collected or is not modelled."""

from collections.abc import Hashable, Iterable
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


class Undetermined(Exception):  # noqa: N818 - an answer, not an error
    """The answer depends on something unknown; the message says on what, in words for the report."""


def agreed(answers: Iterable[T], differs: str) -> T:
    """The one answer that all possible worlds give. Raises Undetermined(differs) where they give more than one."""
    distinct = set(answers)
    if len(distinct) != 1:
        raise Undetermined(differs)
    return distinct.pop()
