"""A value for every IPv4 address, constant over stretches: where routes lead, which sets hold it, what rules say of it.

All that decides about a flow is such a map: of the remote's address, or of a port, which is a number too.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from vnicheck.model.address import LAST, Range, merge_ranges

T = TypeVar("T", covariant=True)
S = TypeVar("S")


class AddressMap(Generic[T]):
    """`values[i]` holds from `starts[i]` on, up to before the next start. The first start is 0.

    Neighbours differ in their values, but for maps that were made from their parts as they are.
    """

    __slots__ = ("starts", "values")

    def __init__(self, starts: Sequence[int], values: Sequence[T]) -> None:
        self.starts = starts
        self.values = values

    def at(self, address: int) -> T:
        """The value for an address."""
        return self.values[bisect_right(self.starts, address) - 1]

    def stretches(self, first: int = 0, last: int = LAST) -> Iterator[tuple[int, int, T]]:
        """The stretches within a range, in order: first and last address, and the value."""
        index = bisect_right(self.starts, first) - 1
        while first <= last:
            after = self.starts[index + 1] if index + 1 < len(self.starts) else LAST + 1
            yield first, min(after - 1, last), self.values[index]
            first, index = after, index + 1

    def mapped(self, function: Callable[[T], S]) -> "AddressMap[S]":
        """Another value for each."""
        return joined(zip(self.starts, map(function, self.values), strict=True))


def constant(value: S) -> AddressMap[S]:
    """One value everywhere."""
    return AddressMap((0,), (value,))


def joined(parts: Iterable[tuple[int, S]]) -> AddressMap[S]:
    """The map of starts and values in order, neighbours of one value joined."""
    starts: list[int] = []
    values: list[S] = []
    for start, value in parts:
        if not values or (values[-1] is not value and values[-1] != value):
            starts.append(start)
            values.append(value)
    return AddressMap(starts, values)


def zipped(maps: Sequence[AddressMap[Any]]) -> AddressMap[tuple[Any, ...]]:
    """All values of an address together, in one sweep over all starts."""
    edges = sorted(
        [(start, number, index) for number, each in enumerate(maps) for index, start in enumerate(each.starts)]
    )
    current: list[Any] = [None] * len(maps)
    starts: list[int] = []
    values: list[tuple[Any, ...]] = []
    for position, (start, number, index) in enumerate(edges):
        current[number] = maps[number].values[index]
        if position + 1 == len(edges) or edges[position + 1][0] != start:
            starts.append(start)
            values.append(tuple(current))
    return AddressMap(starts, values)


def choose(ranges: Iterable[Range], inside: AddressMap[T], outside: AddressMap[S]) -> AddressMap[T | S]:
    """One map's values within the ranges, which are sorted and disjoint, and the other's elsewhere."""
    starts: list[int] = []
    values: list[T | S] = []

    def copy(of: AddressMap[T | S], first: int, last: int) -> None:
        if first > last:
            return
        low, high = bisect_right(of.starts, first) - 1, bisect_right(of.starts, last)
        if values and (values[-1] is of.values[low] or values[-1] == of.values[low]):
            low += 1
        else:
            starts.append(first)
            values.append(of.values[low])
            low += 1
        starts.extend(of.starts[low:high])
        values.extend(of.values[low:high])

    done = 0
    for first, last in ranges:
        copy(outside, done, first - 1)
        copy(inside, first, last)
        done = last + 1
    copy(outside, done, LAST)
    return AddressMap(starts, values)


def membership(sets: Sequence[Iterable[Range]]) -> AddressMap[int]:
    """Which of the sets hold an address: bit `n` for the set number `n`."""
    toggles: dict[int, int] = {0: 0}
    for number, ranges in enumerate(sets):
        for first, last in merge_ranges(ranges):
            for edge in (first, last + 1):
                toggles[edge] = toggles.get(edge, 0) ^ 1 << number
    starts = sorted(toggles)
    held, values = 0, []
    for start in starts:
        held ^= toggles[start]
        values.append(held)
    return AddressMap(starts, values)
