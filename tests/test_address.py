"""The repository's address is one placeholder in one place, which a release replaces."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ADDRESS = re.compile(r"(?i)(?:github|gitlab)\.com[/:][\w.<>{}$-]+/vnicheck|your-(?:org|name|user)\b|\bOWNER/vnicheck")


def places(folder: Path) -> list[str]:
    """The tracked lines that hold an address of this repository, or what stands for one."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=folder, capture_output=True, check=True).stdout.decode()
    found = []
    for name in filter(None, listed.split("\0")):
        path = folder / name
        if path.is_file() and path != Path(__file__):
            lines = path.read_text(errors="replace").splitlines()
            found += [f"{name}: {line}" for line in lines if ADDRESS.search(line)]
    return found


def test_there_is_one() -> None:
    (place,) = places(ROOT)
    assert re.fullmatch(r'pyproject\.toml: Repository = "https://github\.com/[\w.-]+/vnicheck"', place)


@pytest.mark.parametrize(
    "line",
    [
        "uses: YOUR-ORG/vnicheck@v1",
        "git clone https://github.com/acme/vnicheck",
        "git@github.com:acme/vnicheck.git",
        "https://gitlab.com/<you>/vnicheck",
        "  - uses: OWNER/vnicheck@v0.1.0",
    ],
)
def test_another_would_be_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.md").write_text(f"text\n{line}\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "a.md"], cwd=tmp_path, check=True)
    assert places(tmp_path) == [f"a.md: {line}"]
