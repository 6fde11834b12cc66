"""The pages of docs/reference that are written by hand have all that the program has."""

import ast
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from vnicheck.cli.failure import Exit

ROOT = Path(__file__).parents[2]
PROBLEMS = (ROOT / "docs" / "reference" / "problems.md").read_text()
COLLECTION = (ROOT / "docs" / "collection.md").read_text()
CONSTANTS = {"NOT_RUNNING": "not_running", "INTERFACES_UNREAD": "interfaces_unread", "NO_SUCH_VPC": "no_such_vpc"}


def codes_in(source: str) -> Iterator[str]:
    """Those that a module gives a problem or an error of the cloud, where it says them in so many words."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        given = [word.value for word in node.keywords if word.arg == "code"] if name == "Problem" else []
        given += node.args[:1] if name == "CloudError" else []
        for value in given:
            for part in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
                if isinstance(part, ast.Constant):
                    yield str(part.value)
                elif isinstance(part, ast.Name) and part.id.isupper():
                    yield CONSTANTS[part.id]


def test_every_problem_has_its_row() -> None:
    sources = [path.read_text() for path in Path(str(files("vnicheck"))).rglob("*.py")]
    codes = {code for source in sources for code in codes_in(source)}
    assert len(codes) > 40
    rows = [line.split("|")[1] for line in f"{PROBLEMS}\n{COLLECTION}".splitlines() if line.startswith("| `")]
    told = {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}
    assert codes - told == set()


def test_a_code_is_found_however_it_is_given() -> None:
    source = 'Problem(code="a_b" if x else NOT_RUNNING)\nraise errors.CloudError("c_d", "")\nProblem(code=e.code)'
    assert list(codes_in(source)) == ["a_b", "not_running", "c_d"]


def test_every_exit_code_has_its_row() -> None:
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text()
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)] == sorted(Exit)
