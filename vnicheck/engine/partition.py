"""Who may be a remote; remotes and ports as texts."""

from collections.abc import Iterable
from functools import lru_cache

from vnicheck.model.address import Range, merge_ranges, parse_address, prefix_range, range_prefixes

NEVER_REMOTE = ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4")
"""Addresses that no remote has: this network, loopback, multicast, reserved."""

ALL_PORTS: Range = (1, 65535)

NO_PORTS: Range = (0, 0)
"""The ports of a protocol that has none."""


def never_remote(own: Iterable[str]) -> list[Range]:
    """The addresses that no remote has, in order; `own`: the server's own."""
    return merge_ranges(
        [prefix_range(prefix) for prefix in NEVER_REMOTE] + [(address, address) for address in map(parse_address, own)]
    )


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
