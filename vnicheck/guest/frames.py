"""The collect script's output, from bytes to sections.

    vnicheck-guest/1 begin
    + rules ip -4 -d -N -j rule show
    |[{"priority":0,"src":"all","table":"255","protocol":"2"}]
    - rules 0
    + errors stderr
    |@rules
    |Dump was interrupted and may be inconsistent.
    - errors 0
    vnicheck-guest/1 end

`|` marks a line of the command's stdout. What it said on stderr stands in the last section, after its name (in older
collections beside its output, each line behind `!`). Whatever stands before the begin line (MOTD, the echo
of a console) or after the end line is ignored; so are empty lines and carriage returns.
"""

import re

import msgspec
from msgspec import Struct

from vnicheck.guest.errors import CollectionError

BEGIN = "vnicheck-guest/1 begin"
END = "vnicheck-guest/1 end"
MAX_BYTES = 64 << 20
MAX_LINES = 200_000

_END_LINE = re.compile(rb"^" + re.escape(END.encode()) + rb"\r*$", re.MULTILINE)
_ANY_BEGIN = re.compile(r"vnicheck-guest/(\d{1,9}) begin", re.ASCII)
_HEADER = re.compile(r"\+ ([a-z_]{1,40}) (.*)", re.ASCII)
_TRAILER = re.compile(r"- ([a-z_]{1,40}) (\d{1,3})", re.ASCII)


class Section(Struct, frozen=True, kw_only=True):
    """What one command printed. `status` is its exit status, or None where the section arrived damaged."""

    name: str
    command: str
    output: str = ""
    errors: str = ""
    status: int | None = None
    damage: str | None = None


def is_complete(data: bytes) -> bool:
    """Whether the bytes hold an end line."""
    return _END_LINE.search(data) is not None


def read_frames(data: bytes) -> dict[str, Section]:
    """The sections by name; of several runs in one file, the last complete one.

    Raises CollectionError: `guest_truncated` without an end line, `guest_unreadable` where nothing of the script is
    found, its format is another version's, a section comes twice, or the text is larger than anything we read.
    """
    if len(data) > MAX_BYTES:
        raise CollectionError("guest_unreadable", f"larger than {MAX_BYTES >> 20} MiB: not a guest collection")
    lines = [line.rstrip("\r") for line in data.decode("utf-8", "backslashreplace").split("\n")]
    start, end = _last_run(lines)
    if end - start > MAX_LINES:
        raise CollectionError("guest_unreadable", f"more than {MAX_LINES} lines: not a guest collection")
    return _with_errors(_sections(lines[start + 1 : end]))


def _with_errors(sections: dict[str, Section]) -> dict[str, Section]:
    """Each section with what section `errors` says that it said on stderr."""
    common = sections.pop("errors", None)
    said: dict[str, list[str]] = {}
    name = ""
    for line in common.output.split("\n") if common is not None else ():
        if line.startswith("@"):
            name = line[1:]
        elif name in sections and line:
            said.setdefault(name, []).append(line)
    for name, lines in said.items():
        sections[name] = msgspec.structs.replace(sections[name], errors="\n".join(lines))
    return sections


def _last_run(lines: list[str]) -> tuple[int, int]:
    begin = None
    run = None
    version = None
    for number, line in enumerate(lines):
        if line == BEGIN:
            begin = number
        elif line == END and begin is not None:
            run = (begin, number)
            begin = None
        elif (match := _ANY_BEGIN.fullmatch(line)) is not None:
            version = match[1]
    if run is not None:
        return run
    if begin is not None:
        raise CollectionError("guest_truncated", "the collection is cut off: it has no end line; collect it again")
    if version is not None:
        raise CollectionError(
            "guest_unreadable", f"written by a collect script of format {version}; this version reads 1: collect again"
        )
    raise CollectionError(
        "guest_unreadable", "not the output of vnicheck's collect script; print that with 'vnicheck collect-script'"
    )


def _sections(lines: list[str]) -> dict[str, Section]:
    sections: dict[str, Section] = {}
    name, command = "", ""
    output: list[str] = []
    errors: list[str] = []
    damage: str | None = None

    def close(status: int | None, reason: str | None) -> None:
        if name in sections:
            raise CollectionError("guest_unreadable", f"section {name!r} comes twice; collect again")
        sections[name] = Section(
            name=name,
            command=command,
            output="\n".join(output),
            errors="\n".join(errors),
            status=status if reason is None else None,
            damage=reason,
        )

    for line in lines:
        if not line:
            continue
        if line[0] == "|" and name:
            output.append(line[1:])
        elif line[0] == "!" and name:
            errors.append(line[1:])
        elif name and (trailer := _TRAILER.fullmatch(line)) is not None and trailer[1] == name:
            close(int(trailer[2]), damage)
            name = ""
        elif (header := _HEADER.fullmatch(line)) is not None:
            if name:
                close(None, "the section was cut off")
            name, command, output, errors, damage = header[1], header[2], [], [], None
        else:
            damage = "other text ran into it, or its lines were wrapped"
    if name:
        close(None, "the section was cut off")
    return sections
