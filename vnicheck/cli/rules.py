"""`vnicheck rules` and `vnicheck explain`: the catalogue and its pages."""

import difflib
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.table import Table

from vnicheck.cli.failure import UserError
from vnicheck.cli.terminal import console
from vnicheck.rules.registry import RULES


def rules() -> None:
    """List the rules, with their severity where it does not depend on what is found."""
    rows = [(rule.id, rule.name, rule.severity or "varies", rule.summary) for rule in RULES]
    screen = console()
    if screen.is_terminal:
        table = Table("id", "name", "severity", "finds", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        screen.print(table)
        return
    width = max(len(rule.name) for rule in RULES)
    for rule_id, name, severity, finds in rows:
        print(f"{rule_id}  {name:<{width}}  {severity:<7}  {finds}")


def explain(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Its id or name, as 'vnicheck rules' lists them.")],
) -> None:
    """Show one rule's page."""
    chosen = next((known for known in RULES if rule.lower() in (known.id.lower(), known.name)), None)
    if chosen is None:
        names = [name for known in RULES for name in (known.id, known.name)]
        close = difflib.get_close_matches(rule, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else "; 'vnicheck rules' lists them"
        raise UserError(f"no rule {rule!r}{hint}")
    screen = console()
    page = f"# {chosen.id} {chosen.name}\n\n{chosen.page.strip()}\n"
    if screen.is_terminal:
        screen.print(Markdown(page), width=min(screen.width, 100))
    else:
        print(page, end="")
