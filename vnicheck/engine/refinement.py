"""Two partitions of the same flows beside each other: the classes of one, cut along the other's edges. Exact."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct, UnsetType

from vnicheck.engine.partition import NO_PORTS, parse_ports
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


class _Share(NamedTuple):
    """Flows as ranges of remotes, ports and local addresses."""

    remotes: tuple[Range, ...]
    ports: tuple[Range, ...]
    local: tuple[Range, ...]


Overlaps = list[tuple[int, int, _Share]]
"""What classes of two lists share, by their places there."""


def pieces(
    before: Sequence[Flow], after: Sequence[Flow], known: dict[tuple[tuple[int, ...], ...], Overlaps] | None = None
) -> list[Piece]:
    """What the classes of `before` and of `after` share, in the order of both. A class that is in both, the same one,
    shares nothing with any other: what it holds did not change. `known`: what was found of lists of the same flows,
    which must live as long as it does.
    """
    known = {} if known is None else known
    place_of = {id(flow): index for index, flow in enumerate(after)}
    kept = place_of.keys() & {id(flow) for flow in before}
    found = [Piece(n, place_of[id(flow)], *_area(flow)) for n, flow in enumerate(before) if id(flow) in kept]
    changed: dict[tuple[str, ...], tuple[list[int], list[int]]] = {}
    for side, flows in enumerate((before, after)):
        for index, flow in enumerate(flows):
            if id(flow) not in kept:
                changed.setdefault(_kind(flow), ([], []))[side].append(index)
    for old, new in changed.values():
        key = tuple([id(before[n]) for n in old]), tuple([id(after[n]) for n in new])
        if key not in known:
            known[key] = list(_overlaps([_area(before[n]) for n in old], [_area(after[n]) for n in new]))
        found += [Piece(old[one], new[other], *area) for one, other, area in known[key]]
    return sorted(found, key=lambda piece: (piece.before, piece.after))


def _overlaps(some: Sequence[_Share], others: Sequence[_Share]) -> Iterator[tuple[int, int, _Share]]:
    """Areas are told apart by the stretches of remotes that they have a part in: a number with a bit for each."""
    starts = sorted({edge for area in others for first, last in area.remotes for edge in (first, last + 1)})
    held = [_stretches(starts, there.remotes) for there in others]
    for one, here in enumerate(some):
        stretches = _stretches(starts, here.remotes)
        for other, there in enumerate(others):
            if not stretches & held[other]:
                continue
            ports = here.ports if here.ports == there.ports else tuple(intersection(here.ports, there.ports))
            remotes = here.remotes if here.remotes == there.remotes else intersection(here.remotes, there.remotes)
            local = tuple(intersection(here.local, there.local))
            if ports and remotes and (local or not here.local):
                yield one, other, _Share(tuple(remotes), ports, local)


def _stretches(starts: Sequence[int], remotes: Sequence[Range]) -> int:
    found = 0
    for first, last in remotes:
        low, high = bisect_right(starts, first), bisect_right(starts, last)
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
    return tuple(merge_ranges(map(parse_ports, ports)))


def _kind(flow: Flow) -> tuple[str, ...]:
    return flow.direction, flow.protocol, flow.local


def _area(flow: Flow) -> _Share:
    return _Share(
        _ranges(flow.remote),
        (NO_PORTS,) if isinstance(flow.ports, UnsetType) else _port_ranges(flow.ports),
        () if isinstance(flow.local_prefixes, UnsetType) else _ranges(flow.local_prefixes),
    )
