"""A value for every IPv4 address, constant over stretches: which sets hold it, what a rule list says of it."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from vnicheck.model.address import merge_ranges

T = TypeVar("T", covariant=True)
S = TypeVar("S")
Range = tuple[int, int]


class AddressMap(Generic[T]):
    """`values[i]` holds from `starts[i]` on, up to before the next start. The first start is 0."""

    def __init__(self, starts: Sequence[int], values: Sequence[T]) -> None:
        self.starts = starts
        self.values = values

    def at(self, address: int) -> T:
        """The value for an address."""
        return self.values[bisect_right(self.starts, address) - 1]

    def mapped(self, function: Callable[[T], S]) -> "AddressMap[S]":
        """Another value for each, stretches of one value joined."""
        starts: list[int] = []
        values: list[S] = []
        for start, value in zip(self.starts, map(function, self.values), strict=True):
            if not values or values[-1] != value:
                starts.append(start)
                values.append(value)
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
