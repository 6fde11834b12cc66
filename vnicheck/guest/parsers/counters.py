"""/proc/net/snmp, /proc/net/netstat and /proc/net/stat/rt_cache: counters by the names of nstat.

TcpExt: SyncookiesSent IPReversePathFilter
TcpExt: 0 12
"""

import re

_NUMBER = re.compile(r"-?\d{1,20}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{1,16}", re.ASCII)
_KEPT_GROUPS = {"Ip", "IpExt", "Icmp"}
_KEPT = {"TcpExtIPReversePathFilter"}
_READ_GROUPS = {*_KEPT_GROUPS, "TcpExt"}
_MARTIANS = ("in_martian_src", "in_martian_dst")


def parse_counters(text: str) -> dict[str, int]:
    """The counters of IP and ICMP, and `TcpExtIPReversePathFilter`; the rest say nothing of dropped packets."""
    counters: dict[str, int] = {}
    heads: dict[str, list[str]] = {}
    for line in text.split("\n"):
        group, _, rest = line.partition(":")
        words = rest.split() if group in _READ_GROUPS else []
        if not words:
            continue
        names = heads.pop(group, None)
        if names is None:
            heads[group] = words
            continue
        for name, value in zip(names, words, strict=False):
            key = group + name
            if (group in _KEPT_GROUPS or key in _KEPT) and _NUMBER.fullmatch(value):
                counters[key] = int(value)
    return counters


def parse_route_cache(text: str) -> dict[str, int]:
    """`rt_cache_in_martian_src` and `..._dst`: martian packets, summed over the processors (hexadecimal rows)."""
    lines = [line.split() for line in text.split("\n") if line.split()]
    if len(lines) < 2:
        return {}
    sums: dict[str, int] = {}
    for column, name in enumerate(lines[0]):
        cells = [row[column] for row in lines[1:] if column < len(row)]
        if name in _MARTIANS and cells and all(_HEX.fullmatch(cell) for cell in cells):
            sums[f"rt_cache_{name}"] = sum(int(cell, 16) for cell in cells)
    return sums
