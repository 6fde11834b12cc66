"""What MkDocs calls (`hooks` of mkdocs.yml)."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

from website import reference, repository


def on_config(config: Any) -> Any:
    """Fills the navigation's folders (`rules/`) with their pages."""
    there = [path.relative_to(config.docs_dir).as_posix() for path in sorted(Path(config.docs_dir).rglob("*.md"))]
    there += list(reference.pages())
    config.nav = _filled(config.nav, there)
    return config


def _filled(nav: Any, there: list[str]) -> Any:
    if isinstance(nav, list):
        return [_filled(each, there) for each in nav]
    if isinstance(nav, dict):
        return {title: _filled(each, there) for title, each in nav.items()}
    if not nav.endswith("/"):
        return nav
    pages = [path for path in there if path.startswith(nav) and path.endswith(".md")]
    return sorted(pages, key=lambda path: not path.endswith(("/index.md", "/README.md")))


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that are not files of docs/."""
    for path, text in (reference.pages() | repository.pages()).items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page's text with the site's links."""
    return repository.on_site(markdown, page.file.src_uri)
