"""`vnicheck assumptions`: what is taken for granted of the VPC."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.text import Text

from vnicheck.cli.config import load_config
from vnicheck.cli.failure import UserError
from vnicheck.cli.given import AssumptionsOptions
from vnicheck.cli.observations import read_observations
from vnicheck.cli.output import write_bytes
from vnicheck.cli.terminal import console
from vnicheck.fabric.assumptions import ASSUMPTIONS
from vnicheck.model.config import Assumptions
from vnicheck.model.verification import VerificationDocument
from vnicheck.model.words import one_line

FORMATS = ("text", "json")


def assumptions(given: AssumptionsOptions) -> None:
    """The work of `AssumptionsOptions`."""
    if given.format_ not in FORMATS:
        raise UserError(f"--format {given.format_!r}: write {' or '.join(FORMATS)}")
    documents = [read_observations(file) for file in given.observations or ()]
    listed = _listed(load_config(given.config_file).assumptions, documents)
    if given.format_ == "json":
        write_bytes(msgspec.json.format(msgspec.json.encode(listed), indent=2) + b"\n", None)
    else:
        _show(listed)


def _listed(chosen: "Assumptions", documents: Sequence[VerificationDocument]) -> list[dict[str, Any]]:
    """The assumptions, each with its key below `[assumptions]` (None: it has none), the setting where it differs from
    what is assumed without one, and what was seen of it, and where.
    """
    defaults, settings = msgspec.to_builtins(Assumptions()), msgspec.to_builtins(chosen)
    return [
        msgspec.structs.asdict(assumption)
        | {
            "override": assumption.id if assumption.id in settings else None,
            "setting": None if settings.get(assumption.id) == defaults.get(assumption.id) else settings[assumption.id],
            "seen": [
                {
                    "server": {"id": server.id, "name": server.name},
                    "conclusion": seen.conclusion,
                    "how": seen.how,
                    "at": document.verified_at,
                    "line": seen.line,
                }
                for document in documents
                for server in document.verifications
                for seen in server.assumptions
                if seen.id == assumption.id
            ],
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
        for seen in assumption["seen"]:
            setting = f": {seen['line']}" if seen["line"] is not None else ""
            where = f"on {seen['server']['name']} by a {seen['how']}, {seen['at']}"
            texts.append(one_line(f"{seen['conclusion'].capitalize()} {where}{setting}"))
        for text in texts:
            for line in Text(text).wrap(screen, width - 2):
                line.rstrip()
                screen.print(Text("  ") + line, soft_wrap=True)
        screen.print()
    screen.print("Override with vnicheck.toml, by the names above: [assumptions] psf-opening = false", soft_wrap=True)
