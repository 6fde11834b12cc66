"""`vnicheck assumptions`: what is taken for granted of the VPC."""

from vnicheck.cli.output import console


def assumptions() -> None:
    """List what is assumed of the VPC, and on what evidence."""
    from rich.text import Text

    from vnicheck.fabric.assumptions import ASSUMPTIONS

    screen = console()
    width = min(screen.width, 100)
    for assumption in ASSUMPTIONS:
        screen.print(Text(f"{assumption.id}  ", "bold") + Text(f"[{assumption.basis}]", "dim"), soft_wrap=True)
        for text in (assumption.statement, f"Source: {assumption.source}"):
            for line in Text(text).wrap(screen, width - 2):
                line.rstrip()
                screen.print(Text("  ") + line, soft_wrap=True)
        screen.print()
