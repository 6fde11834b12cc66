"""Two partitions of the same flows beside each other: the classes of one, cut along the other's edges. Exact."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache

from msgspec import Struct, UnsetType

from vnicheck.engine.partition import NO_PORTS
from vnicheck.model.address import Range, merge_ranges, prefix_range
from vnicheck.model.flow import Flow


class Piece(Struct, frozen=True):
    """The flows that are in a class of each partition: `before` and `after` are the classes' indexes.

    `ports` is (0, 0) alone for ICMP; `local` is empty but for flows in transit.
    """

    before: int
    after: int
    remotes: tuple[Range, ...]
    ports: tuple[Range, ...]
    local: tuple[Range, ...] = ()


class _Area(Struct, frozen=True):
    """A class as ranges."""

    index: int
    remotes: tuple[Range, ...]
    ports: tuple[Range, ...]
    local: tuple[Range, ...]


def pieces(before: Sequence[Flow], after: Sequence[Flow]) -> Iterator[Piece]:
    """What the classes of `before` and of `after` share, in the order of both. A class that is in both, the same one,
    shares nothing with any other: what it holds did not change.
    """
    kept = {id(flow) for flow in before}
    same: dict[int, int] = {}
    changed: dict[tuple[str, ...], list[_Area]] = {}
    for index, flow in enumerate(after):
        if id(flow) in kept:
            same[id(flow)] = index
        else:
            changed.setdefault(_kind(flow), []).append(_area(index, flow))
    others = {kind: _Others(areas) for kind, areas in changed.items()}
    for index, flow in enumerate(before):
        here = _area(index, flow)
        if id(flow) in same:
            yield Piece(index, same[id(flow)], here.remotes, here.ports, here.local)
        elif (of_kind := others.get(_kind(flow))) is not None:
            yield from of_kind.meet(here)


class _Others:
    """Classes by the stretches of remotes that they have a part in, as a number with a bit for each stretch."""

    def __init__(self, areas: Sequence[_Area]) -> None:
        self._starts = sorted({edge for area in areas for first, last in area.remotes for edge in (first, last + 1)})
        self._areas = [(self._stretches(area.remotes), area) for area in areas]

    def meet(self, here: _Area) -> Iterator[Piece]:
        """What a class shares with them."""
        stretches = self._stretches(here.remotes)
        for held, there in self._areas:
            if not stretches & held:
                continue
            ports = here.ports if here.ports == there.ports else tuple(intersection(here.ports, there.ports))
            remotes = here.remotes if here.remotes == there.remotes else intersection(here.remotes, there.remotes)
            local = tuple(intersection(here.local, there.local))
            if ports and remotes and (local or not here.local):
                yield Piece(here.index, there.index, tuple(remotes), ports, local)

    def _stretches(self, remotes: Sequence[Range]) -> int:
        found = 0
        for first, last in remotes:
            low, high = bisect_right(self._starts, first), bisect_right(self._starts, last)
            found |= (1 << high + 1) - (1 << low)
        return found


def intersection(some: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    """What two lists of ranges share; both sorted and disjoint, and so is the result."""
    shared = []
    here = there = 0
    while here < len(some) and there < len(others):
        first, last = max(some[here][0], others[there][0]), min(some[here][1], others[there][1])
        if first <= last:
            shared.append((first, last))
        if some[here][1] < others[there][1]:
            here += 1
        else:
            there += 1
    return shared


def difference(some: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    """What is in `some` only; both sorted and disjoint, and so is the result."""
    left = []
    for start, last in some:
        first = start
        for taken_first, taken_last in others:
            if taken_last < first or taken_first > last:
                continue
            if taken_first > first:
                left.append((first, taken_first - 1))
            first = taken_last + 1
        if first <= last:
            left.append((first, last))
    return left


def remote_ranges(flow: Flow) -> list[Range]:
    """The remotes of a class, sorted and disjoint."""
    return list(_ranges(flow.remote))


def port_ranges(flow: Flow, without: Range = NO_PORTS) -> list[Range]:
    """The ports of a class, sorted and disjoint; `without` stands for those of a protocol that has none."""
    return [without] if isinstance(flow.ports, UnsetType) else list(_port_ranges(flow.ports))


@lru_cache(maxsize=1 << 10)
def _ranges(prefixes: tuple[str, ...]) -> tuple[Range, ...]:
    return tuple(merge_ranges(map(prefix_range, prefixes)))


@lru_cache(maxsize=1 << 10)
def _port_ranges(ports: tuple[str, ...]) -> tuple[Range, ...]:
    ends = (text.partition("-") for text in ports)
    return tuple(merge_ranges((int(first), int(last or first)) for first, _, last in ends))


def _kind(flow: Flow) -> tuple[str, ...]:
    return flow.direction, flow.protocol, flow.local


def _area(index: int, flow: Flow) -> _Area:
    return _Area(
        index,
        _ranges(flow.remote),
        (NO_PORTS,) if isinstance(flow.ports, UnsetType) else _port_ranges(flow.ports),
        () if isinstance(flow.local_prefixes, UnsetType) else _ranges(flow.local_prefixes),
    )
