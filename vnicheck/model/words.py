"""Words for people: lists of things, and remote text made fit to be shown (it may hold anything)."""

from collections.abc import Container, Sequence
from itertools import chain, count


def one_line(text: object, limit: int = 300) -> str:
    """`text` as one line of at most `limit` characters, without anything that could steer a terminal.

    Control characters, format characters (bidirectional overrides among them) and separators become spaces.
    """
    shown = str(text)[: limit * 4]
    if not shown.isprintable():
        shown = "".join(char if char.isprintable() else " " for char in shown)
    line = " ".join(shown.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def shown_json(data: bytes) -> bytes:
    """JSON with the characters that could steer a terminal written as \\uXXXX: control characters are already, what
    turns the direction of text is not.
    """
    if data.isascii():
        return data
    text = data.decode()
    return "".join(char if char.isprintable() or char == "\n" else _escape(char) for char in text).encode()


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def counted(number: int, one: str, many: str = "") -> str:
    """`1 server`, `2 servers`; `many` where the plural has more to it than an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def untaken(wanted: str, taken: Container[str], between: str = "-") -> str:
    """The name itself, or with the first number from 2 on behind it with which it is not `taken`."""
    names = chain([wanted], (f"{wanted}{between}{number}" for number in count(2)))
    return next(name for name in names if name not in taken)


def listed(items: Sequence[str], most: int | None = None, others: str = "more") -> str:
    """`a, b and c`; where there are more than the `most` that are shown, `a, b and 4 more`."""
    if most is not None and len(items) > most:
        return f"{', '.join(items[:most])} and {len(items) - most} {others}"
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
