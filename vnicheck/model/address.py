"""IPv4 addresses and prefixes as text and as integers.

The model keeps text (what people and JSON read); kernel, fabric and engine compute with integers in host order.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

Range = tuple[int, int]
"""The first and the last of addresses or ports, as integers, both inside."""
LAST = 0xFFFFFFFF
"""255.255.255.255 as an integer."""

_QUAD = re.compile(r"(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})", re.ASCII)


@lru_cache(maxsize=1 << 16)
def parse_address(text: str) -> int:
    """`"10.0.0.1"` as an integer. Raises ValueError on anything but four decimal numbers without leading zeros."""
    match = _QUAD.fullmatch(text)
    if match is None:
        raise ValueError(f"not an IPv4 address: {text[:40]!r}")
    value = 0
    for part in match.groups():
        number = int(part)
        if number > 255:
            raise ValueError(f"not an IPv4 address: {text[:40]!r}")
        value = value << 8 | number
    return value


def is_address(text: str) -> bool:
    """Whether `parse_address` reads it."""
    try:
        parse_address(text)
    except ValueError:
        return False
    return True


def format_address(value: int) -> str:
    """An integer as `"10.0.0.1"`."""
    return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def mask(length: int) -> int:
    """The netmask of a prefix length, 0 to 32, as an integer."""
    return LAST << (32 - length) & LAST


def split_prefix(text: str) -> tuple[int, int]:
    """`"10.0.0.12/24"` as (address, length), host bits kept; a missing length means 32. Raises ValueError."""
    address, slash, length = text.partition("/")
    if slash == "":
        return parse_address(address), 32
    if not (length.isascii() and length.isdigit() and len(length) <= 2 and int(length) <= 32):
        raise ValueError(f"not an IPv4 prefix: {text[:40]!r}")
    return parse_address(address), int(length)


def parse_prefix(text: str) -> tuple[int, int]:
    """`"10.0.0.0/24"` as (network, length). Raises ValueError also where host bits are set."""
    address, length = split_prefix(text)
    if address & ~mask(length) & LAST:
        raise ValueError(f"host bits are set in prefix {text[:40]!r}")
    return address, length


def format_prefix(network: int, length: int) -> str:
    """(network, length) as `"10.0.0.0/24"`."""
    return f"{format_address(network)}/{length}"


@lru_cache(maxsize=1 << 16)
def prefix_range(text: str) -> Range:
    """The first and last address of a prefix, as integers. Raises ValueError."""
    network, length = parse_prefix(text)
    return network, network | (~mask(length) & LAST)


@lru_cache(maxsize=1 << 16)
def range_prefixes(first: int, last: int) -> tuple[str, ...]:
    """The fewest prefixes that cover the range from `first` to `last` exactly, in order."""
    prefixes = []
    while first <= last:
        size = first & -first if first else LAST + 1
        while size > last - first + 1:
            size >>= 1
        prefixes.append(format_prefix(first, 32 - (size.bit_length() - 1)))
        first += size
    return tuple(prefixes)


def merge_ranges(ranges: Iterable[Range]) -> list[Range]:
    """Sorted, disjoint ranges with touching neighbours joined."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
