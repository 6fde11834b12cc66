"""`--ssh openssh` in the commands: those that only look take it, those that change a server refuse it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import StandIn, World
from tests.support.program import one_line, run
from tests.support.sshd import Sshd, require


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    require("ssh")
    with Sshd(tmp_path_factory.mktemp("openssh") / "sshd") as server:
        yield server


def world() -> World:
    made = World(region="us-south").vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    return made.instance("web-1", interfaces=[{"subnet": "a", "address": f"10.0.0.{last}"} for last in (21, 22)])


def options(sshd: Sshd, folder: Path) -> list[str]:
    config, known = folder / "config", folder / "known"
    config.write_text(f"Host web-*\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {sshd.user}\n")
    known.write_text(sshd.known_hosts_line())
    return ["--ssh", "openssh", "-F", str(config), "-i", str(sshd.client_key), "--known-hosts", str(known)]


def test_snapshot_and_doctor_collect_with_it(sshd: Sshd, tmp_path: Path) -> None:
    with StandIn(world()) as api:
        place = tmp_path / "web.json"
        done = run("snapshot", "web-1", "-o", str(place), *options(sshd, tmp_path), env=api.environ)
        tried = run("doctor", *options(sshd, tmp_path), env=api.environ, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(place.read_text())["servers"][0]["guest"]["interfaces"]
    assert (tried.returncode, "web-1: collected: " in tried.stdout) == (0, True)
    assert sshd.sessions() == 2


def test_without_the_program_it_is_said_what_to_do(sshd: Sshd, tmp_path: Path) -> None:
    with StandIn(world()) as api:
        nowhere = {**api.environ, "PATH": "/nowhere"}
        tried = run("doctor", *options(sshd, tmp_path), env=nowhere, folder=tmp_path)
        done = run("analyze", "web-1", *options(sshd, tmp_path), env=nowhere)
    assert (tried.returncode, tried.stderr) == (3, "")
    assert "FAILED  web-1: there is no program ssh here" in tried.stdout
    assert (done.returncode, one_line(done).startswith("there is no program ssh here")) == (2, True)


def test_a_dry_run_may_look_with_it(sshd: Sshd, tmp_path: Path) -> None:
    with StandIn(world()) as api:
        done = run("fix", "web-1", "--dry-run", *options(sshd, tmp_path), env=api.environ)
    assert done.returncode in {0, 1, 3}, done.stderr
    assert "openssh" not in done.stderr


def test_what_changes_a_server_refuses_it_before_anything_is_read(sshd: Sshd, tmp_path: Path) -> None:
    with StandIn(world()) as api:
        for arguments in (["fix", "web-1", "--yes"], ["rollback", "20261128-120000-0a1b2c"]):
            done = run(*arguments, *options(sshd, tmp_path), env=api.environ)
            assert done.returncode == 2
            assert one_line(done).startswith("--ssh openssh collects alone: leave it out to apply or undo a change")
        assert api.lines == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ssh", "putty"], "--ssh 'putty': write paramiko or openssh"),
        (["--ssh", "openssh", "-i", "/nowhere"], "cannot read the key /nowhere"),
    ],
)
def test_mistakes(arguments: list[str], words: str) -> None:
    done = run("analyze", "web-1", *arguments)
    assert done.returncode == 2
    assert words in one_line(done)
