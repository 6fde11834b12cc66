"""`python -m website.check FOLDER`: what is wrong with a built site, a line each; exit code 1 if anything.

Every link and anchor inside it leads somewhere, and no page makes a browser fetch anything from elsewhere.
"""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
"""What a browser fetches by itself."""


class _Page(HTMLParser):
    """The links of a page, what it fetches, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attributes if value is not None}
        self.anchors.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in FETCHED and FETCHED[tag] in given:
            self.fetched.append(given[FETCHED[tag]])


def wrong(site: Path) -> Iterator[str]:
    """One line for each dead link or anchor, and each thing that would be fetched from elsewhere."""
    pages = {path: _Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site}: no page"
    for path, page in pages.items():
        name = path.relative_to(site)
        for target in page.links + page.fetched:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                if target in page.fetched and parts.scheme != "data":
                    yield f"{name}: fetches {target}"
                continue
            base = site if parts.path.startswith("/") else path.parent
            place = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else path.resolve()
            place = place / "index.html" if place.is_dir() else place
            if not place.is_file():
                yield f"{name}: {target} leads nowhere"
            elif parts.fragment and place.suffix == ".html":
                there = pages.get(site / place.relative_to(site.resolve()))
                anchor = unquote(parts.fragment)
                if there is not None and anchor not in there.anchors and not anchor.startswith("__"):
                    yield f"{name}: {target} leads to no anchor"
    for style in sorted(site.rglob("*.css")):
        text = style.read_text()
        for scheme in ("url(http", 'url("http', "url('http", "url(//", "@import"):
            if scheme in text:
                yield f"{style.relative_to(site)}: fetches something ({scheme})"


def main() -> int:
    """The exit code."""
    told = list(wrong(Path(sys.argv[1])))
    print("\n".join(told), end="\n" * bool(told), file=sys.stderr)
    return int(bool(told))


if __name__ == "__main__":
    sys.exit(main())
