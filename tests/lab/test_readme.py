"""The README's commands, typed by somebody who has a broken server, an account and an SSH key, in its order.

The server is one of the lab's, reached by its sshd; the account is the stand-in of the API. What stands for something
of the reader's (FILE, ID) is filled in, and --yes where nobody can be asked; nothing else is added to a command.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.api import StandIn
from tests.lab import scenario as scenarios
from tests.lab.require import require_lab
from tests.lab.topology import Lab
from tests.lab.world import follow, world_of
from tests.support.documented import shown, words
from tests.support.sshd import Sshd, require

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FINDS = {
    "analyze": "VNC101",
    "lint": "web-1",
    "trace": "rp_filter",
    "explain": "VNC101",
    "rules": "VNC101",
    "fix": "policy-routing",
    "verify": "confirm",
}
"""Words that a command's output has."""
FAILS = {"lint": 1}
"""Exit codes that are not 0, with a server that drops flows."""


class Newcomer:
    """Whoever types: a home with an SSH key, a `vnicheck` on the path, the account's variables, an empty folder."""

    def __init__(self, lab: Lab, sshd: Sshd, api: StandIn, home: Path) -> None:
        self.lab, self.folder = lab, home / "work"
        programs, ssh = home / "bin", home / ".ssh"
        for folder in (self.folder, programs, ssh):
            folder.mkdir(parents=True)
        (programs / "vnicheck").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m vnicheck "$@"\n')
        (programs / "vnicheck").chmod(0o755)
        address = lab.scenario.locals[0]
        (ssh / "known_hosts").write_text(sshd.known_hosts_line(address) + "\n")
        (ssh / "config").write_text(
            f"Host web-1\n  HostName {address}\n  User root\n  IdentityFile {sshd.client_key}\n"
            f"  UserKnownHostsFile {ssh}/known_hosts\n"
        )
        self.environ = {**os.environ, **api.environ, "HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"}
        self.environ["XDG_STATE_HOME"] = str(home / "state")

    def types(self, line: str) -> Any:
        return self.lab.client.run(["sh", "-c", line], cwd=self.folder, env=self.environ, timeout=120, check=False)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    require_lab()
    require("sshd", "ssh-keygen")
    home = tmp_path_factory.mktemp("home")
    scenario = msgspec.structs.replace(scenarios.load("article-check-1"), name="web-1")
    with Lab(scenario, own_files=True) as lab:
        lab.target.run(["mkdir", "/run/sshd"])
        with (
            Sshd(home / "sshd", address=scenario.locals[0], port=22, prefix=lab.target.prefix()) as sshd,
            lab.client.call(lambda: StandIn(world_of(scenario), on_patch=follow(lab))) as api,
        ):
            yield Newcomer(lab, sshd, api, home)


def test_the_commands_of_the_readme_do_what_it_says(newcomer: Newcomer) -> None:
    told = shown(README)
    assert len(told) >= 15
    for line in told:
        command = words(line)[0]
        if command == "analyze" and "=FILE" in line:
            script = newcomer.types("vnicheck collect-script").stdout
            saved = newcomer.lab.target.run(["sh", "-s"], input=script).stdout
            (newcomer.folder / "web-1.txt").write_text(saved)
        if command == "diff":
            for name in ("before.json", "after.json"):
                shutil.copy(newcomer.folder / "web-1.json", newcomer.folder / name)
        typed = line.replace("=FILE", "=web-1.txt")
        if command == "rollback":
            applied = newcomer.types("vnicheck fix web-1 --yes")
            assert applied.returncode == 0, applied.stdout + applied.stderr
            change = newcomer.types("vnicheck ledger").stdout.split()[0]
            typed = typed.replace("rollback ID", f"rollback --yes {change}")
        done = newcomer.types(typed)
        assert done.returncode == FAILS.get(command, 0), f"{typed}\n{done.stdout}{done.stderr}"
        assert FINDS.get(command, "") in done.stdout, typed
        assert "Traceback" not in done.stderr


def test_every_block_for_a_shell_is_run_somewhere() -> None:
    """By this test, or (`make`, and what installs) by CI itself."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    programs = {line.split()[0] for block in blocks for line in block.splitlines() if line.strip()}
    assert programs == {"make", "uvx", "pipx", "python3", "export", "vnicheck"}
    done = subprocess.run(
        ["make", "-n", "demo", "test", "zipapp"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
