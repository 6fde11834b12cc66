"""The commands. The program starts with this and Typer; a command's help loads its options (`given`), and only its call
the module that does the work, with the engine, SSH and all else: this is the one place that loads late for speed.
"""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from vnicheck import __version__

COMMANDS = {
    "analyze": (
        "analyze",
        "Read the VPC, collect the guest over SSH, predict every flow, and report what is broken and why.",
    ),
    "trace": ("trace", "Follow one flow hop by hop, request and reply."),
    "fix": (
        "fix",
        "Plan a fix that is proved to work and to break nothing; without --dry-run, apply it with automatic rollback.",
    ),
    "rollback": ("rollback", "Undo a change that 'vnicheck fix' applied."),
    "ledger": ("rollback", "List what was applied where, or show one change."),
    "lint": ("lint", "Check every server in scope that has several interfaces, for CI; fails on errors."),
    "list": (
        "list",
        "List servers with their VNIs: modes, addresses, security groups; nothing is judged, and no SSH.",
    ),
    "doctor": (
        "doctor",
        "Try what is needed, credentials, region, each list of the API, SSH, one server, and say what to do.",
    ),
    "init": ("init", "Write a commented vnicheck.toml from what the account has."),
    "snapshot": (
        "snapshot",
        "Collect servers into a file or folder that feeds every other command through --snapshot, offline.",
    ),
    "diff": ("diff", "Compare two snapshots: findings that are new or gone, and flows that fare differently."),
    "verify": (
        "verify",
        "Hold predictions against what can be seen: the server's own kernel, asked, captures, and packets.",
    ),
    "rehearse": (
        "rehearse",
        "Rebuild a server on this machine's kernel from its snapshot, send real packets, and try a fix or any change.",
    ),
    "demo": ("demo", "Replay the recorded case: observed beside predicted."),
    "collect-script": (
        "collect_script",
        "Print the POSIX sh script that collects a guest; feed its saved output back with --guest INSTANCE=FILE.",
    ),
    "rules": ("rules", "List the rules, with their severity where it does not depend on what is found."),
    "explain": ("rules", "Show the page of one rule, or of one assumption."),
    "assumptions": ("assumptions", "List what is assumed of the VPC, on what evidence, and how to override it."),
    "completion": (
        "completion",
        "Print a script with which a shell completes commands, options, choices, and names of servers.",
    ),
    "schema": ("schema", "Print a document's JSON Schema (draft 2020-12)."),
}
"""By name, in the order in which help lists them: the module here that does the work, and what it does."""


class _Conversion:
    """What Typer 0.29 asks a parameter for to convert its values. Texts and paths need no pydantic, which takes longer
    to load than all of Typer; numbers that are typed are Typer's to read. Of other versions all is Typer's.
    """

    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as the command declares it."""
        if value is None:
            return None
        wanted = self._parameter.type_descriptor.annotation
        kind, *_ = get_args(wanted) or (wanted,)
        if isinstance(value, str) and kind not in (str, Path):
            return type(self._parameter).get_runtime_param(self._parameter).coerce(value, param, ctx)
        return [kind(each) for each in value] if get_origin(wanted) is list else kind(value)


def _light(parameters: list[Any]) -> list[Any]:
    for parameter in parameters if typer.__version__.startswith("0.29.") else ():
        vars(parameter)["get_runtime_param"] = partial(_Conversion, parameter)
    return parameters


class _Commands(TyperGroup):
    def get_params(self, ctx: Any) -> Any:
        return _light(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, _loaded(str(name)), rest

    def get_help(self, ctx: Any) -> str:  # noqa: ARG002 - Click's signature
        from vnicheck.cli.help import program_help

        return program_help(COMMANDS)


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> Any:
        return _light(super().get_params(ctx))

    def get_help(self, ctx: Any) -> str:  # noqa: ARG002 - Click's signature
        from vnicheck.cli.help import command_help
        from vnicheck.cli.tree import command

        return command_help(command(str(self.name)))


def _loaded(name: str) -> Any:
    from vnicheck.cli import given
    from vnicheck.cli.bundles import command_of

    def work() -> Any:
        return getattr(import_module(f"vnicheck.cli.{COMMANDS[name][0]}"), name.replace("-", "_"))

    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    one.command(name, cls=_Command)(command_of(getattr(given, f"{name.title().replace('-', '')}Options"), work))
    return get_command(one)


app = typer.Typer(
    name="vnicheck",
    cls=_Commands,
    help="Predicts which flows of a multi-homed IBM Cloud VPC server are dropped, says why, and what to do.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"vnicheck {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


for _name, (_, _said) in COMMANDS.items():
    app.command(_name, help=_said)(lambda: None)
