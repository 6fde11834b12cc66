"""What a class of flows extends over, as sorted, disjoint ranges of numbers, and sets of such ranges."""

from collections.abc import Iterator, Sequence

from msgspec import UnsetType

from vnicheck.engine.partition import Range
from vnicheck.model.address import merge_ranges, prefix_range
from vnicheck.model.expectation import EVERY_PORT
from vnicheck.model.flow import Flow


def remotes_of(flow: Flow) -> list[Range]:
    """The remotes of a class."""
    return merge_ranges(prefix_range(prefix) for prefix in flow.remote)


def ports_of(flow: Flow) -> list[Range]:
    """The ports of a class; for ICMP one range, which stands for none."""
    if isinstance(flow.ports, UnsetType):
        return [EVERY_PORT]
    return merge_ranges(_port_range(text) for text in flow.ports)


def intersection(some: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    """What is in both."""
    return list(_overlaps(some, others))


def difference(some: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    """What is in `some` only."""
    left: list[Range] = []
    for first, last in some:
        for taken_first, taken_last in others:
            if taken_last < first or taken_first > last:
                continue
            if taken_first > first:
                left.append((first, taken_first - 1))
            first = taken_last + 1  # noqa: PLW2901 - what remains of the range
        if first <= last:
            left.append((first, last))
    return left


def _port_range(text: str) -> Range:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _overlaps(some: Sequence[Range], others: Sequence[Range]) -> Iterator[Range]:
    here = there = 0
    while here < len(some) and there < len(others):
        first, last = max(some[here][0], others[there][0]), min(some[here][1], others[there][1])
        if first <= last:
            yield first, last
        if some[here][1] < others[there][1]:
            here += 1
        else:
            there += 1
