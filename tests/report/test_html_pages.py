"""The HTML report in a browser: wide and narrow, light and dark, printed. Nothing lies upon something else, nothing has
to be scrolled to the side, and axe-core finds nothing wrong.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.browser import OUTSIDE, OVERFLOW, OVERLAPS, VIEWS, WIDTHS, browser, violations
from tests.support.pages import PAGES

OPEN_ALL = "() => document.querySelectorAll('details').forEach(each => each.open = true)"
OPEN_SOME = """() => {
    const rest = [...document.querySelectorAll('.s')].slice(2);
    document.querySelectorAll('details').forEach(each => each.open = !rest.some(it => it.contains(each)));
    rest.filter(it => it.classList.contains('x')).forEach(it => it.open = true);
}"""
"""All of one server; of a fleet two that are broken and those that were not checked: axe-core takes its time."""
HIDDEN = (
    "() => [...document.querySelectorAll('details > :not(summary)')].filter(each => !each.checkVisibility()).length"
)
SHOWN = "() => [...document.querySelectorAll('.s')].filter(each => each.checkVisibility()).length"
A4 = 794
READ = ["check-1", "unreachable", "long-names", "hostile", "part-of-it"]
"""Pages that axe-core takes seconds for, not minutes, and that have between them all that there is."""


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    with browser() as started:
        yield _context(started)


def _context(started: Browser) -> BrowserContext:
    context = started.new_context(offline=True)
    context.set_default_timeout(20000)
    return context


@pytest.fixture(scope="module")
def shown(context: BrowserContext, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Page]:
    """What shows a page by its name, as it is opened; each is loaded once."""
    folder: Path = tmp_path_factory.mktemp("pages")
    pages: dict[str, Page] = {}

    def show(name: str) -> Page:
        if name not in pages:
            (folder / f"{name}.html").write_bytes(PAGES[name]())
            pages[name] = context.new_page()
            said: list[str] = []
            pages[name].on("console", lambda message: said.append(message.text))
            pages[name].on("pageerror", lambda error: said.append(str(error)))
            pages[name].goto((folder / f"{name}.html").as_uri())
            assert said == [], "the browser has nothing to say of it, the content security policy included"
        return pages[name]

    return show


@pytest.mark.parametrize("name", PAGES)
def test_everything_has_its_place(shown: Callable[[str], Page], name: str) -> None:
    page = shown(name)
    page.evaluate(OPEN_ALL)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(OVERFLOW) == [], width
        assert page.evaluate(OVERLAPS) == [], width
        assert page.evaluate(OUTSIDE) == [], width


@pytest.mark.parametrize("name", READ)
def test_everybody_can_read_it(shown: Callable[[str], Page], name: str) -> None:
    page = shown(name)
    page.evaluate(OPEN_SOME)
    for width, scheme in VIEWS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme


@pytest.mark.parametrize("name", ["check-1", "fleet"])
def test_what_is_collapsed_is_printed(shown: Callable[[str], Page], name: str) -> None:
    page = shown(name)
    page.evaluate("() => document.querySelectorAll('details').forEach(each => each.open = false)")
    assert page.evaluate(HIDDEN) > 0
    page.set_viewport_size({"width": A4, "height": 1100})
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(HIDDEN) == 0
    assert page.evaluate(OVERFLOW) == []
    assert page.evaluate(OVERLAPS) == []
    assert name == "fleet" or violations(page) == [], "paper is white"
    assert page.pdf(format="A4").startswith(b"%PDF-")
    page.emulate_media(media="screen", color_scheme="light")


def test_filters_without_scripts(shown: Callable[[str], Page]) -> None:
    page = shown("fleet")
    everything = page.evaluate(SHOWN)
    assert everything == 60
    seen = 0
    for chip in page.locator(".chip").all()[1:]:
        chip.click()
        words, _, count = chip.inner_text().rpartition(" ")
        assert page.evaluate(SHOWN) == int(count), words
        seen += int(count)
    assert seen == everything
    page.locator(".chip").first.click()
    for option in page.locator("#cause option").all()[1:]:
        page.select_option("#cause", option.get_attribute("value"))
        assert f"({page.evaluate(SHOWN)})" in option.inner_text()
    page.select_option("#cause", "")
    assert page.evaluate(SHOWN) == everything


@pytest.mark.parametrize("name", ["four-interfaces", "fleet", "several"])
def test_links_lead_somewhere_that_is_then_open(shown: Callable[[str], Page], name: str) -> None:
    page = shown(name)
    page.evaluate("() => document.querySelectorAll('details').forEach(each => each.open = false)")
    targets: list[str] = page.evaluate("() => [...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(targets) == len(set(targets))
    links: list[str] = page.evaluate("() => [...document.querySelectorAll('a')].map(each => each.getAttribute('href'))")
    assert {link.removeprefix("#") for link in links} <= set(targets)
    findings = [target for target in targets if "-VNC" in target]
    assert findings
    page.evaluate("id => { location.hash = id; }", findings[-1])
    assert page.evaluate("id => document.getElementById(id).checkVisibility()", findings[-1])
