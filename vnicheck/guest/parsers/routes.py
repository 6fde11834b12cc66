"""`ip route show table all`, as JSON or plain, with or without -d and -N, from iproute2 or busybox.

    default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.11 metric 100
    10.9.0.0/16 proto static
            nexthop via 10.0.0.1 dev eth0 weight 3
            nexthop via 10.0.0.2 dev eth1 weight 1 onlink

JSON is turned into the words of the plain form first, so that both are read by one grammar and give equal structs.
"""

from collections.abc import Iterator
from itertools import pairwise

import msgspec

from vnicheck.guest.parsers.names import (
    Names,
    prefix_text,
    route_type,
)
from vnicheck.guest.parsers.parsed import (
    JsonObject,
    Parsed,
    capped,
    evidence,
    is_json,
    read_json,
    show,
    text_lines,
    word,
)
from vnicheck.guest.parsers.route_words import METRICS, RouteDraft, read_route_words
from vnicheck.model.guest import NextHop, Route, RouteType
from vnicheck.model.lines import format_route

_OF_ALL_NEXTHOPS = {"dead", "linkdown"}
"""Flags that a route with several nexthops shows once more where all of them have it."""
_IRRELEVANT_KEYS = {"metrics", "nh_info", "cache", *METRICS} - {"pref"}
_JSON_WORDS = {"gateway": "via", "protocol": "proto", "prefsrc": "src"}
_NO_NEXTHOP = {RouteType.BLACKHOLE, RouteType.UNREACHABLE, RouteType.PROHIBIT, RouteType.THROW}


def parse_routes(text: str, names: Names | None = None) -> Parsed[Route]:
    """The IPv4 routes of a dump of `ip route`, in dump order; a line that names no table is of the main one. IPv6
    routes, which some versions mix in, decide nothing here and are skipped.

    Raises CollectionError `guest_unreadable` on broken JSON and on more lines than we read.
    """
    names = names if names is not None else Names()
    routes: list[Route] = []
    unmodelled: list[str] = []
    for words, hops, blackhole, line in _entries(text, unmodelled):
        if _is_ipv6(words, hops):
            continue
        route = _read_route(words, hops, blackhole, names)
        if route is None:
            unmodelled.append(evidence(line))
        else:
            routes.append(route)
    return Parsed(tuple(routes), tuple(unmodelled))


_Entry = tuple[list[str], list[list[str]], bool, JsonObject | str]


def _entries(text: str, unmodelled: list[str]) -> Iterator[_Entry]:
    return _json_entries(text, unmodelled) if is_json(text) else _plain_entries(text, unmodelled)


def _plain_entries(text: str, unmodelled: list[str]) -> Iterator[_Entry]:
    entry: _Entry | None = None
    for line in text_lines(text, "ip route"):
        words = line.split()
        if not line[0].isspace():
            if entry is not None:
                yield entry
            entry = (words, [], False, line)
        elif entry is not None and words[0] == "nexthop":
            entry[1].append(words[1:])
        elif entry is not None and words[0] == "nh_info":
            entry = (entry[0], entry[1], "blackhole" in words, entry[3])
        elif entry is not None and words[0] in {"cache", *METRICS}:
            continue
        elif entry is not None:
            entry[0].extend(words)
        else:
            unmodelled.append(capped(line))
    if entry is not None:
        yield entry


def _json_entries(text: str, unmodelled: list[str]) -> Iterator[_Entry]:
    objects, strangers = read_json(text, "ip route")
    unmodelled += strangers
    for entry in objects:
        first = entry.first()
        info = first.get("nh_info")
        blackhole = isinstance(info, JsonObject) and "blackhole" in info.first()
        listed = first.get("nexthops")
        hops = [
            _json_words(hop) if isinstance(hop, JsonObject) else [show(hop)]
            for hop in (listed if isinstance(listed, list) else [])
        ]
        destination = first.get("dst")
        if not isinstance(destination, str):
            unmodelled.append(show(entry))
            continue
        words = [word(first["type"])] if "type" in first else []
        yield [*words, destination, *_json_words(entry)], hops, blackhole, entry


