"""Configuration files as the collect script tells of them: which are there, and the lines of them that matter.

@systemd
@applied
@wanted /etc/systemd/system/multi-user.target.wants/vni.service
@starts /etc/systemd/system/vni.service:2:/etc/vni/routes
@mode -rwxr-xr-x 1 0 0 123 Nov 29 07:09 /etc/rc.local
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
"""What the script cuts at: lines of a file, characters of a line."""
MAX_PATH = 4096

_MODE = re.compile(
    r"-([r-][w-][xsStT-][rwxsStT-]{6})[.+@]?\s+\d+\s+(\d+)\s+\d+\s+\d+\s+\S+\s+\S+\s+\S+ (/.*)", re.ASCII
)
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


class Mode(Struct, frozen=True):
    """`rwxr-xr-x`, and the number of the user whose file it is."""

    bits: str
    user: int

    @property
    def executable(self) -> bool:
        """Whether root may run it."""
        return any(bit in "xst" for bit in self.bits)


class BootFiles(Struct, frozen=True):
    """`paths` are the files that count, in the script's order; a masked one has no lines. `doubt`: lines unread.

    `wanted`: the links by which systemd starts units at boot. `starters`: of a script the lines that run it.
    """

    paths: tuple[str, ...]
    lines: dict[str, tuple[Line, ...]]
    flags: frozenset[str] = frozenset()
    unreadable: tuple[str, ...] = ()
    doubt: str | None = None
    masked: frozenset[str] = frozenset()
    wanted: tuple[str, ...] = ()
    starters: dict[str, tuple[Line, ...]] = {}
    modes: dict[str, Mode] = {}

    @property
    def tell_interfaces(self) -> bool:
        """Whether the script took what tells for which interfaces files are; older ones did not."""
        return "applied" in self.flags


class _Reading:
    """What was read so far."""

    def __init__(self) -> None:
        self.lines: dict[str, list[Line]] = {}
        self.flags: set[str] = set()
        self.unreadable: list[str] = []
        self.doubts: list[str] = []
        self.masked: set[str] = set()
        self.wanted: list[str] = []
        self.starters: dict[str, tuple[Line, ...]] = {}
        self.modes: dict[str, Mode] = {}

    def mark(self, word: str, rest: str) -> None:
        """A line of the script's own."""
        if word in {"@read", "@masked"}:
            self.lines.setdefault(rest, [])
            self.masked |= {rest} if word == "@masked" else set()
        elif word == "@unreadable" or (word == "@dangling" and "/sysctl.d/" in rest):
            self.unreadable.append(rest)
        elif word == "@wanted":
            self.wanted.append(rest)
        elif word == "@starts":
            starter, _, numbered = rest.partition(":")
            number, _, script = numbered.partition(":")
            if number.isascii() and number.isdecimal():
                self.starters[script] = (*self.starters.get(script, ()), Line(starter, int(number[:7]), ""))
        elif word == "@mode":
            if (match := _MODE.fullmatch(rest)) is not None:
                self.modes[match[3]] = Mode(match[1], int(match[2][:10]))
        else:
            self.flags.add(word[1:])

    def add(self, raw: str) -> None:
        """A line of a file."""
        line = _line(raw, self.lines)
        if line is None or len(raw) >= MAX_LENGTH:
            self.doubts.append(f"a line was not understood: {capped(raw)}")
        else:
            self.lines[line.path].append(line)


def read_boot_files(text: str) -> BootFiles:
    """The files of one section of the collect script's output.

    A link to nothing is no file, except in sysctl.d: whether it masks its namesakes depends on systemd's version.
    """
    reading = _Reading()
    for raw in text.split("\n"):
        word, _, rest = raw.partition(" ")
        if word.startswith("@"):
            reading.mark(word, rest)
        elif raw:
            reading.add(raw)
    for path, of_path in reading.lines.items():
        if len(of_path) >= MAX_BOOT_LINES:
            reading.doubts.append(f"{capped(path)} has more than {MAX_BOOT_LINES} lines: the rest was not read")
    found = {path: tuple(of_path) for path, of_path in reading.lines.items()}
    return BootFiles(
        paths=tuple(found),
        lines=found,
        flags=frozenset(reading.flags),
        unreadable=tuple(reading.unreadable),
        doubt=reading.doubts[0] if reading.doubts else None,
        masked=frozenset(reading.masked),
        wanted=tuple(reading.wanted),
        starters=reading.starters,
        modes=reading.modes,
    )


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
