"""Writes docs/rules from the docstrings of the rules: `python -m tests.support.rule_pages`."""

from pathlib import Path

from vnicheck.findings.rule import Rule
from vnicheck.rules.registry import RULES

FOLDER = Path(__file__).parents[2] / "docs" / "rules"
INDEX = "README.md"
GROUPS = {"1": "Drops", "2": "Latent", "3": "Exposure", "4": "Coverage", "5": "Expectations"}
"""By the first digit of a rule's number."""

_HEAD = """# Rules

One page a rule, from the rules' docstrings by `python -m tests.support.rule_pages`; `vnicheck explain RULE` shows the
same. Where the severity varies, a finding is an error if it concerns flows that others open to the server, a warning if
it concerns flows that the server opens or rests on an assumption alone; the page says what else counts.
"""


def pages() -> dict[str, str]:
    """The text of every file of the folder, by its name."""
    return {INDEX: _index()} | {_file(rule): _page(rule) for rule in RULES}


def write() -> None:
    """Makes the folder hold these pages and no others."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)


def _file(rule: Rule) -> str:
    return f"{rule.id}-{rule.name}.md"


def _page(rule: Rule) -> str:
    severity = f"Severity: {rule.severity or 'varies'}."
    return f"# {rule.id} {rule.name}\n\n{severity}\n\n{rule.page.strip()}\n"


def _index() -> str:
    parts = [_HEAD]
    for digit, title in GROUPS.items():
        rows = [
            f"| [{rule.id}]({_file(rule)}) | `{rule.name}` | {rule.severity or 'varies'} | {rule.summary} |"
            for rule in RULES
            if rule.id[3] == digit
        ]
        if rows:
            table = "\n".join(["| id | name | severity | finds |", "|---|---|---|---|", *rows])
            parts.append(f"## {title}\n\n{table}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    write()
