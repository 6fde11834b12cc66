"""`vnicheck assumptions`: what is taken for granted of the VPC."""

from typing import TYPE_CHECKING

from vnicheck.cli import options
from vnicheck.cli.config import load_config
from vnicheck.cli.output import console

if TYPE_CHECKING:
    from vnicheck.model.config import Assumptions


def assumptions(config_file: options.ConfigFile = None) -> None:
    """List what is assumed of the VPC, on what evidence."""
    config = load_config(config_file)
    overridden = _overridden(config.assumptions)
    from rich.text import Text

    from vnicheck.fabric.assumptions import ASSUMPTIONS

    screen = console()
    width = min(screen.width, 100)
    for assumption in ASSUMPTIONS:
        screen.print(Text(f"{assumption.id}  ", "bold") + Text(f"[{assumption.basis}]", "dim"), soft_wrap=True)
        texts = [assumption.statement, f"Source: {assumption.source}"]
        if assumption.id in overridden:
            texts.append(f"Overridden by the configuration: {overridden[assumption.id]}")
        for text in texts:
            for line in Text(text).wrap(screen, width - 2):
                line.rstrip()
                screen.print(Text("  ") + line, soft_wrap=True)
        screen.print()


def _overridden(chosen: "Assumptions") -> dict[str, str]:
    """The settings that differ from what is assumed without them, as the configuration writes them, by id."""
    import json

    import msgspec

    from vnicheck.model.config import Assumptions

    defaults, settings = msgspec.to_builtins(Assumptions()), msgspec.to_builtins(chosen)
    return {key: f"{key} = {json.dumps(value)}" for key, value in settings.items() if value != defaults[key]}
