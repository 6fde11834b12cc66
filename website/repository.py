"""Links that lead out of docs/: on the site they lead to the repository, or to the page that the site has of a file."""

import posixpath
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PUBLISHED = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""Files of the repository's root that are pages of the site."""
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def address() -> str:
    """The repository's, from the one place that has it."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    return str(urls["Repository"]).removesuffix("/")


def pages() -> dict[str, str]:
    """The pages that are files of the repository's root, by their path below docs/."""
    return {page: (ROOT / name).read_text() for name, page in PUBLISHED.items()}


def on_site(markdown: str, page: str) -> str:
    """The text of `page` (a path below docs/) with its links as the site needs them. Of code only the bars are touched
    that tables of GitHub's Markdown escape.
    """
    source = next((name for name, published in PUBLISHED.items() if published == page), f"docs/{page}")
    parts = _CODE.split(markdown)
    parts[::2] = [_LINK.sub(lambda found: _led(found, source, page), part) for part in parts[::2]]
    parts[1::2] = [part if part.startswith("```") else part.replace("\\|", "|") for part in parts[1::2]]
    return "".join(parts)


def _led(found: re.Match[str], source: str, page: str) -> str:
    before, target, anchor, after = found.groups()
    if "://" in target or target.startswith(("mailto:", "/")):
        return found[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    inside = PUBLISHED.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
    if inside is not None:
        led = posixpath.relpath(inside, posixpath.dirname(page) or ".")
    elif not path.startswith("../") and (ROOT / path).exists():
        led = f"{address()}/{'tree' if (ROOT / path).is_dir() else 'blob'}/main/{path}"
    else:
        return found[0]  # MkDocs says that it leads nowhere
    return f"{before}{led}{anchor or ''}{after}"
