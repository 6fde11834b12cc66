"""The pictures of the documentation: the report's is what the program prints, and none fetches anything."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from website.pictures import PICTURE, report_picture

PICTURES = sorted(PICTURE.parent.glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_of_the_report_is_what_the_program_prints() -> None:
    """After a change of the report that is meant: make pictures."""
    assert PICTURE.read_text() == report_picture(), "run make pictures"


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_has_a_title_and_fetches_nothing(path: Path) -> None:
    text = path.read_text()
    root = ElementTree.fromstring(text)
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text
    assert re.findall(r"https?://[^\"' )]+", text) == ["http://www.w3.org/2000/svg"]
    assert not root.findall(f".//{SVG}script")


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_every_picture_is_shown(path: Path) -> None:
    root = PICTURE.parents[2]
    pages = [root / "README.md", *(root / "docs").rglob("*.md")]
    assert any(f"pictures/{path.name})" in page.read_text() for page in pages)
