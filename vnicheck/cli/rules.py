"""`vnicheck rules` and `vnicheck explain`: the catalogue, its pages, and those of assumptions."""

import difflib

import msgspec
from rich.markdown import Markdown
from rich.table import Table

from vnicheck.cli.config import EXAMPLES
from vnicheck.cli.failure import UserError
from vnicheck.cli.given import ExplainOptions, RulesOptions
from vnicheck.cli.output import write_bytes
from vnicheck.cli.terminal import console
from vnicheck.fabric.assumptions import ASSUMPTIONS, Assumption
from vnicheck.rules.registry import RULES

FORMATS = ("text", "json")


def rules(given: RulesOptions) -> None:
    """The work of `RulesOptions`. Of a rule whose severity depends on what is found, JSON has null."""
    if given.format_ not in FORMATS:
        raise UserError(f"--format {given.format_!r}: write {' or '.join(FORMATS)}")
    if given.format_ == "json":
        listed = [
            {"id": rule.id, "name": rule.name, "severity": rule.severity, "summary": rule.summary, "page": rule.page}
            for rule in RULES
        ]
        write_bytes(msgspec.json.format(msgspec.json.encode(listed), indent=2) + b"\n", None)
        return
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
    page = _page(given.rule.lower())
    if page is None:
        names = [name for known in RULES for name in (known.id, known.name)] + [known.id for known in ASSUMPTIONS]
        close = difflib.get_close_matches(given.rule, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else "; 'vnicheck rules' and 'vnicheck assumptions' list them"
        if "_" in given.rule and not close:
            hint = "; of a problem's code, the line beside it says what to do"
        raise UserError(f"no rule or assumption {given.rule!r}{hint}")
    screen = console()
    if screen.is_terminal:
        screen.print(Markdown(page), width=min(screen.width, 100))
    else:
        print(page, end="")


def _page(wanted: str) -> str | None:
    for rule in RULES:
        if wanted in (rule.id.lower(), rule.name):
            return f"# {rule.id} {rule.name}\n\n{rule.page.strip()}\n"
    for assumption in ASSUMPTIONS:
        if wanted == assumption.id:
            return _of_assumption(assumption)
    return None


def _of_assumption(assumption: Assumption) -> str:
    example = EXAMPLES.get(assumption.id)
    parts = {
        "What is assumed": assumption.statement,
        "How sure we are": f"{assumption.basis.capitalize()}.",
        "Sources": f"{assumption.source}.",
        "How to override": f"In vnicheck.toml, below [assumptions]: {example}"
        if example
        else "It cannot be overridden.",
    }
    return f"# {assumption.id}\n\n" + "\n".join(f"## {title}\n\n{text}\n" for title, text in parts.items())
