"""Words that no message, page or document of ours uses: one term for one thing, in plain technical English."""

import ast
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = Path(str(files("vnicheck")))
BANNED = {
    r"(?:un)?mend(?:s|ed|ing)?": "fix, fixed, unfixed",
    r"h(?:a|u)ngs? on|hanging on": "depends on",
    r"private networks beyond": "other private networks",
    r"not known to work": "their state is unknown",
    r"asks? table": "traffic from X uses table T",
}
"""Patterns, whole words, and what is written instead."""
TEXTS = sorted(
    path
    for pattern in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**/*.md", "contrib/**/*.md", "action.yml")
    for path in ROOT.glob(pattern)
)


def breaches(text: str) -> list[str]:
    """The banned words in a text; of Markdown without its code, for names of fields stay what they are."""
    plain = " ".join(re.sub(r"```.*?```|`[^`]*`", " ", text, flags=re.DOTALL).split())
    return [
        f"{found[0]!r} ({instead})"
        for banned, instead in BANNED.items()
        for found in re.finditer(rf"\b(?:{banned})\b", plain, re.IGNORECASE)
    ]


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """The strings of a module that are more than a word, docstrings and parts of f-strings among them."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "X" for part in node.values]
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def test_no_message_of_the_program_uses_them() -> None:
    modules = sorted(PROGRAM.rglob("*.py"))
    assert len(modules) > 200
    found = [
        f"{path.relative_to(PROGRAM)}:{line}: {breach}"
        for path in modules
        for line, text in sentences(path)
        for breach in breaches(text)
    ]
    assert found == []


@pytest.mark.parametrize("path", sorted(PROGRAM.rglob("*.j2")), ids=lambda path: path.name)
def test_nor_does_a_template(path: Path) -> None:
    assert breaches(path.read_text()) == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nor_does_a_document(path: Path) -> None:
    assert breaches(path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("it mends all", 1),
        ("what is unmended", 1),
        ("that hangs\non rp_filter", 1),
        ("private networks beyond, not known to work", 2),
        ("we recommend an amendment", 0),
        ("the field `mended`", 0),
        ("nothing depends on it", 0),
    ],
)
def test_the_words_are_found(text: str, count: int) -> None:
    assert len(breaches(text)) == count


def test_a_sentence_of_several_parts_is_one(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('said = f"that {word} hangs "\\\n    f"on {what}"\n')
    assert any(breaches(text) for _, text in sentences(path))
