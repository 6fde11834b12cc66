"""Names and numbers of iproute2: scopes, protocols, DS fields, tables, groups.

The constants are those of linux/rtnetlink.h and of the name files that iproute2 ships; `ip -N` prints the numbers.
"""

import re

from msgspec import Struct

from vnicheck.model.address import parse_prefix
from vnicheck.model.guest import DEFAULT_TABLE, LOCAL_TABLE, MAIN_TABLE, RouteType

SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}

PROTOCOLS = {
    0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt", 11: "zebra",
    12: "bird", 13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 17: "mrouted", 18: "keepalived", 42: "babel",
    84: "ovn", 99: "openr", 186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp",
}  # fmt: skip

ROUTE_TYPES = {
    1: RouteType.UNICAST, 2: RouteType.LOCAL, 3: RouteType.BROADCAST, 4: RouteType.ANYCAST, 5: RouteType.MULTICAST,
    6: RouteType.BLACKHOLE, 7: RouteType.UNREACHABLE, 8: RouteType.PROHIBIT, 9: RouteType.THROW,
}  # fmt: skip

IP_PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipencap": 4, "tcp": 6, "egp": 8, "igp": 9, "udp": 17, "dccp": 33, "ipv6": 41, "rsvp": 46,
    "gre": 47, "esp": 50, "ah": 51, "ipv6-icmp": 58, "icmpv6": 58, "eigrp": 88, "ospf": 89, "ospfigp": 89, "ipip": 94,
    "pim": 103, "ipcomp": 108, "vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136, "mptcp": 262,
}  # fmt: skip

DS_FIELDS = {
    "default": 0, "lowdelay": 0x10, "throughput": 0x08, "reliability": 0x04, "mincost": 0x02, "EF": 0xB8, "LE": 0x04,
    **{f"CS{n}": n << 5 for n in range(8)},
    **{f"AF{c}{d}": c << 5 | d << 3 for c in range(1, 5) for d in range(1, 4)},
}  # fmt: skip

TABLES = {"unspec": 0, "default": DEFAULT_TABLE, "main": MAIN_TABLE, "local": LOCAL_TABLE}

LINK_TYPES = {
    1: "ether", 32: "infiniband", 512: "ppp", 768: "ipip", 769: "tunnel6", 772: "loopback", 776: "sit", 778: "gre",
    823: "ip6gre", 65534: "none",
}  # fmt: skip

_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,8}|\d{1,10}", re.ASCII)


_LINK_TYPE = re.compile(r"\[(\d{1,5})\]", re.ASCII)


def link_type(text: str) -> str:
    """`ether` of `ether` and of `[1]`, as `ip -N` prints it; a number without a name stays as it is."""
    match = _LINK_TYPE.fullmatch(text)
    return text if match is None else LINK_TYPES.get(int(match[1]), text)


class Names(Struct, frozen=True):
    """The guest's own names: of routing tables and of device groups."""

    tables: dict[str, int] = {}
    groups: dict[str, int] = {}


def parse_names(text: str) -> Names:
    """From `/etc/iproute2/rt_tables:100<tab>blue` lines (`grep -H`); later files win. Lines of no use are skipped:
    they only name numbers, and a name that stays unknown is reported where it is used.
    """
    tables: dict[str, int] = {}
    groups: dict[str, int] = {}
    for line in text.split("\n"):
        path, _, entry = line.partition(":")
        words = entry.partition("#")[0].split()
        number = parse_number(words[0]) if len(words) == 2 else None
        if number is not None:
            (groups if "/group" in path else tables)[words[1]] = number
    return Names(tables, groups)


def parse_number(text: str, limit: int = 0xFFFFFFFF) -> int | None:
    """A decimal or 0x number, 0 to `limit`; None for anything else."""
    if _NUMBER.fullmatch(text) is None:
        return None
    value = int(text, 16 if text[:2] == "0x" else 10)
    return value if value <= limit else None


def table_number(text: str, names: Names) -> int | None:
    """A routing table's number, from the number or a name."""
    number = parse_number(text)
    if number is None:
        number = names.tables.get(text)
    return TABLES.get(text) if number is None else number


def group_number(text: str, names: Names) -> int | None:
    """A device group's number, from the number or a name."""
    number = parse_number(text)
    if number is None:
        number = names.groups.get(text)
    return 0 if number is None and text == "default" else number


def _name(text: str, known: dict[int, str]) -> str:
    number = parse_number(text)
    return text if number is None else known.get(number, str(number))


def scope_name(text: str) -> str:
    """`253` or `link` as `link`; a number without a standard name stays a number."""
    return _name(text, SCOPES)


def protocol_name(text: str) -> str:
    """`16` or `dhcp` as `dhcp`; a number without a standard name stays a number."""
    return _name(text, PROTOCOLS)


def route_type(text: str) -> RouteType | None:
    """`6` or `blackhole`; None where it is neither."""
    number = parse_number(text)
    if number is not None:
        return ROUTE_TYPES.get(number)
    try:
        return RouteType(text)
    except ValueError:
        return None


def ip_protocol(text: str) -> int | None:
    """`tcp`, `6` or `ipproto-6` as 6; None for an unknown name."""
    number = parse_number(text.removeprefix("ipproto-"), 65535)
    return IP_PROTOCOLS.get(text) if number is None else number


def tos_number(text: str) -> int | None:
    """A DS field byte, from a number or a name of rt_dsfield."""
    number = parse_number(text, 255)
    return DS_FIELDS.get(text) if number is None else number


def dscp_number(text: str) -> int | None:
    """A DSCP value, 0 to 63, from a number or a name: the name stands for the byte, whose upper six bits it is."""
    number = parse_number(text, 63)
    if number is not None:
        return number
    field = DS_FIELDS.get(text)
    return None if field is None else field >> 2


def prefix_text(text: str) -> str | None:
    """`default`, `all`, `10.0.0.1` or `10.0.0.0/24` as a canonical prefix; None for anything else."""
    if text in {"default", "all", "any"}:
        return "0.0.0.0/0"
    prefix = text if "/" in text else f"{text}/32"
    try:
        parse_prefix(prefix)
    except ValueError:
        return None
    return prefix
