"""What a release is made by: its gate, the guard of the one-file program, and actions that are pinned."""

import re
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RELEASE = ROOT / "release"


def tree(
    folder: Path, *, version: str = "1.2.3", changelog: str = "## 1.2.3 (today)", address: str = "https://h/o/r"
) -> Path:
    (folder / "vnicheck").mkdir()
    (folder / "release").mkdir()
    (folder / "vnicheck" / "__init__.py").write_text(f'"""It."""\n\n__version__ = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n{changelog}\n")
    (folder / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{address}"\n')
    (folder / "release" / "ready.py").write_text((RELEASE / "ready.py").read_text())
    return folder


def ready(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "release/ready.py", "v1.2.3", "https://h/o/r"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_tag_that_says_what_is_there_is_released(tmp_path: Path) -> None:
    done = ready(tree(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            {"version": "1.2.4"},
            "the tag is v1.2.3, and vnicheck/__init__.py says 1.2.4\nCHANGELOG.md has no section 1.2.4\n",
        ),
        ({"changelog": "## Unreleased"}, "CHANGELOG.md has no section 1.2.3\n"),
        ({"changelog": "## 1.2.30"}, "CHANGELOG.md has no section 1.2.3\n"),
        ({"address": "https://x/y"}, "pyproject.toml names https://x/y as the repository, and this is https://h/o/r\n"),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, other: dict[str, str], said: str) -> None:
    done = ready(tree(tmp_path, **other))
    assert (done.returncode, done.stderr) == (1, said)


def test_the_gate_reads_this_repository() -> None:
    done = subprocess.run(
        [sys.executable, str(RELEASE / "ready.py"), "v0.0.0", "-"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the tag is v0.0.0" in done.stderr


@pytest.mark.parametrize("suffix", ["cpython-39-arm-linux-gnueabihf.so", "abi9.so"])
def test_the_one_file_says_that_it_is_for_another_python(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"_cffi_backend.{suffix}").touch()
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(RELEASE / "preamble.py"), {"site_packages": tmp_path})
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(f"vnicheck: this file is made for {suffix}, and this is Python 3.")
    assert said.count("\n") == 1


def test_the_one_file_runs_where_it_was_made_for(tmp_path: Path) -> None:
    (tmp_path / f"_cffi_backend{sysconfig.get_config_var('EXT_SUFFIX')}").touch()
    runpy.run_path(str(RELEASE / "preamble.py"), {"site_packages": tmp_path})


def test_the_bill_of_materials_names_the_program_and_what_it_needs() -> None:
    completed = runpy.run_path(str(RELEASE / "sbom.py"))["completed"]
    bill = {
        "metadata": {"component": {"bom-ref": "root", "name": "vnicheck"}, "timestamp": "t"},
        "components": [{"bom-ref": "b"}, {"bom-ref": "a"}],
        "dependencies": [{"ref": "root"}, {"ref": "a"}, {"ref": "b"}],
    }
    assert completed(bill, "1.2.3") == {
        "metadata": {"component": {"bom-ref": "root", "name": "vnicheck", "version": "1.2.3"}, "timestamp": "t"},
        "components": bill["components"],
        "dependencies": [{"ref": "root", "dependsOn": ["a", "b"]}, {"ref": "a"}, {"ref": "b"}],
    }


@pytest.mark.parametrize("script", sorted(RELEASE.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_ones(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_actions_of_others_are_pinned_by_a_commit() -> None:
    used = [
        line.split("uses:")[1].strip()
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


def test_the_image_is_not_root_and_takes_what_it_installs_by_hashes() -> None:
    lines = (ROOT / "Containerfile").read_text().splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    users = [line for line in lines[last:] if line.startswith("USER ")]
    assert users == ["USER 65532:65532"]
    assert not [line for line in lines[last:] if line.startswith("RUN ")]
    installs = [line for line in lines if " pip install " in line]
    assert len(installs) == 2
    assert all(
        "--require-hashes" in line or ("--no-deps" in line and "--no-build-isolation" in line) for line in installs
    )
