"""What no linter says of this repository."""

import subprocess
from pathlib import Path

import pytest

from tests.house_rules import breaches


def repository(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("sign", "<>|")
@pytest.mark.parametrize("name", [" HEAD", " a branch", "", " HEAD\r"])
def test_a_conflict_marker_is_told_with_its_place(tmp_path: Path, sign: str, name: str) -> None:
    folder = repository(tmp_path, {"docs/a.md": f"one\n{sign * 7}{name}\n"})
    assert breaches(folder) == [f"{folder}/docs/a.md:2: a merge conflict's marker"]


def test_what_only_looks_like_a_marker_is_none(tmp_path: Path) -> None:
    lines = ["Heading", "=======", ">" * 8, "    " + "<" * 7 + " indented", ">>> 1", ">" * 7 + "quoted"]
    assert breaches(repository(tmp_path, {"a.md": "\n".join(lines)})) == []


def test_a_file_that_git_does_not_know_is_not_read(tmp_path: Path) -> None:
    folder = repository(tmp_path, {"a.md": ""})
    (folder / "b.md").write_text("<" * 7 + " HEAD\n")
    assert breaches(folder) == []


@pytest.mark.parametrize(
    "line",
    [
        "from tests.a.test_b import run",
        "from tests.a import test_b",
        "import tests.a.test_b",
        "from tests.a.conftest import Opener",
        "from tests import test_b as b",
        "def f():\n    from tests.a.test_b import run",
    ],
)
def test_an_import_of_a_test_file_is_told(tmp_path: Path, line: str) -> None:
    (told,) = breaches(repository(tmp_path, {"tests/test_c.py": line}))
    assert "imports a test file" in told


def test_an_import_of_what_is_shared_is_none(tmp_path: Path) -> None:
    assert breaches(repository(tmp_path, {"tests/test_c.py": "from tests.support.ssh import key\n"})) == []


def test_an_import_of_a_benchmark_is_told_in_a_test_and_not_in_the_benchmarks_own(tmp_path: Path) -> None:
    line = "from benchmarks.region import networks"
    folder = repository(tmp_path, {"tests/a/test_c.py": line, "benchmarks/test_d.py": line, "tests/lab/e.py": line})
    told = {Path(one.partition(":")[0]).name for one in breaches(folder)}
    assert told == {"test_c.py", "e.py"}


@pytest.mark.parametrize(
    "text",
    [
        "from paramiko import Channel\ndef f(channel: Channel) -> None:\n    channel._feed(None)\n",
        "def f(agent):\n    from paramiko.agent import AgentSSH\n    AgentSSH()._connect(agent)\n",
        "import paramiko\nclass A(paramiko.Transport):\n    def _log(self, *_):\n        pass\n",
        "from paramiko import Transport as T\nclass A(T):\n    _active_check_timeout = 1\n",
        "from vnicheck.guest.ssh.client import Client\nclass A(Client):\n    def f(self):\n        self._log(0)\n",
        "from paramiko import Packetizer as P\nclass A(P):\n    def f(self):\n        super()._log(0)\n",
    ],
)
def test_what_paramiko_keeps_to_itself_is_told(tmp_path: Path, text: str) -> None:
    (told,) = breaches(repository(tmp_path, {"vnicheck/guest/ssh/new.py": text}))
    assert "is private to paramiko" in told


@pytest.mark.parametrize(
    "text",
    [
        "from paramiko import Transport\nclass A(Transport):\n    def f(self):\n        self._mine = 1\n",
        "from paramiko import Channel\nclass A:\n    def _log(self):\n        self._feed = 1\n",
        "class A:\n    def f(self, other):\n        return other._feed\n",
        "from paramiko import Channel\nprint(Channel.__name__)\n",
    ],
)
def test_what_is_ones_own_may_be_private(tmp_path: Path, text: str) -> None:
    assert breaches(repository(tmp_path, {"vnicheck/guest/ssh/new.py": text})) == []


def test_the_module_for_what_paramiko_keeps_to_itself_may(tmp_path: Path) -> None:
    text = "def f(channel):\n    from paramiko import Channel\n    channel._feed(Channel)\n"
    assert breaches(repository(tmp_path, {"vnicheck/guest/ssh/paramiko_internals.py": text})) == []
