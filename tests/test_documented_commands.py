"""Every command that the pages show is one that the program understands: its name and its options."""

from pathlib import Path

import pytest

from tests.support.documented import shown, words
from vnicheck.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GENERAL = {"COMMAND"}
"""What stands for any command."""


def complaint(arguments: list[str]) -> str | None:
    """What the program says of these words without doing anything; a command that lacks something is only named."""
    try:
        app(args=[*arguments, "--help"], prog_name="vnicheck", standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - Typer's own click has no public name
        return str(error)
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_shows_is_understood(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in shown(page.read_text()):
        arguments = words(line)
        if arguments and arguments[0] not in GENERAL:
            assert complaint(arguments) is None, line
    capsys.readouterr()


def test_commands_are_found_where_they_stand() -> None:
    page = "a `vnicheck fix\nweb-1` b\n```sh\nvnicheck lint --name 'web-*' | head   # c\nexport A=1\n"
    page += "vnicheck a \\\n  b\n```\n"
    page += "```\nvnicheck in no shell\n```\n"
    assert [words(line) for line in shown(page)] == [["lint", "--name", "web-*"], ["a", "b"], ["fix", "web-1"]]
    assert words("vnicheck collect-script > collect.sh") == ["collect-script"]
    assert words("vnicheck lint \\| head") == ["lint"]


@pytest.mark.parametrize(
    "arguments", [["lint", "--frobnicate"], ["frobnicate"], ["demo", "--jobs=3"], ["--frobnicate"]]
)
def test_what_the_program_does_not_know_is_told(arguments: list[str]) -> None:
    assert "No such" in str(complaint(arguments))
