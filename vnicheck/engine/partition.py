"""Who may be a remote; remotes and ports as texts; and the atoms by which flows in transit are told apart.

Every stage's answer is constant between two cuts (the edges of the prefixes that it reads), so one address of each
atom, the stretch between two neighbouring cuts, stands for all of it: nothing is sampled.
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

from vnicheck.model.address import LAST, Range, merge_ranges, parse_address, prefix_range, range_prefixes

NEVER_REMOTE = ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4")
"""Addresses that no remote has: this network, loopback, multicast, reserved."""

ALL_PORTS: Range = (1, 65535)

NO_PORTS: Range = (0, 0)
"""The ports of a protocol that has none."""


def address_atoms(own: Iterable[str], cuts: Iterable[int]) -> list[Range]:
    """The possible remotes in order, cut so that every atom lies on one side of every cut.

    `own`: the server's own addresses, which are no remotes.
    """
    excluded = never_remote(own)
    edges = {edge for first, last in excluded for edge in (first, last + 1)}
    points = sorted({cut for cut in edges.union(cuts, (0, LAST + 1)) if 0 <= cut <= LAST + 1})
    starts = dict(excluded)
    atoms = []
    skip_to = 0
    for first, after in pairwise(points):
        if first in starts:
            skip_to = starts[first] + 1
        if first >= skip_to:
            atoms.append((first, after - 1))
    return atoms


def never_remote(own: Iterable[str]) -> list[Range]:
    """The addresses that no remote has, in order; `own`: the server's own."""
    return merge_ranges(
        [prefix_range(prefix) for prefix in NEVER_REMOTE] + [(address, address) for address in map(parse_address, own)]
    )


def port_atoms(cuts: Iterable[int]) -> list[Range]:
    """Ports 1-65535 in order, cut at every cut."""
    first, last = ALL_PORTS
    points = sorted({first, last + 1, *(cut for cut in cuts if first < cut <= last)})
    return [(start, after - 1) for start, after in pairwise(points)]


def to_prefixes(ranges: Iterable[Range]) -> tuple[str, ...]:
    """The fewest prefixes that cover the ranges exactly, in order."""
    return tuple(prefix for first, last in merge_ranges(ranges) for prefix in range_prefixes(first, last))


def to_ports(ranges: Iterable[Range]) -> tuple[str, ...]:
    """Port ranges as `"22"` or `"1-65535"`, touching ones joined, in order."""
    return _to_ports(tuple(ranges))


def parse_ports(text: str) -> Range:
    """The first and the last port of `22` or `1-65535`."""
    first, _, last = text.partition("-")
    return int(first), int(last or first)


@lru_cache(maxsize=1 << 12)
def _to_ports(ranges: tuple[Range, ...]) -> tuple[str, ...]:
    return tuple(str(first) if first == last else f"{first}-{last}" for first, last in merge_ranges(ranges))
