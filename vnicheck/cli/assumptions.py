"""`vnicheck assumptions`: what is taken for granted of the VPC."""

import json
from typing import Any

import msgspec
from rich.text import Text

from vnicheck.cli.config import load_config
from vnicheck.cli.failure import UserError
from vnicheck.cli.given import AssumptionsOptions
from vnicheck.cli.output import write_bytes
from vnicheck.cli.terminal import console
from vnicheck.fabric.assumptions import ASSUMPTIONS
from vnicheck.model.config import Assumptions

FORMATS = ("text", "json")


def assumptions(given: AssumptionsOptions) -> None:
    """The work of `AssumptionsOptions`."""
    if given.format_ not in FORMATS:
        raise UserError(f"--format {given.format_!r}: write {' or '.join(FORMATS)}")
    listed = _listed(load_config(given.config_file).assumptions)
    if given.format_ == "json":
        write_bytes(msgspec.json.format(msgspec.json.encode(listed), indent=2) + b"\n", None)
    else:
        _show(listed)


def _listed(chosen: "Assumptions") -> list[dict[str, Any]]:
    """The assumptions, each with its key below `[assumptions]` (None: it has none), and the setting where it differs
    from what is assumed without one.
    """
    defaults, settings = msgspec.to_builtins(Assumptions()), msgspec.to_builtins(chosen)
    return [
        msgspec.structs.asdict(assumption)
        | {
            "override": assumption.id if assumption.id in settings else None,
            "setting": None if settings.get(assumption.id) == defaults.get(assumption.id) else settings[assumption.id],
        }
        for assumption in ASSUMPTIONS
    ]


def _show(listed: list[dict[str, Any]]) -> None:
    screen = console()
    width = min(screen.width, 100)
    for assumption in listed:
        screen.print(Text(f"{assumption['id']}  ", "bold") + Text(f"[{assumption['basis']}]", "dim"), soft_wrap=True)
        texts = [assumption["statement"], f"Source: {assumption['source']}"]
        if assumption["setting"] is not None:
            shown = json.dumps(assumption["setting"])
            texts.append(f"Overridden by the configuration: {assumption['id']} = {shown}")
        elif assumption["override"] is None:
            texts.append("It cannot be overridden.")
        for text in texts:
            for line in Text(text).wrap(screen, width - 2):
                line.rstrip()
                screen.print(Text("  ") + line, soft_wrap=True)
        screen.print()
    screen.print("Override with vnicheck.toml, by the names above: [assumptions] psf-opening = false", soft_wrap=True)
