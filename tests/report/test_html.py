"""`--format html`: one file that needs nothing else, and in which nothing remote is markup."""

import re
import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.support import pages, reports
from tests.support.fleet import BROKEN, NOW, TIMEOUT, WELL, fleet, member, regions
from tests.support.pages import linted, written
from tests.support.servers import guest
from vnicheck.analysis.lint import lint
from vnicheck.model.config import Config

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


@pytest.mark.parametrize("name", reports.ALL)
def test_every_report_is_well_formed_and_asks_nobody(name: str) -> None:
    text = written(reports.ALL[name]()).decode()
    page = Page(text)
    assert {"script", "img", "link", "iframe", "object", "form", "use", "image"}.isdisjoint(page.tags)
    assert not [value for key, value in page.attributes if key in ("src", "style") or key.startswith("on")]
    assert all(str(value).startswith("#") for key, value in page.attributes if key == "href")
    assert [page.tags.count(tag) for tag in ("title", "main", "h1")] == [1, 1, 1]
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"', "", text)
    assert ("http-equiv", "Content-Security-Policy") in page.attributes


def fleet_page(*servers: Any, earlier: Any = None, plans: bool = False) -> Page:
    return Page(linted(*servers, earlier=earlier, plans=plans).decode())


def test_one_server_the_answer_first() -> None:
    page = Page(pages.check_1().decode())
    words = page.text
    order = [
        "server: 1 error, 1 warning - vnicheck",
        "collected 2024-06-20 02:11 UTC",
        "✗ 10.0.0.12 (eth1) is not reachable. ✓ 10.0.0.11 (eth0) works.",
        "Fix for 1 and 2: policy routing (proved on the model: breaks nothing)",
        "Who reaches what",
        "✗ rp_filter",
        "Cause: replies from 10.0.0.12 leave by eth0, not eth1 (no policy routing)",
        "1 error VNC101",
        "2 warning VNC102",
        "ip rule add from 10.0.0.12 table 1003 priority 1003",
        "Not permanent: the next boot takes the rules of 10.0.0.12 back",
        "2 interfaces",
    ]
    places: list[int] = []
    for each in order:
        assert each in words, each
        places.append(words.index(each, places[-1] if places else 0))
    drawings = [str(value) for key, value in page.attributes if key == "aria-label"]
    assert drawings[0] == (
        "Request by eth1: passes ACL of the remote's subnet, network ACL, security groups and state filter, is dropped "
        "by rp_filter. Reply by eth0: would pass reply's route and IP spoofing check, would be dropped by the state "
        "filter (tcp), would pass security groups, network ACL, VPC routes and ACL of the remote's subnet."
    )
    doubted = fleet_page(member("web-1", guest(rp_filter={"all": 2}))).text
    assert "rests on an assumption: spoofing-sibling" in doubted


def test_a_fleet_at_a_glance() -> None:
    page = fleet_page(*fleet())
    assert "eu-de and us-south: 2 of 5 servers drop flows - vnicheck" in page.text
    assert "Checked 3 of 4 multi-homed servers in eu-de and us-south" in page.text
    assert "ssh_timeout: 10.0.0.11 did not answer within 10 seconds: unreached" in page.text
    assert "✗ no policy routing: packets leave by the wrong interface 2 policy routing" in page.text
    order = ["web-1", "web-2", "unreached", "well", "asleep"]
    assert [page.words.index(name) for name in order] == sorted(page.words.index(name) for name in order)
    assert "`" not in page.text
    assert "vnicheck fix web-1 --dry-run" in page.text
    assert "ip rule add from 10.0.0.12 table 1003 priority 1003" not in page.text, "what is not proved is not shown"
    assert "ip rule add from 10.0.0.12 table 1003 priority 1003" in fleet_page(*fleet(), plans=True).text


def test_what_became_of_the_baseline() -> None:
    earlier = lint(regions(member("web-1", BROKEN)), Config(), generated_at=NOW, writers=[]).baseline
    assert "No longer found VNC101 web-1: tcp" in fleet_page(member("web-1", WELL), earlier=earlier).text
    kept = fleet_page(member("web-1", problems=(TIMEOUT,)), earlier=earlier).text
    assert "Found earlier, could not be looked at now VNC101 web-1: tcp" in kept
    assert "Known from the baseline." in fleet_page(member("web-1", BROKEN), earlier=earlier).text


def test_a_large_fleet_stays_small() -> None:
    """The worst are shown whole, up to a limit; every other takes no more than 3 kB."""
    one, two = (len(pages.of_kinds([member("web", BROKEN)], count)) for count in (40, 80))
    assert one < 800_000
    assert (two - one) / 40 < 2500


def test_hostile_names_are_text() -> None:
    text = written(reports.hostile()).decode()
    page = Page(text)
    assert "[bold red]m[/bold red]:boom:" in page.text
    assert not [char for char in text if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}]
    nasty = "<script>alert(1)</script><!-- servers -->\"' onload=x {{ 7*7 }}"
    spoilt = fleet_page(member("web-1", BROKEN), member(nasty, BROKEN), member(f"{nasty}2", WELL))
    assert "script" not in spoilt.tags
    assert "<script>alert(1)</script>" in spoilt.text
    assert "{{ 7*7 }}" in spoilt.text
    assert spoilt.words.count("web-1") == 1, "the servers stand where they belong, once"
