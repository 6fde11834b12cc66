"""/proc/net/udp and /proc/net/tcp, as far as the collect script takes them.

    udp    12: 00000000:0035 00000000:0000 07 00000000:00000000 ...
    tcp     3: 0C00000A:0050 0400080A:9C40 03 00000000:00000000 ...

Addresses are four bytes in the order of the processor (shown here: little-endian), ports are numbers.
"""

import re

from vnicheck.model.address import format_address
from vnicheck.model.guest import Sockets

_END = r"([0-9A-F]{8}|0{32}):([0-9A-F]{4})"
_LINE = re.compile(rf"(udp|tcp)\s+\d+: {_END} {_END} [0-9A-F]{{2}} ", re.ASCII)


def parse_sockets(text: str) -> Sockets:
    """The UDP ports that listen on every address, and the local addresses of half-open connections."""
    ports: set[int] = set()
    half_open: dict[str, int] = {}
    for line in text.split("\n"):
        match = _LINE.match(line)
        if match is None:
            continue
        if match[1] == "udp":
            ports.add(int(match[3], 16))
        elif len(match[2]) == 8:
            address = format_address(int.from_bytes(bytes.fromhex(match[2]), "little"))
            half_open[address] = half_open.get(address, 0) + 1
    return Sockets(udp_everywhere=tuple(sorted(ports)), half_open=half_open)
