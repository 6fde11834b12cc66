"""`vnicheck rules` and `vnicheck explain`: the catalogue and its pages."""

import difflib

from rich.markdown import Markdown
from rich.table import Table

from vnicheck.cli.failure import UserError
from vnicheck.cli.given import ExplainOptions, RulesOptions
from vnicheck.cli.terminal import console
from vnicheck.rules.registry import RULES


def rules(_: RulesOptions) -> None:
    """The work of `RulesOptions`."""
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


def explain(given: ExplainOptions) -> None:
    """The work of `ExplainOptions`."""
    chosen = next((known for known in RULES if given.rule.lower() in (known.id.lower(), known.name)), None)
    if chosen is None:
        names = [name for known in RULES for name in (known.id, known.name)]
        close = difflib.get_close_matches(given.rule, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else "; 'vnicheck rules' lists them"
        raise UserError(f"no rule {given.rule!r}{hint}")
    screen = console()
    page = f"# {chosen.id} {chosen.name}\n\n{chosen.page.strip()}\n"
    if screen.is_terminal:
        screen.print(Markdown(page), width=min(screen.width, 100))
    else:
        print(page, end="")
