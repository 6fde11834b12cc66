"""Configuration files as the collect script tells of them: which are there, and the lines of them that matter.

@systemd
@read /etc/sysctl.d/99-vni.conf
@masked /etc/sysctl.d/50-default.conf
@unreadable /etc/NetworkManager/system-connections
/etc/sysctl.d/99-vni.conf:3:net.ipv4.conf.all.rp_filter = 0
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from vnicheck.guest.parsers.parsed import capped

MAX_BOOT_LINES = 2000
MAX_LENGTH = 400
"""What the script cuts at."""
MAX_PATH = 4096

_NUMBER = re.compile(r"(\d{1,7}):(.*)", re.ASCII)


class Line(Struct, frozen=True):
    """One line of a file."""

    path: str
    number: int
    text: str

    @property
    def source(self) -> str:
        """`/etc/sysctl.d/99-vni.conf:3`, fit to be shown."""
        return f"{capped(self.path)}:{self.number}"


class BootFiles(Struct, frozen=True):
    """`paths` are the files that count, in the script's order; a masked one has no lines. `doubt`: lines unread."""

    paths: tuple[str, ...]
    lines: dict[str, tuple[Line, ...]]
    flags: frozenset[str] = frozenset()
    unreadable: tuple[str, ...] = ()
    doubt: str | None = None


def read_boot_files(text: str) -> BootFiles:
    """The files of one section of the collect script's output.

    A link to nothing is no file, except in sysctl.d: whether it masks its namesakes depends on systemd's version.
    """
    lines: dict[str, list[Line]] = {}
    flags: set[str] = set()
    unreadable: list[str] = []
    doubts: list[str] = []
    count = 0
    for raw in text.split("\n"):
        word, _, path = raw.partition(" ")
        if word in {"@read", "@masked"}:
            lines.setdefault(path, [])
        elif word == "@unreadable" or (word == "@dangling" and "/sysctl.d/" in path):
            unreadable.append(path)
        elif raw.startswith("@"):
            flags.add(word[1:])
        elif raw:
            count += 1
            line = _line(raw, lines)
            if line is None or len(raw) >= MAX_LENGTH:
                doubts.append(f"a line was not understood: {capped(raw)}")
            else:
                lines[line.path].append(line)
    if count >= MAX_BOOT_LINES:
        doubts.append(f"more than {MAX_BOOT_LINES} lines: the rest was not read")
    found = {path: tuple(of_path) for path, of_path in lines.items()}
    return BootFiles(tuple(found), found, frozenset(flags), tuple(unreadable), doubts[0] if doubts else None)


def _line(raw: str, known: dict[str, list[Line]]) -> Line | None:
    """`PATH:NUMBER:TEXT`; a path may hold colons, so it is looked for among those that were announced."""
    if len(raw) > MAX_LENGTH + MAX_PATH:
        return None
    for path in _prefixes(raw):
        if path in known and (match := _NUMBER.fullmatch(raw[len(path) + 1 :])) is not None:
            return Line(path, int(match[1]), match[2])
    return None


def _prefixes(raw: str) -> Sequence[str]:
    return [raw[: match.start()] for match in re.finditer(":", raw)]
