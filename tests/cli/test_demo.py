"""`vnicheck demo`: a beginning, three checks, an end; as text, on a page, in files."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.program import run
from vnicheck.demo.checks import CHECKS, replayed
from vnicheck.demo.page import framed
from vnicheck.demo.story import NEXT, compared, conclusion

NOW = "2026-01-01T00:00:00Z"


def test_all_that_was_observed_is_predicted() -> None:
    instances = replayed(NOW)
    comparisons = [compared(check, instance) for check, instance in zip(CHECKS, instances, strict=True)]
    assert [[each.observed.partition(":")[0] for each in some] for some in comparisons] == [
        ["lost", "lost"],
        ["answered", "lost"],
        ["answered", "answered"],
    ]
    assert conclusion(instances).startswith("6 of 6 observations are as predicted.")


def test_what_is_not_as_predicted_is_told() -> None:
    first, second, third = replayed(NOW)
    assert conclusion((second, second, third)).startswith("5 of 6 ")
    (ping, curl) = compared(CHECKS[0], second)
    assert (ping.agrees, curl.agrees) == (False, True)
    assert curl.predicted == "dropped by the state filter at eth0"
    assert compared(CHECKS[0], first)[0].predicted == "dropped by rp_filter at eth1"


def test_it_has_a_beginning_three_checks_and_an_end() -> None:
    done = run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("A recorded case")
    order = [line for line in lines if re.match(r"Check \d|You will see|What to type next|6 of 6", line)]
    assert [line.split()[:2] for line in order] == [
        ["You", "will"], ["Check", "1"], ["Check", "2"], ["Check", "3"], ["6", "of"], ["What", "to"],
    ]  # fmt: skip
    assert (done.stdout.count("    observed "), done.stdout.count("    predicted ")) == (6, 6)
    assert all(len(line) <= 80 for line in lines[-len(NEXT) :])
    assert max(map(len, lines)) <= 80


def test_what_it_offers_to_type_is_understood() -> None:
    for command, _ in NEXT:
        words = command.split()[1:]
        done = run(*words[:1], "--help")
        assert done.returncode == 0
        assert all(word in done.stdout for word in words[1:] if word.startswith("--"))
    assert run(*NEXT[0][0].split()[1:]).returncode == 0


class _Text(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows = 0
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, _: object) -> None:
        self.rows += tag == "tr"

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_has_the_story_and_the_reports(tmp_path: Path) -> None:
    done = run("demo", "-f", "html", "-o", str(tmp_path / "demo.html"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    page = (tmp_path / "demo.html").read_text()
    head, heading, rest = page.partition("</h1>")
    assert heading
    assert rest.index("observed") < rest.index("VNC101")
    assert _Text(rest.partition("</table>")[0]).rows == 7
    assert all(command in _Text(rest).words for command, _ in NEXT)
    assert page.count("<h1") == 1
    assert head.startswith("<!doctype html>")


@pytest.mark.parametrize("pieces", [["<h1>a</h1>b</h1>"], ["<h1>a", "</h1>b", "</h1>"], ["x", "<h1>a</h1>b", "</h1>"]])
def test_the_story_stands_behind_the_first_heading_once(pieces: list[str]) -> None:
    page = b"".join(framed([piece.encode() for piece in pieces], replayed(NOW))).decode()
    assert page.count("<section>") == 1
    assert page.index("</h1>") < page.index("<section>") < page.rindex("b</h1>")


def test_several_formats_at_once(tmp_path: Path) -> None:
    text, page, document = tmp_path / "a.txt", tmp_path / "a.html", tmp_path / "a.json"
    done = run("demo", "-f", f"text={text}", "-f", f"html={page}", "-f", f"json={document}")
    assert (done.returncode, done.stdout) == (0, "")
    assert text.read_text().startswith("A recorded case")
    assert "<section>" in page.read_text()
    assert len(json.loads(document.read_text())["instances"]) == 3
