"""`--format html`: one file that needs nothing else, and in which nothing remote is markup."""

import re
import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.support import reports
from tests.support.fleet import BROKEN, NOW, TIMEOUT, WELL, fleet, member, regions
from vnicheck.analysis.lint import lint
from vnicheck.model.config import Config
from vnicheck.model.report import Report
from vnicheck.report.html import HtmlWriter

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """The tags, the attributes and the text; raises where tags are not closed as they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def written(report: Report) -> str:
    writer = HtmlWriter()
    for instance in report.instances:
        writer.add(instance)
    return b"".join(writer.finish(report)).decode()


def linted(*servers: Any, earlier: Any = None) -> Page:
    writer = HtmlWriter()
    outcome = lint(regions(*servers), Config(), generated_at=NOW, writers=[writer], earlier=earlier)
    return Page(b"".join(writer.finish(outcome.report)).decode())


@pytest.mark.parametrize("name", reports.ALL)
def test_every_report_is_well_formed_and_asks_nobody(name: str) -> None:
    text = written(reports.ALL[name]())
    page = Page(text)
    assert {"script", "img", "link", "iframe", "object", "form"}.isdisjoint(page.tags)
    assert not [value for key, value in page.attributes if key in ("src", "href", "style") or key.startswith("on")]
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"', "", text)
    assert ("http-equiv", "Content-Security-Policy") in page.attributes


def test_a_fleet_at_a_glance() -> None:
    page = linted(*fleet())
    assert "Checked 3 of 4 multi-homed servers in eu-de and us-south" in page.text
    assert "Not everything could be checked." in page.text
    assert "unreached: ssh_timeout: 10.0.0.11 did not answer within 10 seconds" in page.text
    assert page.tags.count("details") == 5, "one for each server with something to tell, and one for those without"
    assert page.attributes.count(("open", None)) == 2, "errors stand open"
    assert "remote ─► eth1 ✗ rp_filter" in page.text
    assert "ip rule add from 10.0.0.12 table 1003 priority 1003" in page.text
    assert "well 1 without anything found well" in page.text


def test_what_became_of_the_baseline() -> None:
    earlier = lint(regions(member("web-1", BROKEN)), Config(), generated_at=NOW, writers=[]).baseline
    assert "No longer found VNC101 web-1: tcp" in linted(member("web-1", WELL), earlier=earlier).text
    kept = linted(member("web-1", problems=(TIMEOUT,)), earlier=earlier).text
    assert "Found earlier, could not be looked at now VNC101 web-1: tcp" in kept
    assert "computed, known from the baseline" in linted(member("web-1", BROKEN), earlier=earlier).text


def test_hostile_names_are_text() -> None:
    text = written(reports.hostile())
    page = Page(text)
    assert "[bold red]m[/bold red]:boom:" in page.text
    assert not [char for char in text if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}]
    nasty = "<script>alert(1)</script><!-- servers -->\"' onload=x {{ 7*7 }}"
    spoilt = linted(member("web-1", BROKEN), member(nasty, BROKEN), member(f"{nasty}2", WELL))
    assert "script" not in spoilt.tags
    assert "<script>alert(1)</script>" in spoilt.text
    assert "{{ 7*7 }}" in spoilt.text
    assert spoilt.text.count("web-1") == 1, "the servers stand where they belong, once"
