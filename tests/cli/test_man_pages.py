"""The manual pages: groff reads them without a warning, and they say what help says."""

import subprocess

import pytest

from tests.support.man_pages import man_pages
from tests.support.sshd import require
from vnicheck.cli.app import COMMANDS
from vnicheck.cli.tree import command

PAGES = dict(man_pages())


def shown(page: str) -> str:
    require("groff")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-K", "utf8", "-P-cbou"],
        input=page, capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def test_there_is_a_page_for_each_command() -> None:
    assert set(PAGES) == {"vnicheck.1", *(f"vnicheck-{name}.1" for name in COMMANDS)}
    words = " ".join(shown(PAGES["vnicheck.1"]).split())
    for name in COMMANDS:
        assert f"vnicheck-{name}(1)" in words
    assert "130 interrupted" in words


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_has_every_option(name: str) -> None:
    page = shown(PAGES[f"vnicheck-{name}.1"])
    for parameter in command(name).parameters:
        first = f"{', '.join(parameter.names)} {parameter.shown}".strip()
        assert f"       {first}" in page
    assert f"       vnicheck {name}" in page.partition("EXAMPLES")[2]
