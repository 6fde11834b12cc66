"""Words for people: lists of things, and remote text made fit to be shown (it may hold anything)."""

import unicodedata
from collections.abc import Sequence

_UNSHOWABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Control, format (bidirectional overrides among them), surrogate, private and unassigned characters, separators."""


def one_line(text: object, limit: int = 300) -> str:
    """`text` as one line of at most `limit` characters, without anything that could steer a terminal."""
    shown = (" " if unicodedata.category(char) in _UNSHOWABLE else char for char in str(text)[: limit * 4])
    line = " ".join("".join(shown).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def listed(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