def _json_words(entry: JsonObject) -> list[str]:
    words: list[str] = []
    seen: set[str] = set()
    for key, value in entry.pairs:
        repeated = key in seen
        seen.add(key)
        if (key in {"dst", "type"} and not repeated) or key in _IRRELEVANT_KEYS:
            continue
        if key == "nexthops" and isinstance(value, list):
            continue
        if key == "flags" and isinstance(value, list):
            words += [word(flag) for flag in value]
        elif key == "via" and isinstance(value, JsonObject):
            via = value.first()
            words += ["via", word(via.get("family")), word(via.get("host"))]
        elif key == "flow" and isinstance(value, JsonObject):
            words += ["realms", "/".join(word(realm) for _, realm in value.pairs)]
        else:
            words += [_JSON_WORDS.get(key, key), *([word(value)] if word(value) else [])]
    return words


def _is_ipv6(words: list[str], hops: list[list[str]]) -> bool:
    """By the destination; a default route by its gateway, or by `pref`, which exists for IPv6 only (RFC 4191). An IPv4
    route by an IPv6 gateway says `via inet6`.
    """
    position = 1 if len(words) > 1 and route_type(words[0]) is not None else 0
    if ":" in words[position] or "pref" in words:
        return True
    return any(key == "via" and ":" in value for part in (words, *hops) for key, value in pairwise(part))


def _read_route(words: list[str], hops: list[list[str]], blackhole: bool, names: Names) -> Route | None:
    kind: RouteType | None = RouteType.UNICAST
    rest = iter(words)
    head = next(rest)
    if len(words) > 1 and prefix_text(words[1]) is not None and (prefix_text(head) is None or head.isdigit()):
        kind = route_type(head)
        head = next(rest)
    prefix = prefix_text(head)
    if prefix is None or kind is None:
        return None
    draft = RouteDraft()
    if not read_route_words(rest, draft, names):
        return None
    if blackhole:
        kind = RouteType.BLACKHOLE
    nexthops = _nexthops(draft, hops, names)
    lacks = not nexthops and kind not in _NO_NEXTHOP and "nexthop_id" not in draft.fields
    if lacks:
        draft.unmodelled.append("no nexthop is shown")
    try:
        route = Route(prefix=prefix, type=kind, nexthops=nexthops, unmodelled=_joined(draft.unmodelled), **draft.fields)
    except ValueError:
        return None
    return with_text(route)


def with_text(route: Route) -> Route:
    """The route with its `text` made anew."""
    return msgspec.structs.replace(route, text=format_route(route))


def _nexthops(draft: RouteDraft, hops: list[list[str]], names: Names) -> tuple[NextHop, ...]:
    own = draft.hop
    if not hops:
        if own is None and draft.flags:
            draft.unmodelled += draft.flags
        return () if own is None else (own,)
    members = []
    for words in hops:
        member = RouteDraft()
        if not read_route_words(iter(words), member, names):
            member.unmodelled.append(" ".join(words))
        if member.hop is None:
            draft.unmodelled.append(capped(f"nexthop {' '.join(words)}"))
        else:
            members.append(member.hop)
        draft.unmodelled += member.unmodelled + [f"{key} of a nexthop" for key in member.fields if key != "realms"]
        if "realms" in member.fields:
            draft.fields["realms"] = True
    draft.unmodelled += [flag for flag in draft.flags if flag not in _OF_ALL_NEXTHOPS]
    if own is not None:
        draft.unmodelled.append(f"beside its nexthops: dev {own.interface}")
    return tuple(members)


def _joined(words: list[str]) -> tuple[str, ...]:
    return (capped(" ".join(words)),) if words else ()
