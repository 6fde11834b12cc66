"""The program as what describes it sees it (completion, manual pages): commands, their options, and what these take."""

import re
from collections.abc import Iterator
from inspect import Parameter as Declared
from pathlib import Path
from typing import get_args

from msgspec import Struct
from typer.models import OptionInfo

from vnicheck.cli import given
from vnicheck.cli.app import COMMANDS
from vnicheck.cli.bundles import parameters_of

_CHOICES = re.compile(r"[a-z-]+(?:\|[a-z-]+)+")
_FORMATS = re.compile(r"((?:[a-z]+(?:, | or ))+[a-z]+)\.")
_SERVERS = re.compile(r"\[?INSTANCE(?:\.\.\.)?\]?|ADDR")
_PATHS = re.compile(r"FILE|PATH|DIR|OLD|NEW")


class Takes(Struct, frozen=True):
    """What an option or argument takes: `nothing` (a flag), `servers`, `files`, `words` (of `choices`), or `other`."""

    kind: str
    choices: tuple[str, ...] = ()


class Parameter(Struct, frozen=True):
    """An option (`names`: `--format`, `-f`) or an argument (none). `shown` is what help calls its value."""

    names: tuple[str, ...]
    takes: Takes
    shown: str
    said: str
    required: bool = False


class CommandTree(Struct, frozen=True):
    """A command."""

    name: str
    said: str
    parameters: tuple[Parameter, ...]

    @property
    def options(self) -> tuple[Parameter, ...]:
        return tuple(each for each in self.parameters if each.names)

    @property
    def arguments(self) -> tuple[Parameter, ...]:
        return tuple(each for each in self.parameters if not each.names)


HELP = Parameter(("--help", "-h"), Takes("nothing"), "", "Show this message and exit.")


def commands() -> Iterator[CommandTree]:
    """All commands, in the order in which help lists them."""
    for name, (_, said) in COMMANDS.items():
        kind = getattr(given, f"{name.title().replace('-', '')}Options")
        yield CommandTree(name, said, (*(_parameter(name, each) for each in parameters_of(kind)), HELP))


def _parameter(command: str, declared: Declared) -> Parameter:
    wanted, info = get_args(declared.annotation)
    kinds = {wanted, *get_args(wanted), *(inner for each in get_args(wanted) for inner in get_args(each))}
    is_option, is_flag = isinstance(info, OptionInfo), wanted is bool
    # within Annotated, what stands first is no default, but the first name
    given_names = [each for each in (info.default, *(info.param_decls or ())) if isinstance(each, str)]
    names = tuple(name for each in given_names for name in each.split("/")) if is_option else ()
    words = {int: "NUMBER", float: "SECONDS", Path: "PATH"}
    value = info.metavar or next((word for each, word in words.items() if each in kinds), "TEXT")
    said = info.help or ""
    takes = Takes("nothing") if is_flag else _takes(command, value, said)
    return Parameter(names, takes, "" if is_flag else value, said, declared.default is Declared.empty)


def _takes(command: str, metavar: str, said: str) -> Takes:
    if _CHOICES.fullmatch(metavar):
        return Takes("words", tuple(metavar.split("|")))
    if metavar.startswith("FORMAT") and (found := _FORMATS.match(said)):
        return Takes("words", tuple(re.split(r", | or ", found[1])))
    if _SERVERS.fullmatch(metavar):
        return Takes("servers")
    if command == "explain":
        return Takes("words", _pages())
    return Takes("files" if _PATHS.fullmatch(metavar) else "other")


def _pages() -> tuple[str, ...]:
    from vnicheck.fabric.assumptions import ASSUMPTIONS
    from vnicheck.rules.registry import RULES

    return tuple(word for rule in RULES for word in (rule.id, rule.name)) + tuple(each.id for each in ASSUMPTIONS)
