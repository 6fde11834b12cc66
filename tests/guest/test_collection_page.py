"""docs/collection.md names every problem."""

import re
from pathlib import Path

from vnicheck.guest.errors import CODES

PAGE = (Path(__file__).parents[2] / "docs" / "collection.md").read_text()


def test_every_code_has_its_row() -> None:
    rows = re.findall(r"^\| (`[^|]*) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    named = {code for row in rows for code in re.findall(r"`((?:ssh|guest)_[a-z_]+)`", row[0])}
    assert CODES.keys() - named == set()
    assert named - CODES.keys() == {"guest_no_proc", "guest_incomplete", "guest_not_understood"}
    assert all(what.strip() and remedy.strip() for _, what, remedy in rows)
