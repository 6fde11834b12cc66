"""Policy rules and routes as configuration files write them: in the words of `ip rule` and `ip route`."""

import re
from collections.abc import Iterator, Sequence

from vnicheck.guest.parsers.names import TABLES, Names, parse_number
from vnicheck.model.address import format_prefix, mask, split_prefix
from vnicheck.model.guest import MAIN_TABLE, BootRoute, BootRule

_TYPES = {"unicast", "local", "broadcast", "blackhole", "unreachable", "prohibit", "throw"}
_EVERYTHING = {"all", "any", "default", "0/0", "0.0.0.0/0"}


class NotUnderstood(Exception):  # noqa: N818 - not an error of the user's: the caller keeps it as a doubt
    """What is written may set a rule or a route, and we cannot tell which."""


def rule_of(words: Sequence[str], source: str, names: Names) -> BootRule | None:
    """The rule of `from 10.0.0.12 table 1003 priority 5`; None where it is of IPv6. Raises NotUnderstood."""
    if len(words) % 2:
        raise NotUnderstood
    found: dict[str, str] = {}
    for key, value in zip(words[::2], words[1::2], strict=True):
        name = {"lookup": "table", "pref": "priority", "prio": "priority", "preference": "priority"}.get(key, key)
        if name not in {"from", "to", "table", "priority", "proto", "protocol"}:
            raise NotUnderstood
        found[name] = value
    if any(":" in found.get(key, "") for key in ("from", "to")):
        return None
    return BootRule(
        source=source,
        table=table_of(found.get("table", "main"), names),
        src=prefix_of(found.get("from", "all")),
        dst=prefix_of(found.get("to", "all")),
        priority=number_of(found["priority"]) if "priority" in found else None,
    )


def route_of(words: Sequence[str], source: str, names: Names) -> BootRoute | None:
    """The route of `default via 10.0.0.1 dev eth1 table 1003`; None in the main table, or of IPv6.

    Raises NotUnderstood.
    """
    rest = list(words)
    if rest and rest[0] == "to":
        del rest[0]
    if rest and rest[0] in _TYPES:
        del rest[0]
    if not rest:
        raise NotUnderstood
    if ":" in rest[0]:
        return None
    table = table_of(rest[rest.index("table") + 1], names) if "table" in rest[:-1] else MAIN_TABLE
    if table == MAIN_TABLE:
        return None
    return BootRoute(source=source, table=table, prefix=prefix_of(rest[0]) or "0.0.0.0/0")


def commands_of(text: str, source: str, names: Names) -> Iterator[BootRule | BootRoute | None]:
    """What the commands of one line set, `ip rule add ... && /sbin/ip route add ...`. Raises NotUnderstood."""
    for command in re.split(r"&&|;", text):
        if command.strip():
            yield command_of(command, source, names)


def command_of(text: str, source: str, names: Names) -> BootRule | BootRoute | None:
    """What `ip -4 rule add ...` sets; None where it sets nothing. Raises NotUnderstood."""
    words = text.split()[1:]
    while words and words[0].startswith("-"):
        if words.pop(0) == "-6":
            return None
    if len(words) < 2:
        raise NotUnderstood
    kind, action, rest = words[0], words[1], words[2:]
    if action not in {"add", "a", "append", "replace", "prepend"}:
        return None
    if "rule".startswith(kind) and len(kind) > 1:
        return rule_of(rest, source, names)
    if "route".startswith(kind):
        return route_of(rest, source, names)
    return None


def table_of(word: str, names: Names) -> int:
    """A table by number or name. Raises NotUnderstood."""
    number = names.tables.get(word, TABLES.get(word))
    return number if number is not None else number_of(word)


def number_of(word: str) -> int:
    """Raises NotUnderstood."""
    number = parse_number(word)
    if number is None:
        raise NotUnderstood
    return number


def prefix_of(word: str) -> str | None:
    """`10.0.0.12/32` of `10.0.0.12`; None for everything. Raises NotUnderstood."""
    if word in _EVERYTHING:
        return None
    try:
        address, length = split_prefix(word if "/" in word else f"{word}/32")
    except ValueError:
        raise NotUnderstood from None
    return format_prefix(address & mask(length), length)
