"""`rollback` and `ledger` before anything is connected to: what they refuse is one line, and nothing is changed."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.support import program
from tests.support.plans import planned
from tests.support.sshd import refusing_port
from vnicheck.apply.ledger import Entry, Ledger
from vnicheck.model.cloud import Ref
from vnicheck.model.plan_document import as_documents

CHANGE = "20261124-083000-abcdef"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A user's state folder with one change of a server's routing."""
    proof = planned("strict")
    Ledger(tmp_path / "vnicheck" / "ledger").write(
        Entry(
            id=CHANGE,
            begun_at="2026-11-24T08:30:00Z",
            server=Ref(id="server-id", name="web-1"),
            address="127.0.0.1",
            strategy="policy-routing",
            effects=proof.effects,
            actions=as_documents(proof.document.plan.actions),
            status="begun",
        )
    )
    return tmp_path


def run(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return program.run(*arguments, env={"XDG_STATE_HOME": str(state)})


def test_a_change_is_shown_with_what_undoes_it(state: Path) -> None:
    done = run(state, "ledger", CHANGE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "     undo: ip rule del from 10.0.0.12 table 1003 priority 1003\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--yes", "--ssh-config", "/nonexistent"], "cannot read /nonexistent: No such file or directory"),
        ([], "nobody can be asked here: add --yes to apply"),
    ],
)
def test_what_cannot_be_begun_is_told_in_a_line(state: Path, arguments: list[str], said: str) -> None:
    before = (state / "vnicheck" / "ledger" / f"{CHANGE}.json").read_bytes()
    done = run(state, "rollback", CHANGE, *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"vnicheck: {said}")
    assert "internal error" not in done.stderr
    assert (state / "vnicheck" / "ledger" / f"{CHANGE}.json").read_bytes() == before


def test_nobody_can_be_asked_where_the_shell_closed_stdin(state: Path) -> None:
    command = f"exec {sys.executable} -m vnicheck rollback {CHANGE} <&-"
    environ = {**program.bare_environment(), "XDG_STATE_HOME": str(state)}
    done = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, "nobody can be asked here" in done.stderr) == (2, True), done.stderr


def test_what_went_on_while_the_user_was_asked_is_undone_too(state: Path) -> None:
    """Its fix had begun nothing when the rollback was asked for."""
    book = Ledger(state / "vnicheck" / "ledger")
    entry = msgspec.structs.replace(book.read(CHANGE), begun=())
    book.write(entry)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "vnicheck", "rollback", CHANGE, "-F", "none", "--ssh-port", str(refusing_port())]
    environ = {**program.bare_environment(), "XDG_STATE_HOME": str(state)}
    with subprocess.Popen(command, env=environ, stdin=theirs, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        asked = b""
        while not asked.endswith(b"[y/N] "):
            asked += process.stderr.read(1)
        book.write(msgspec.structs.replace(entry, begun=("timer", "guest")))
        os.write(ours, b"y\n")
        told = process.stderr.read()
    assert (process.returncode, b"refused" in told) == (2, True), told
    assert book.read(CHANGE).status == "begun"
