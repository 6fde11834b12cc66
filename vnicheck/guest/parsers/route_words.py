"""The words of a route as `ip route` prints them after its prefix: attributes, nexthop, flags."""

from collections.abc import Callable, Iterator
from typing import Any

from vnicheck.guest.parsers.names import Names, parse_number, protocol_name, scope_name, table_number, tos_number
from vnicheck.model.address import is_address
from vnicheck.model.guest import NextHop

FLAGS = {"onlink", "dead", "linkdown", "pervasive", "unresolved"}
IRRELEVANT_FLAGS = {
    "offload", "trap", "notify", "cloned", "rt_offload", "rt_trap", "rt_offload_failed", "offload_failed", "cache",
    "features", "ecn", "tcp_usec_ts",
}  # fmt: skip
"""Words without a value that tell of hardware, caches or TCP features, not of where a packet goes."""
METRICS = {
    "mtu", "window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss", "reordering", "hoplimit", "initcwnd", "initrwnd",
    "rto_min", "quickack", "congctl", "fastopen_no_cookie", "ttl-propagate", "pref", "expires", "error", "users",
    "age", "used",
}  # fmt: skip
"""Attributes of a connection over the route; none decides which route is taken."""


class RouteDraft:
    """One route or nexthop while its words are read; `fields` are those of `Route` by name."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.gateway: str | None = None
        self.interface: str | None = None
        self.weight = 1
        self.flags: list[str] = []
        self.unmodelled: list[str] = []

    @property
    def hop(self) -> NextHop | None:
        if self.gateway is None and self.interface is None:
            return None
        return NextHop(
            interface=self.interface, gateway=self.gateway, weight=self.weight, flags=tuple(dict.fromkeys(self.flags))
        )


def read_route_words(words: Iterator[str], draft: RouteDraft, names: Names) -> bool:
    """Fill the draft. False where the route cannot be placed at all, because its table is not known."""
    for key in words:
        if key in FLAGS:
            draft.flags.append(key)
        elif key in IRRELEVANT_FLAGS:
            continue
        elif key == "encap":
            following = _read_encapsulation(words, draft)
            if following is not None and not _read_pair(following, words, draft, names):
                return False
        elif not _read_pair(key, words, draft, names):
            return False
    return True


def _read_encapsulation(words: Iterator[str], draft: RouteDraft) -> str | None:
    """Keep the words of `encap ip id 5 src 0.0.0.0 dst 1.2.3.4 ttl 0`; returns the word that ends them."""
    draft.unmodelled.append("encap")
    for key in words:
        if key in {"via", "dev"}:
            return key
        draft.unmodelled.append(key)
    return None


def _read_pair(key: str, words: Iterator[str], draft: RouteDraft, names: Names) -> bool:
    if key in METRICS:
        if next(words, None) == "lock":
            next(words, None)
        return True
    reader = _READERS.get(key)
    value = next(words, None) if reader is not None else None
    if reader is None or value is None:
        draft.unmodelled.append(key)
        return key != "table"
    if value in {"inet", "inet6"} and key == "via":
        family, value = value, next(words, "")
        if family == "inet6":
            draft.unmodelled.append(f"via inet6 {value}")
            return True
    if reader(draft, value, names):
        return True
    draft.unmodelled.append(f"{key} {value}")
    return key != "table"


def _via(draft: RouteDraft, value: str, _: Names) -> bool:
    if not is_address(value):
        return False
    draft.gateway = value
    return True


def _dev(draft: RouteDraft, value: str, _: Names) -> bool:
    draft.interface = value
    return True


def _weight(draft: RouteDraft, value: str, _: Names) -> bool:
    number = parse_number(value, 65536)
    draft.weight = number if number is not None else draft.weight
    return number is not None


def _number(field: str, value: int | None, draft: RouteDraft) -> bool:
    if value is not None:
        draft.fields[field] = value
    return value is not None


def _word(field: str, value: str | bool, draft: RouteDraft) -> bool:
    draft.fields[field] = value
    return True


_READERS: dict[str, Callable[[RouteDraft, str, Names], bool]] = {
    "via": _via,
    "dev": _dev,
    "weight": _weight,
    "realms": lambda draft, _, __: _word("realms", True, draft),
    "realm": lambda draft, _, __: _word("realms", True, draft),
    "src": lambda draft, value, _: is_address(value) and _word("source", value, draft),
    "table": lambda draft, value, names: _number("table", table_number(value, names), draft),
    "metric": lambda draft, value, _: _number("metric", parse_number(value), draft),
    "nhid": lambda draft, value, _: _number("nexthop_id", parse_number(value), draft),
    "tos": lambda draft, value, _: _number("tos", tos_number(value), draft),
    "dsfield": lambda draft, value, _: _number("tos", tos_number(value), draft),
    "scope": lambda draft, value, _: _word("scope", scope_name(value), draft),
    "proto": lambda draft, value, _: _word("protocol", protocol_name(value), draft),
}
