"""Two partitions of the same flows beside each other: the classes of one, cut along the other's edges. Exact."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

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


class _Area(Struct, frozen=True):
    """A class as ranges."""

    index: int
    remotes: list[Range]
    ports: list[Range]
    local: list[Range]


def pieces(before: Sequence[Flow], after: Sequence[Flow]) -> Iterator[Piece]:
    """What the classes of `before` and of `after` share, in the order of both."""
    others: dict[tuple[str, ...], list[_Area]] = {}
    for index, flow in enumerate(after):
        others.setdefault(_kind(flow), []).append(_area(index, flow))
    for index, flow in enumerate(before):
        here = _area(index, flow)
        for there in others.get(_kind(flow), ()):
            ports = intersection(here.ports, there.ports)
            if not ports:
                continue
            remotes = here.remotes if here.remotes == there.remotes else intersection(here.remotes, there.remotes)
            local = intersection(here.local, there.local)
            if remotes and (local or not here.local):
                yield Piece(index, there.index, tuple(remotes), tuple(ports), tuple(local))


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


@lru_cache(maxsize=1 << 10)
def _ranges(prefixes: tuple[str, ...]) -> tuple[Range, ...]:
    return tuple(merge_ranges(map(prefix_range, prefixes)))


def port_ranges(flow: Flow, without: Range = NO_PORTS) -> list[Range]:
    """The ports of a class, sorted and disjoint; `without` stands for those of a protocol that has none."""
    if isinstance(flow.ports, UnsetType):
        return [without]
    return merge_ranges(map(parse_ports, flow.ports))


def _kind(flow: Flow) -> tuple[str, ...]:
    return flow.direction, flow.protocol, flow.local


def _area(index: int, flow: Flow) -> _Area:
    local = () if isinstance(flow.local_prefixes, UnsetType) else flow.local_prefixes
    return _Area(
        index,
        remote_ranges(flow),
        port_ranges(flow),
        merge_ranges(prefix_range(prefix) for prefix in local),
    )
