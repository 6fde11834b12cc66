"""What makes the site of docs/: its generated pages, its links, and what checks it once it is built (`make docs`)."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vnicheck.cli.app import COMMANDS
from vnicheck.cli.schema import DOCUMENTS
from vnicheck.fabric.assumptions import ASSUMPTIONS
from website import reference, repository
from website.check import wrong

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    return reference.pages()


def test_every_command_has_its_page_and_a_row(generated: dict[str, str]) -> None:
    index = generated["reference/commands/index.md"]
    for name in COMMANDS:
        assert f"Usage: vnicheck {name} " in generated[f"reference/commands/{name}.md"]
        assert f"| [`{name}`]({name}.md) |" in index


def test_guides_of_commands_exist() -> None:
    assert reference.GUIDES.keys() <= COMMANDS.keys()
    for target in reference.GUIDES.values():
        assert (ROOT / "docs" / target.partition("#")[0].removeprefix("../../")).is_file()


def test_assumptions_and_schemas_are_those_of_the_program(generated: dict[str, str]) -> None:
    page = generated["reference/assumptions.md"]
    assert re.findall(r"^## (\S+)$", page, re.MULTILINE) == [assumption.id for assumption in ASSUMPTIONS]
    for document in DOCUMENTS:
        schema = json.loads(generated[f"reference/schemas/{document}.json"])
        assert schema["$ref"].rpartition("/")[2] in schema["$defs"]
        assert f"## {document}\n" in generated["reference/documents.md"]


def test_what_the_environment_says_of_columns_changes_no_page(
    generated: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert reference.pages() == generated


ADDRESS = repository.address()


@pytest.mark.parametrize(
    ("page", "text", "said"),
    [
        ("trust.md", "[a](../tests/cli/test_lint.py)", f"[a]({ADDRESS}/blob/main/tests/cli/test_lint.py)"),
        ("rules/README.md", "[a](../../contrib)", f"[a]({ADDRESS}/tree/main/contrib)"),
        ("architecture.md", "[a](../CONTRIBUTING.md#tests)", "[a](contributing.md#tests)"),
        ("concepts/flows.md", "[a](../../CHANGELOG.md)", "[a](../changelog.md)"),
        ("contributing.md", "[a](docs/scale.md) [b](CHANGELOG.md)", "[a](scale.md) [b](changelog.md)"),
        ("contributing.md", "![a](docs/pictures/layers.svg)", "![a](pictures/layers.svg)"),
        ("concepts/flows.md", "[a](../engine.md#x) [b](#y)", "[a](../engine.md#x) [b](#y)"),
        ("start.md", "[a](https://example.com/b) [m](mailto:a@b.c)", "[a](https://example.com/b) [m](mailto:a@b.c)"),
        ("start.md", "[a](../no/such.py)", "[a](../no/such.py)"),
        ("start.md", "[a](../../outside)", "[a](../../outside)"),
        ("start.md", "`[a](../Makefile)`", "`[a](../Makefile)`"),
        ("start.md", "```\n[a](../Makefile) \\|\n```", "```\n[a](../Makefile) \\|\n```"),
        ("trust.md", "| `lint \\| head` | a |", "| `lint | head` | a |"),
    ],
)
def test_links_lead_where_the_site_has_what_they_name(page: str, text: str, said: str) -> None:
    assert repository.on_site(text, page) == said


def _site(folder: Path, **pages: str) -> list[str]:
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text)
    return list(wrong(folder))


def test_a_site_whose_links_lead_somewhere_is_well(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "index.html").write_text("<h1 id='x y'>")
    pages = {
        "b": "<a href='a/'>1</a><a href='a/index.html#x%20y'>2</a><a href='#z'>3</a><p id=z></p><a href='.'>4</a>",
        "index": "<a href='https://example.com/'>6</a><a href='/b.html'>5</a><img src='data:image/png;base64,'>",
    }
    assert _site(tmp_path, **pages) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<a href='b.html'>", "b.html leads nowhere"),
        ("<a href='../outside.html'>", "../outside.html leads nowhere"),
        ("<a href='#no'>", "#no leads to no anchor"),
        ("<img src='no.svg'>", "no.svg leads nowhere"),
        ("<script src='https://cdn.example/x.js'></script>", "fetches https://cdn.example/x.js"),
        ("<link href='//fonts.example/css' rel=stylesheet>", "fetches //fonts.example/css"),
    ],
)
def test_what_is_wrong_with_a_site_is_told(tmp_path: Path, text: str, said: str) -> None:
    assert _site(tmp_path, index=text) == [f"index.html: {said}"]


def test_a_stylesheet_that_fetches_and_an_empty_site_are_wrong(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "website.check", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, f"{tmp_path}: no page\n")
    (tmp_path / "a.css").write_text("@font-face { src: url(https://fonts.example/a.woff) }")
    assert _site(tmp_path, index="") == ["a.css: fetches something (url(http)"]
