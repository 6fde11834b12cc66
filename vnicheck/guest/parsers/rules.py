"""`ip rule show`, as JSON or plain, with or without -d and -N, from iproute2 or busybox.

    0:      from all lookup local
    100:    not from 10.0.0.0/24 to 10.1.0.0/16 fwmark 0x1/0xff iif eth0 lookup main suppress_prefixlength 0
    32766:  from all lookup main

JSON is turned into the words of the plain form first, so that both are read by one grammar and give equal structs.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from vnicheck.guest.parsers.names import (
    Names,
    dscp_number,
    group_number,
    ip_protocol,
    parse_number,
    route_type,
    table_number,
    tos_number,
)
from vnicheck.guest.parsers.parsed import (
    JsonObject,
    Parsed,
    capped,
    evidence,
    is_json,
    read_json,
    text_lines,
    word,
)
from vnicheck.model.address import format_prefix, mask, split_prefix
from vnicheck.model.guest import PolicyRule, RouteType, RuleAction
from vnicheck.model.lines import format_rule

_ACTIONS = {
    RouteType.BLACKHOLE: RuleAction.BLACKHOLE,
    RouteType.UNREACHABLE: RuleAction.UNREACHABLE,
    RouteType.PROHIBIT: RuleAction.PROHIBIT,
}
_IRRELEVANT = {"proto", "protocol"}

Fields = dict[str, Any]


def parse_rules(text: str, names: Names | None = None) -> Parsed[PolicyRule]:
    """The policy rules of a dump, in its order. A rule of which a word is not understood keeps it in `unmodelled`.

    Raises CollectionError `guest_unreadable` on broken JSON and on more lines than we read.
    """
    names = names if names is not None else Names()
    rules: list[PolicyRule] = []
    unmodelled: list[str] = []
    if is_json(text):
        objects, unmodelled = read_json(text, "ip rule")
        entries: list[tuple[list[str], JsonObject | str]] = [(_json_words(entry), entry) for entry in objects]
    else:
        entries = [(line.split(), line) for line in text_lines(text, "ip rule")]
    for words, line in entries:
        rule = _read_rule(words, names)
        if rule is None:
            unmodelled.append(evidence(line))
        else:
            rules.append(rule)
    return Parsed(tuple(rules), tuple(unmodelled))


def _json_words(entry: JsonObject) -> list[str]:
    values = entry.first()
    priority = values.pop("priority", None)
    words = [f"{word(priority)}:"]
    for key in list(values):
        if key not in values:
            continue
        value = values.pop(key)
        if key in {"src", "dst"}:
            length = values.pop(f"{key}len", None)
            words += ["from" if key == "src" else "to", word(value) + ("" if length is None else f"/{word(length)}")]
        elif key in {"fwmark", "dscp", "sport", "dport"}:
            mask = values.pop("fwmask" if key == "fwmark" else f"{key}_mask", None)
            words += [key, word(value) + ("" if mask is None else f"/{word(mask)}")]
        elif key in {"sport_start", "dport_start", "uid_start"}:
            name = key.removesuffix("_start")
            words += ["uidrange" if name == "uid" else name, f"{word(value)}-{word(values.pop(f'{name}_end', None))}"]
        elif key == "flow_to":
            words += ["realms", word(value)]
        elif key == "flow_from":
            words += ["realms", f"{word(value)}/{word(values.pop('flow_to', None))}"]
        elif key in _JSON_FORMS:
            words += _JSON_FORMS[key](word(value))
        else:
            words += [key, *([word(value)] if word(value) else [])]
    return words


_JSON_FORMS: dict[str, Callable[[str], list[str]]] = {
    "iif_detached": lambda _: ["[detached]"],
    "oif_detached": lambda _: ["[detached]"],
    "unresolved": lambda _: ["[unresolved]"],
    "l3mdev": lambda _: ["lookup", "[l3mdev-table]"],
    "suppress_prefixlen": lambda value: ["suppress_prefixlength", value],
    "table": lambda value: ["lookup", value],
    "action": lambda value: [value],
}


def _read_rule(words: list[str], names: Names) -> PolicyRule | None:
    priority = parse_number(words[0].removesuffix(":")) if words[0].endswith(":") else None
    if priority is None:
        return None
    fields: Fields = {}
    unmodelled: list[str] = []
    rest = iter(words[1:])
    last = ""
    for key in rest:
        if key == "[detached]" and last in {"iif", "oif"}:
            fields[f"{last}_detached"] = True
        elif not _read_flag(key, fields) and not _read_pair(key, rest, fields, unmodelled, names):
            unmodelled.append(key)
        last = key
    if "action" not in fields and "table" not in fields and "l3mdev" not in fields:
        unmodelled.append("no action is shown")
    kept = (capped(" ".join(unmodelled)),) if unmodelled else ()
    try:
        rule = PolicyRule(priority=priority, unmodelled=kept, **fields)
    except ValueError:
        return None
    return msgspec.structs.replace(rule, text=format_rule(rule))


def _read_flag(key: str, fields: Fields) -> bool:
    """Words without a value."""
    if key == "not":
        fields["invert"] = True
    elif key == "nop":
        fields["action"] = RuleAction.NOP
    elif (action := _ACTIONS.get(route_type(key) or RouteType.UNICAST)) is not None:
        fields["action"] = action
    elif key != "[unresolved]":
        return False
    return True


def _read_pair(key: str, rest: Iterator[str], fields: Fields, unmodelled: list[str], names: Names) -> bool:
    reader = _READERS.get(key)
    if reader is None:
        if key in _IRRELEVANT:
            next(rest, None)
            return True
        return False
    value = next(rest, None)
    if value is None:
        return False
    read = reader(value, names)
    if read is None:
        unmodelled.append(f"{key} {value}")
    else:
        fields.update(read)
    return True


def _prefix(field: str, text: str) -> Fields | None:
    """The kernel keeps host bits, shows them, and compares without them (net/ipv4/fib_rules.c, fib4_rule_match)."""
    if text == "all":
        return {}
    try:
        address, length = split_prefix("0.0.0.0/0" if text in {"any", "default"} else text)
    except ValueError:
        return None
    return {field: format_prefix(address & mask(length), length)}


def _mark(text: str, _: Names) -> Fields | None:
    mark, slash, mask = text.partition("/")
    value = parse_number(mark)
    bits = parse_number(mask) if slash else 0xFFFFFFFF
    return None if value is None or bits is None else {"fwmark": value, "fwmask": bits}


def _span(field: str, text: str, limit: int) -> Fields | None:
    first, dash, last = text.partition("-")
    low = parse_number(first, limit)
    high = parse_number(last, limit) if dash else low
    return None if low is None or high is None else {field: (low, high)}


def _field(name: str, value: int | None) -> Fields | None:
    return None if value is None else {name: value}


def _lookup(text: str, names: Names) -> Fields | None:
    if text == "[l3mdev-table]":
        return {"l3mdev": True}
    table = table_number(text, names)
    return None if table is None or table == 0 else {"table": table}


def _goto(text: str, _: Names) -> Fields | None:
    target = parse_number(text)
    return None if target is None else {"action": RuleAction.GOTO, "goto": target}


_READERS: dict[str, Callable[[str, Names], Fields | None]] = {
    "from": lambda text, _: _prefix("src", text),
    "to": lambda text, _: _prefix("dst", text),
    "iif": lambda text, _: {"iif": text},
    "oif": lambda text, _: {"oif": text},
    "fwmark": _mark,
    "tos": lambda text, _: _field("tos", tos_number(text)),
    "dsfield": lambda text, _: _field("tos", tos_number(text)),
    "dscp": lambda text, _: _field("dscp", dscp_number(text)),
    "ipproto": lambda text, _: _field("ipproto", ip_protocol(text)),
    "sport": lambda text, _: _span("sport", text, 65535),
    "dport": lambda text, _: _span("dport", text, 65535),
    "uidrange": lambda text, _: _span("uid_range", text, 0xFFFFFFFF),
    "lookup": _lookup,
    "table": _lookup,
    "goto": _goto,
    "suppress_prefixlength": lambda text, _: _field("suppress_prefixlength", parse_number(text, 128)),
    "suppress_ifgroup": lambda text, names: _field("suppress_ifgroup", group_number(text, names)),
    "realms": lambda _text, _: {"realms": True},
}
