"""Maps of the address space say, stretch by stretch, what point by point is true of them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vnicheck.model.address import LAST, merge_ranges
from vnicheck.model.address_map import AddressMap, choose, constant, joined, zipped

edges = st.integers(1, 60) | st.integers(LAST - 5, LAST)
points = st.integers(0, 64) | st.integers(LAST - 8, LAST)
values = st.sampled_from([None, 0, 1, 2, "a"])
ranges = st.lists(st.tuples(points, points).map(lambda pair: (min(pair), max(pair))), max_size=4).map(merge_ranges)


@st.composite
def maps(draw: st.DrawFn) -> AddressMap[object]:
    starts = sorted(draw(st.sets(edges, max_size=6)) | {0})
    return joined((start, draw(values)) for start in starts)


def check(made: AddressMap[object]) -> None:
    """It covers the space, in order, and neighbours differ."""
    assert made.starts[0] == 0
    assert list(made.starts) == sorted(set(made.starts))
    assert made.starts[-1] <= LAST
    assert len(made.starts) == len(made.values)
    assert all(one != other for one, other in pairwise(made.values))


def holds(address: int, within: list[tuple[int, int]]) -> bool:
    return any(first <= address <= last for first, last in within)


@given(st.lists(maps(), min_size=1, max_size=4), points)
def test_zipped_is_what_each_says(several: list[AddressMap[object]], address: int) -> None:
    made = zipped(several)
    check(made)
    assert made.at(address) == tuple(each.at(address) for each in several)


@given(maps(), maps(), ranges, points)
def test_choose(
    inside: AddressMap[object], outside: AddressMap[object], within: list[tuple[int, int]], address: int
) -> None:
    made = choose(within, inside, outside)
    check(made)
    assert made.at(address) == (inside if holds(address, within) else outside).at(address)


@given(maps(), points)
def test_mapped_joins_what_becomes_one(one: AddressMap[object], address: int) -> None:
    made = one.mapped(lambda value: isinstance(value, int))
    check(made)
    assert made.at(address) is isinstance(one.at(address), int)


@given(maps(), points, points)
def test_stretches_cover_a_range_exactly(one: AddressMap[object], some: int, other: int) -> None:
    first, last = min(some, other), max(some, other)
    found = list(one.stretches(first, last))
    assert (found[0][0], found[-1][1]) == (first, last)
    assert all(after[0] == before[1] + 1 for before, after in pairwise(found))
    assert all(one.at(low) == one.at(high) == value for low, high, value in found)


def test_a_constant_is_one_stretch() -> None:
    check(constant(7))
    assert list(constant(7).stretches()) == [(0, LAST, 7)]
