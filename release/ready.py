"""`python3 release/ready.py TAG ADDRESS`: whether this commit may be released as TAG, at the repository's ADDRESS.

The tag is the version, the changelog has it, and pyproject.toml has the repository's address, not the placeholder.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def missing(root: Path, tag: str, address: str) -> Iterator[str]:
    """What is still to be done, a line each."""
    (version,) = re.findall(r'^__version__ = "(.+)"$', (root / "vnicheck" / "__init__.py").read_text(), re.MULTILINE)
    if tag != f"v{version}":
        yield f"the tag is {tag}, and vnicheck/__init__.py says {version}"
    if not re.search(rf"^## {re.escape(version)}\b", (root / "CHANGELOG.md").read_text(), re.MULTILINE):
        yield f"CHANGELOG.md has no section {version}"
    named = tomllib.loads((root / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    if named != address:
        yield f"pyproject.toml names {named} as the repository, and this is {address}"


if __name__ == "__main__":
    told = list(missing(ROOT, *sys.argv[1:3]))
    print("\n".join(told), end="\n" * bool(told), file=sys.stderr)
    sys.exit(bool(told))
