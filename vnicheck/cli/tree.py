"""The program as what describes it sees it (completion, manual pages): commands, their options, and what these take."""

import re
from collections.abc import Iterator
from inspect import Parameter as Declared
from pathlib import Path
from typing import NamedTuple, get_args

from typer.models import OptionInfo

from vnicheck.cli import given
from vnicheck.cli.app import COMMANDS
from vnicheck.cli.bundles import parameters_of

_CHOICES = re.compile(r"[a-z-]+(?:\|[a-z-]+)+")
_FORMATS = re.compile(r"((?:[a-z]+(?:, | or ))+[a-z]+)\.")
_SERVERS = re.compile(r"\[?INSTANCE(?:\.\.\.)?\]?|ADDR")
_PATHS = re.compile(r"FILE|PATH|DIR|OLD|NEW")


class Takes(NamedTuple):
    """What an option or argument takes: `nothing` (a flag), `servers`, `files`, `pages` (of rules and
    assumptions), `words` (of `choices`), or `other`.
    """

    kind: str
    choices: tuple[str, ...] = ()


class Parameter(NamedTuple):
    """An option (`names`: `--format`, `-f`) or an argument (none) of a group of help. `shown` is what help calls its
    value, `limits` what it may be and is by default.
    """

    group: str
    names: tuple[str, ...]
    takes: Takes
    shown: str
    said: str
    limits: str = ""
    required: bool = False


class CommandTree(NamedTuple):
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


HELP = Parameter("Options", ("--help", "-h"), Takes("nothing"), "", "Show this message and exit.")


def command(name: str) -> CommandTree:
    """One command."""
    kind = getattr(given, f"{name.title().replace('-', '')}Options")
    parameters = (_parameter(name, group, each) for group, each in parameters_of(kind))
    return CommandTree(name, COMMANDS[name][1], (*parameters, HELP))


def commands() -> Iterator[CommandTree]:
    """All commands, in the order in which help lists them."""
    return map(command, COMMANDS)


def _parameter(of: str, group: str, declared: Declared) -> Parameter:
    wanted, info = get_args(declared.annotation)
    kinds = {wanted, *get_args(wanted), *(inner for each in get_args(wanted) for inner in get_args(each))}
    is_option, is_flag = isinstance(info, OptionInfo), wanted is bool
    names = tuple(name for each in info.param_decls for name in each.split("/")) if is_option else ()
    words = {int: "NUMBER", float: "SECONDS", Path: "PATH"}
    value = info.metavar or next((word for each, word in words.items() if each in kinds), "TEXT")
    said = info.help or ""
    return Parameter(
        group=group if is_option else "Arguments",
        names=names,
        takes=Takes("nothing") if is_flag else _takes(of, value, said),
        shown="" if is_flag else value,
        said=said,
        limits=_limits(declared.default, info.min, info.max),
        required=declared.default is Declared.empty,
    )


def _limits(default: object, least: float | None, most: float | None) -> str:
    """`default 10, 0.1-86400`; nothing of flags."""
    parts = [] if default in (None, Declared.empty) or isinstance(default, bool) else [f"default {default}"]
    if least is not None:
        parts.append(f"{least:g} or more" if most is None else f"{least:g}-{most:g}")
    return ", ".join(parts)


def _takes(command: str, metavar: str, said: str) -> Takes:
    if _CHOICES.fullmatch(metavar):
        return Takes("words", tuple(metavar.split("|")))
    if metavar.startswith("FORMAT") and (found := _FORMATS.match(said)):
        return Takes("words", tuple(re.split(r", | or ", found[1])))
    if _SERVERS.fullmatch(metavar):
        return Takes("servers")
    if command == "explain":
        return Takes("pages")
    return Takes("files" if _PATHS.fullmatch(metavar) else "other")
