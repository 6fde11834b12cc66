"""`ip nexthop show`: nexthop objects, and the routes that name one without showing where it leads.

id 1 via 10.0.0.1 dev eth0 scope link
id 3 group 1,2/2
id 4 blackhole
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from vnicheck.guest.parsers.names import parse_number
from vnicheck.guest.parsers.parsed import JsonObject, Parsed, is_json, read_json, show, text_lines, word
from vnicheck.guest.parsers.route_words import FLAGS, IRRELEVANT_FLAGS
from vnicheck.guest.parsers.routes import with_text
from vnicheck.model.address import is_address
from vnicheck.model.guest import NextHop, Route, RouteType

_WITH_VALUE = {"scope", "proto", "type", "buckets", "idle_timer", "unbalanced_timer", "unbalanced_time", "master"}
_IRRELEVANT_KEYS = {"scope", "protocol", "type", "resilient_args", "resilient", "hw_stats", "group_stats", "used"}


class NexthopObject(Struct, frozen=True, kw_only=True):
    """One nexthop object: where it leads, or its group's members as (id, weight)."""

    id: int
    hop: NextHop | None = None
    group: tuple[tuple[int, int], ...] = ()
    blackhole: bool = False
    unmodelled: tuple[str, ...] = ()


def parse_nexthops(text: str) -> Parsed[NexthopObject]:
    """The IPv4 objects of `ip nexthop`, JSON or plain. Raises CollectionError `guest_unreadable` on broken JSON."""
    objects = []
    unmodelled: list[str] = []
    if is_json(text):
        entries, unmodelled = read_json(text, "ip nexthop")
        sources = [(_json_words(entry), show(entry)) for entry in entries]
    else:
        sources = [(line.split(), line) for line in text_lines(text, "ip nexthop")]
    for words, line in sources:
        parsed = _read_object(words)
        if parsed is None:
            unmodelled.append(line)
        else:
            objects.append(parsed)
    return Parsed(tuple(objects), tuple(unmodelled))


def _json_words(entry: JsonObject) -> list[str]:
    words: list[str] = []
    for key, value in entry.pairs:
        if key in _IRRELEVANT_KEYS:
            continue
        if key == "flags" and isinstance(value, list):
            words += [word(flag) for flag in value]
        elif key == "group" and isinstance(value, list):
            words += ["group", "/".join(_json_member(member) for member in value)]
        elif key == "via" and isinstance(value, JsonObject):
            words += ["via", word(value.first().get("host"))]
        else:
            words += ["via" if key == "gateway" else key, *([word(value)] if word(value) else [])]
    return words


def _json_member(member: object) -> str:
    if not isinstance(member, JsonObject):
        return show(member)
    values = member.first()
    return word(values.get("id")) + (f",{word(values['weight'])}" if "weight" in values else "")


def _read_object(words: list[str]) -> NexthopObject | None:
    number = parse_number(words[1]) if len(words) > 1 and words[0] == "id" else None
    if number is None:
        return None
    rest = iter(words[2:])
    interface: str | None = None
    gateway: str | None = None
    group: tuple[tuple[int, int], ...] = ()
    flags: list[str] = []
    unmodelled: list[str] = []
    blackhole = False
    for key in rest:
        if key in FLAGS:
            flags.append(key)
        elif key == "blackhole":
            blackhole = True
        elif key == "dev":
            interface = next(rest, None)
        elif key == "via":
            gateway = next(rest, "")
        elif key == "group":
            text = next(rest, "")
            group = _group(text)
            unmodelled += [] if group else [f"group {text}"]
        elif key in _WITH_VALUE:
            next(rest, None)
        elif key not in IRRELEVANT_FLAGS:
            unmodelled.append(key)
    if gateway is not None and not is_address(gateway):
        unmodelled.append(f"via {gateway}")
        gateway = None
    hop = None
    if interface is not None or gateway is not None:
        hop = NextHop(interface=interface, gateway=gateway, flags=tuple(flags))
    return NexthopObject(id=number, hop=hop, group=group, blackhole=blackhole, unmodelled=tuple(unmodelled))


def _group(text: str) -> tuple[tuple[int, int], ...]:
    members = []
    for part in text.split("/"):
        identifier, _, weight = part.partition(",")
        number = parse_number(identifier)
        share = parse_number(weight, 65536) if weight else 1
        if number is None or share is None:
            return ()
        members.append((number, share))
    return tuple(members)


def resolve_nexthops(routes: Iterable[Route], objects: Iterable[NexthopObject]) -> tuple[Route, ...]:
    """The routes, those that name an object without showing its nexthops completed from it, or marked unmodelled."""
    by_id = {item.id: item for item in objects}
    return tuple(
        _resolve(route, by_id)
        if route.nexthop_id is not None and not route.nexthops and route.type is not RouteType.BLACKHOLE
        else route
        for route in routes
    )


def _resolve(route: Route, by_id: dict[int, NexthopObject]) -> Route:
    item = by_id.get(-1 if route.nexthop_id is None else route.nexthop_id)
    if item is None:
        return _unresolved(route, f"nexthop object {route.nexthop_id} is not shown")
    if item.blackhole:
        return with_text(msgspec.structs.replace(route, type=RouteType.BLACKHOLE))
    members = [(by_id.get(member), weight) for member, weight in item.group] if item.group else [(item, 1)]
    hops = []
    for member, weight in members:
        if member is None or member.hop is None or member.unmodelled:
            return _unresolved(route, f"nexthop object {route.nexthop_id} is not understood")
        hops.append(msgspec.structs.replace(member.hop, weight=weight))
    return with_text(msgspec.structs.replace(route, nexthops=tuple(hops)))


def _unresolved(route: Route, reason: str) -> Route:
    return msgspec.structs.replace(route, unmodelled=(*route.unmodelled, reason))
