"""Manual pages from what the program says of itself: `python -m tests.support.man_pages FOLDER` (`make man`).

click-man makes such pages of Click's commands; Typer's are none since it has a Click of its own (0.29).
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from vnicheck import __version__
from vnicheck.cli.failure import MEANINGS
from vnicheck.cli.help import ABOUT, ENVIRONMENT, EXAMPLES, GROUPS, usage_words
from vnicheck.cli.tree import CommandTree, Parameter, commands


def man_pages() -> Iterator[tuple[str, str]]:
    """Each page's file name (`vnicheck-lint.1`) and its text."""
    listed = list(commands())
    yield "vnicheck.1", "\n".join(_program(listed)) + "\n"
    for command in listed:
        yield f"vnicheck-{command.name}.1", "\n".join(_command(command)) + "\n"


def _program(listed: list[CommandTree]) -> Iterator[str]:
    yield from _head("vnicheck", "predict which flows of IBM Cloud VPC servers are dropped")
    yield r"\fBvnicheck\fR \fICOMMAND\fR [\fIOPTIONS\fR] [\fIARGUMENTS\fR]"
    yield from (".SH DESCRIPTION", _text(ABOUT))
    said = {command.name: command.said for command in listed}
    for title, names in GROUPS.items():
        yield f".SH {_text(title.upper())}"
        yield from _definitions((rf"\fBvnicheck\-{_text(name)}\fR(1)", said[name]) for name in names)
    yield ".SH ENVIRONMENT"
    yield from _definitions((_text(name), what) for name, what in ENVIRONMENT.items())
    yield ".SH EXIT STATUS"
    yield from _definitions((str(int(code)), what) for code, what in MEANINGS.items())
    yield ".SH FILES"
    yield from _definitions(
        [
            (r"\fIvnicheck.toml\fR", "The configuration, in the current folder or one above it; see vnicheck-init(1)."),
            (r"\fI~/.ssh/config\fR, \fI~/.ssh/known_hosts\fR", "How servers are reached, and their keys."),
        ]
    )


def _command(command: CommandTree) -> Iterator[str]:
    yield from _head(f"vnicheck-{command.name}", command.said[0].lower() + command.said[1:].rstrip("."))
    arguments = "".join(rf" \fI{_text(each)}\fR" for each in usage_words(command))
    yield rf"\fBvnicheck {_text(command.name)}\fR [\fIOPTIONS\fR]{arguments}"
    yield from (".SH DESCRIPTION", _text(command.said))
    for group in dict.fromkeys(each.group for each in command.parameters):
        yield f".SH {_text(group.upper())}"
        yield from _definitions((_term(each), _said(each)) for each in command.parameters if each.group == group)
    yield from (".SH EXAMPLES", ".nf")
    yield from (_text(f"vnicheck {line}") for line in EXAMPLES[command.name])
    yield from (".fi", ".SH SEE ALSO", r"\fBvnicheck\fR(1), for the environment and the exit status")


def _head(name: str, said: str) -> Iterator[str]:
    yield f'.TH {_text(name.upper())} 1 "" "vnicheck {__version__}" "vnicheck"'
    yield from (".SH NAME", rf"{_text(name)} \- {_text(said)}", ".SH SYNOPSIS")


def _term(parameter: Parameter) -> str:
    names = ", ".join(rf"\fB{_text(name)}\fR" for name in parameter.names)
    return rf"{names} \fI{_text(parameter.shown)}\fR".strip() if parameter.shown else names


def _said(parameter: Parameter) -> str:
    notes = [parameter.limits] if parameter.limits else []
    notes += ["required"] if parameter.required and parameter.names else []
    return f"{parameter.said} ({', '.join(notes)})" if notes else parameter.said


def _definitions(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Terms, in roff, each with plain text."""
    for term, said in rows:
        yield from (".TP", term, _text(said) or r"\&")


def _text(plain: str) -> str:
    """Plain text for roff: what it would take for a request or a dash of prose stays what it is."""
    escaped = plain.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name, page in man_pages():
        (folder / name).write_text(page, encoding="utf-8")
