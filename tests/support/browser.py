"""A browser without a screen, and what is asked of a page in it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

AXE = Path(__file__).resolve().parents[2] / ".venv" / "axe"
WIDTHS = (1280, 768, 360)
VIEWS: list[tuple[int, Literal["light", "dark"]]] = [(1280, "light"), (360, "dark")]
_PROGRAMS = ("chromium", "google-chrome", "chromium-browser")

OVERFLOW = """() => [...document.querySelectorAll('body *')]
    .filter(it => it.getBoundingClientRect().right > innerWidth + 1 && it.checkVisibility())
    .map(it => `${it.tagName} ${it.className} ${it.textContent.slice(0, 40)}`)
    .concat(document.documentElement.scrollWidth > innerWidth ? ['the page scrolls sideways'] : [])"""
"""What is wider than the window."""

OVERLAPS = """() => {
    const boxes = [];
    const add = (rect, what) => { if (rect.width > 1 && rect.height > 1) boxes.push([rect, what]); };
    const clipped = it => it && (getComputedStyle(it).clipPath !== 'none' || clipped(it.parentElement));
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode;
        const it = text.parentElement;
        if (!text.data.trim() || it.closest('option') || !it.checkVisibility() || clipped(it)) continue;
        const range = document.createRange();
        range.selectNodeContents(text);
        for (const rect of range.getClientRects()) add(rect, text.data.trim().slice(0, 60));
    }
    for (const it of document.querySelectorAll('circle')) {
        if (it.checkVisibility()) add(it.getBoundingClientRect(), 'a mark');
    }
    boxes.sort((a, b) => a[0].top - b[0].top);
    const found = [];
    boxes.forEach(([one, what], at) => {
        for (let next = at + 1; next < boxes.length && boxes[next][0].top < one.bottom - 2; next++) {
            const [other, that] = boxes[next];
            const common = Math.min(one.right, other.right) - Math.max(one.left, other.left);
            if (common > 1 && what + that !== 'a marka mark') found.push(`${what} | ${that}`);
        }
    });
    return found;
}"""
"""Pairs of texts that lie upon each other, and of texts and marks of drawings."""

OUTSIDE = """() => [...document.querySelectorAll('svg text')].filter(it => it.checkVisibility()).filter(it => {
    const rect = it.getBoundingClientRect(), svg = it.ownerSVGElement.getBoundingClientRect();
    const inside = box => rect.left >= box.left && rect.right <= box.right + 1;
    const boxes = [...it.ownerSVGElement.querySelectorAll('rect')].map(box => box.getBoundingClientRect());
    const around = boxes.filter(box => rect.top >= box.top - 1 && rect.bottom <= box.bottom + 1);
    return !inside(svg) || !(around.length === 0 || around.some(inside));
}).map(it => it.textContent)"""
"""Texts that come out of their drawing, or out of their box in it."""

_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


def _missing(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def axe() -> str:
    """The text of axe-core; skips the test where it was not fetched, fails it in CI."""
    found = list(AXE.glob("axe-*.js"))
    if not found:
        _missing("axe-core is not there: make packages fetches it")
    return found[0].read_text()


@contextmanager
def browser() -> Iterator[Browser]:
    """One that reaches nobody; skips the test where there is none, fails it in CI."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        _missing("no Chromium is installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--host-resolver-rules=MAP * ~NOTFOUND"])
        try:
            yield started
        finally:
            started.close()


def violations(page: Page) -> list[str]:
    """What of contrast and structure axe-core finds wrong, with where."""
    page.evaluate(axe())
    found: dict[str, Any] = page.evaluate("rules => axe.run(document, rules)", _RULES)
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]
