"""What is built for others holds what belongs into it and nothing that lay around; and its bounds can be had."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.lowest import lowest

REPOSITORY = Path(__file__).parents[1]
STRAY = (
    "vnicheck/.env", "vnicheck/notes.txt", "vnicheck/cli/lint.py.orig", "vnicheck/__pycache__/x.pyc", "vnicheck/id_rsa",
    "vnicheck/guest/web-1.txt", "contrib/ansible/hosts", "contrib/vnicheck/x.py", "ibm-credentials.env", "s.json",
    "tests/vnicheck/x.py", "vnicheck.toml",
)  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git holds, and what lies around in a folder in which people work."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in _tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    for name in STRAY:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("stray")
    return folder


def _tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (REPOSITORY / name).is_file()]


def built(checkout: Path, target: str) -> Path:
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", target], cwd=checkout, check=True, timeout=100)
    (made,) = (checkout / "dist").glob("*.tar.gz" if target == "sdist" else "*.whl")
    return made


def test_the_sdist_holds_nothing_stray(checkout: Path) -> None:
    with tarfile.open(built(checkout, "sdist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        name
        for name in _tracked()
        if name.startswith(("vnicheck/", "contrib/")) or name in {"README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md"}
    }
    ours = {"PKG-INFO", "pyproject.toml", ".gitignore", "requirements/run.txt"}
    assert names - ours == wanted


def test_the_wheel_holds_the_package_alone(checkout: Path) -> None:
    with zipfile.ZipFile(built(checkout, "wheel")) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {name for name in _tracked() if name.startswith("vnicheck/")}


def test_everything_that_is_needed_has_a_lowest_and_a_next_release() -> None:
    """`make lowest` runs tests with these; requirements/ are the newest."""
    assert len(lowest()) >= 10
