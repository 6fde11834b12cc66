"""What a parser returns, and reading JSON dumps of `ip` without trusting them."""

import json
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from msgspec import Struct

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.frames import MAX_LINES
from vnicheck.model.words import one_line

T = TypeVar("T")

MAX_VALUES = 4 * MAX_LINES
"""Objects and lists in one dump: `ip` prints two or three for a route."""
Pairs = list[tuple[str, Any]]
"""A JSON object in its order; `ip` repeats keys (the `dst` of a route and of its encapsulation)."""


class Parsed(Struct, Generic[T], frozen=True):
    """`items` in dump order; `unmodelled` lines that belong to none of them, each at most 300 characters."""

    items: tuple[T, ...]
    unmodelled: tuple[str, ...] = ()


class JsonObject(Struct, frozen=True):
    """A JSON object as its pairs."""

    pairs: Pairs

    def first(self) -> dict[str, Any]:
        """Key to value; of a repeated key the first."""
        values: dict[str, Any] = {}
        for key, value in self.pairs:
            values.setdefault(key, value)
        return values


def capped(text: str) -> str:
    """A raw line as it is kept in `unmodelled`."""
    return one_line(text, 300)


def is_json(text: str) -> bool:
    """Whether the dump is JSON: some versions of `ip` take -j and print plain text all the same."""
    return text.lstrip()[:1] in {"[", "{"}


def read_json(text: str, what: str) -> tuple[list[JsonObject], list[str]]:
    """The objects of a JSON array, and what in it is none. Empty objects are skipped: some versions of `ip` print them.

    Raises CollectionError `guest_unreadable` where `text` is not JSON, too deep, or too long.
    """
    if text.count("{") + text.count("[") > MAX_VALUES:  # each takes many times its length in memory
        raise CollectionError("guest_unreadable", f"{what}: more than {MAX_VALUES} objects and lists")
    try:
        top = json.loads(text, object_pairs_hook=JsonObject)
    except (ValueError, RecursionError) as error:
        raise CollectionError("guest_unreadable", f"{what}: not valid JSON ({one_line(str(error), 80)})") from error
    entries = top if isinstance(top, list) else [top]
    if len(entries) > MAX_LINES:
        raise CollectionError("guest_unreadable", f"{what}: more than {MAX_LINES} entries")
    objects = [entry for entry in entries if isinstance(entry, JsonObject) and entry.pairs]
    strangers = [show(entry) for entry in entries if not isinstance(entry, JsonObject)]
    return objects, strangers


def evidence(source: "JsonObject | str") -> str:
    """An entry or line of a dump as it is kept in `unmodelled`: made only where one is, for it takes time."""
    return capped(source) if isinstance(source, str) else show(source)


def show(value: Any) -> str:
    """A JSON value on one line, for evidence."""
    try:
        return capped(json.dumps(value, default=lambda item: dict(item.pairs)))
    except RecursionError:
        return "a value nested too deep"


def word(value: Any) -> str:
    """A JSON value as the word that `ip` prints for it in plain text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return ""
    return str(value) if isinstance(value, int) else show(value)


def text_lines(text: str, what: str) -> Iterator[str]:
    """The lines that hold something. Raises CollectionError `guest_unreadable` on more than we read."""
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        raise CollectionError("guest_unreadable", f"{what}: more than {MAX_LINES} lines")
    for line in lines:
        stripped = line.rstrip()
        if stripped:
            yield stripped
