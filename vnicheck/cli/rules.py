"""`vnicheck rules` and `vnicheck explain`: the catalogue and its pages."""

from typing import Annotated

import typer

from vnicheck.cli.failure import UserError
from vnicheck.cli.output import console


def rules() -> None:
    """List the rules."""
    from vnicheck.rules.registry import RULES

    width = max(len(rule.name) for rule in RULES)
    for rule in RULES:
        print(f"{rule.id}  {rule.name:<{width}}  {rule.page.strip().splitlines()[0]}")


def explain(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Its id or name, as 'vnicheck rules' lists them.")],
) -> None:
    """Show one rule's page."""
    from vnicheck.rules.registry import RULES

    chosen = next((known for known in RULES if rule.lower() in (known.id.lower(), known.name)), None)
    if chosen is None:
        import difflib

        names = [name for known in RULES for name in (known.id, known.name)]
        close = difflib.get_close_matches(rule, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else "; 'vnicheck rules' lists them"
        raise UserError(f"no rule {rule!r}{hint}")
    from rich.markdown import Markdown

    screen = console()
    page = f"# {chosen.id} {chosen.name}\n\n{chosen.page.strip()}\n"
    if screen.is_terminal:
        screen.print(Markdown(page), width=min(screen.width, 100))
    else:
        print(page, end="")
