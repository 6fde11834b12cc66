"""The third answer: what a lookup says when it meets a fact that was not collected or is not modelled.

In maps and decisions it is a value, `Unknown`. Where a single fact is read, or a single question asked, it is raised.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Undetermined(Exception):  # noqa: N818 - an answer, not an error
    """The answer depends on something unknown; the message says on what, in words for the report."""


class Unknown(Struct, frozen=True):
    """The same as a value."""

    reason: str


class Several(Unknown, frozen=True):
    """What becomes of the packets depends on what is not known; `worlds` are all that may (Received, Sent or NotSent).
    The first is that of the plainest packets.
    """

    worlds: tuple[Any, ...] = ()


def worlds_of(outcome: Any) -> tuple[Any, ...]:
    """What may become of the packets: one thing, but for Several."""
    return outcome.worlds if isinstance(outcome, Several) else (outcome,)


def in_each_world(outcome: Several, judge: Callable[[Any], Any]) -> Unknown:
    """The outcome, or what is judged of a world where that is not known."""
    judged = [judge(world) for world in outcome.worlds]
    return next((each for each in judged if isinstance(each, Unknown)), outcome)


def or_unknown(compute: Callable[[], T]) -> T | Unknown:
    """What it computes, or what that depends on."""
    try:
        return compute()
    except Undetermined as reason:
        return Unknown(str(reason))


def known(answer: T | Unknown) -> T:
    """The answer. Raises Undetermined where it is not known."""
    if isinstance(answer, Unknown):
        raise Undetermined(answer.reason)
    return answer
