"""A page of text: what every format for people is written on, in a terminal or a pipe."""

import re
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vnicheck.model.words import one_line
from vnicheck.report.drawing import ASCII, UNICODE, Glyphs
from vnicheck.report.matrix import Mark

WIDEST = 100
SEVERITY_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
LABEL = 8
_LONGEST = 2000
"""Characters of a word that are shown."""


class Page:
    """Lines with indents and labels. All text is remote until shown: it is stripped here, and never markup."""

    def __init__(self, console: Console, *, explain: bool = False) -> None:
        self._console = console
        self.explain = explain
        self.width = min(console.width, WIDEST)
        encoding = console.encoding.lower()
        self.glyphs: Glyphs = UNICODE if encoding.startswith("utf") else ASCII

    def line(self, *parts: tuple[str, str] | str, indent: int = 0) -> None:
        """One line that is never wrapped (a command, a drawing that fits)."""
        self._console.print(self._text(parts, indent), soft_wrap=True)

    def ends(self, left: Sequence[tuple[str, str] | str], right: tuple[str, str] | str) -> None:
        """Words at both ends of a line; below each other where there is no room."""
        first, last = self._text(left, 0), self._text([right], 0)
        gap = self.width - first.cell_len - last.cell_len
        if gap >= 2 or not last.plain:
            self.line(*left, " " * max(gap, 0) if last.plain else "", right)
            return
        self.prose(*left)
        self.prose(right)

    def row(self, mark: tuple[str, str], count: tuple[str, str], words: str, right: tuple[str, str] | str) -> None:
        """`  ✗  43  what it is                     what fixes it`: the right end below where there is no room."""
        lead = self._text(["  ", mark, count, "  "], 0)
        body, last = self._text([words], 0), self._text([right], 0)
        gap = self.width - lead.cell_len - body.cell_len - last.cell_len
        if gap >= 2:
            self._console.print((lead + body + Text(" " * gap) + last) if last.plain else lead + body, soft_wrap=True)
            return
        for line in body.wrap(self._console, max(self.width - lead.cell_len, 20)):
            line.rstrip()
            self._console.print(lead + line, soft_wrap=True)
            lead = Text(" " * lead.cell_len)
        if last.plain:
            self._console.print(lead + last, soft_wrap=True)

    def mark(self, mark: Mark) -> str:
        """The sign for what becomes of flows."""
        glyphs = self.glyphs
        return {
            Mark.WORKS: glyphs.tick,
            Mark.DROPPED: glyphs.cross,
            Mark.AT_RISK: "!",
            Mark.UNKNOWN: glyphs.question,
            Mark.CLOSED: glyphs.dash,
        }[mark]

    @staticmethod
    def mark_style(mark: Mark) -> str:
        """How it is shown."""
        return {
            Mark.WORKS: "green",
            Mark.DROPPED: "bold red",
            Mark.AT_RISK: "bold yellow",
            Mark.UNKNOWN: "yellow",
            Mark.CLOSED: "dim",
        }[mark]

    def text(self, words: str) -> Text:
        """Remote words, fit to be shown in a table."""
        return self._text([words], 0)

    def table(self, table: Table) -> None:
        """A table, as wide as it needs, and no wider than the page."""
        options = self._console.options.update(width=self.width)
        for line in self._console.render_lines(table, options, pad=False):
            text = Text.assemble(*((segment.text, segment.style or "") for segment in line))
            text.rstrip()
            self._console.print(text, soft_wrap=True)

    def prose(self, *parts: tuple[str, str] | str, indent: int = 0, lead: tuple[str, str] | str = "") -> None:
        """Words, wrapped at the page's width beside `lead`, which stands on the first line only."""
        head = self._text([lead], indent)
        text = self._text(parts, 0)
        width = max(self.width - len(head), 16)
        for line in [text] if text.cell_len <= width and text.plain.isprintable() else text.wrap(self._console, width):
            line.rstrip()
            self._console.print(head + line, soft_wrap=True)
            head = Text(" " * len(head))

    def labelled(self, label: str, *parts: tuple[str, str] | str) -> None:
        """`  from    its subnet and the VPC`: a word, then wrapped text beside it."""
        self.prose(*parts, indent=2, lead=(f"{label:<{LABEL}}", "dim"))

    def _text(self, parts: Sequence[tuple[str, str] | str], indent: int) -> Text:
        text = Text(" " * indent)
        for part in parts:
            words, style = part if isinstance(part, tuple) else (part, "")
            text.append(_shown(words), style)
        return text


def _shown(words: str) -> str:
    """The words without what could steer a terminal, their own spaces kept."""
    if words.isprintable() and len(words) <= _LONGEST:
        return words
    return re.sub(r"[^ ]+", lambda match: one_line(match.group(), _LONGEST), words)
