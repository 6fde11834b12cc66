"""docs/rules is what the rules' docstrings say."""

import re

from tests.support.rule_pages import FOLDER, GROUPS, INDEX, pages
from vnicheck.rules.registry import RULES


def test_the_pages_are_those_of_the_rules() -> None:
    """After a change that is meant: python -m tests.support.rule_pages."""
    assert {path.name for path in FOLDER.iterdir()} == set(pages())
    stale = [name for name, text in pages().items() if (FOLDER / name).read_text() != text]
    assert stale == [], "run python -m tests.support.rule_pages"


def test_the_index_lists_every_rule_once_and_links_to_its_page() -> None:
    index = (FOLDER / INDEX).read_text()
    linked = re.findall(r"\| \[(VNC\d+)\]\(([^)]+)\)", index)
    assert [rule_id for rule_id, _ in linked] == [rule.id for rule in RULES]
    assert all((FOLDER / target).is_file() for _, target in linked)
    assert {rule.id[3] for rule in RULES} <= set(GROUPS)
