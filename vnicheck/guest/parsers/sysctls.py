"""Sysctls, by their path below /proc/sys.

net/ipv4/conf/eth0.100/rp_filter:1          from `grep -H ''`
net.ipv4.conf.eth0/100.rp_filter = 1        from `sysctl -a`, where a dot of an interface's name is a slash
"""

import re

from vnicheck.guest.parsers.parsed import capped, text_lines

_VALUE = re.compile(r"[+-]?\d{1,10}", re.ASCII)


def parse_sysctls(text: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """The values that are whole numbers, and the lines that are not understood. A key that comes twice: the last wins.

    Raises CollectionError `guest_unreadable` on more lines than we read.
    """
    values: dict[str, int] = {}
    unmodelled: list[str] = []
    for line in text_lines(text, "sysctl"):
        path, value = _split(line)
        if path is None or _VALUE.fullmatch(value) is None:
            unmodelled.append(capped(line))
        else:
            values[path] = int(value)
    return values, tuple(unmodelled)


def _split(line: str) -> tuple[str | None, str]:
    if " = " in line:
        key, _, value = line.partition(" = ")
        return _path(key.strip()), value.strip()
    path, colon, value = line.rpartition(":")
    path = path.removeprefix("/proc/sys/")
    return (path if colon and path.startswith("net/ipv4/") else None), value.strip()


def _path(key: str) -> str | None:
    """`net.ipv4.conf.NAME.KEY`: KEY follows the last dot, and in NAME slashes stand for dots."""
    if key.startswith("net/ipv4/"):
        return key
    if not key.startswith("net.ipv4."):
        return None
    conf, dot, rest = key.partition("net.ipv4.conf.")
    if not dot or conf:
        return key.replace(".", "/")
    name, dot, leaf = rest.rpartition(".")
    return f"net/ipv4/conf/{name.replace('/', '.')}/{leaf}" if dot else None
