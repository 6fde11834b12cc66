"""`vnicheck fix --dry-run`: what is said of servers that could not be looked at, and of many."""

from pathlib import Path

import msgspec
import pytest

from tests.support.fleet import BROKEN, WELL, member, snapshot
from tests.support.program import run
from tests.support.servers import fabric
from vnicheck.model.snapshot import Problem, Server, encode_snapshot

TIMEOUT = Problem(code="ssh_timeout", message="10.0.0.11 did not answer within 10 seconds")


def saved(folder: Path, *servers: Server) -> str:
    path = folder / "snapshot.json"
    path.write_bytes(encode_snapshot(snapshot(*servers)))
    return f"--snapshot={path}"


def unreached(name: str = "web-1") -> Server:
    return member(name, problems=(TIMEOUT,))


def test_a_server_that_could_not_be_looked_at_is_not_well(tmp_path: Path) -> None:
    done = run("fix", "--dry-run", saved(tmp_path, unreached()))
    assert done.returncode == 3
    assert "nothing is broken" not in done.stdout
    assert "could not look at web-1: whether anything is broken there is not known" in done.stdout


def test_nor_is_one_of_which_nothing_is_known(tmp_path: Path) -> None:
    dark = msgspec.structs.replace(WELL, routes=(), rules=(), missing={"routes": "not collected", "rules": "no"})
    done = run("fix", "--dry-run", saved(tmp_path, member("web-1", dark)))
    assert done.returncode == 3, done.stderr
    assert "nothing is broken" not in done.stdout
    assert "could not look at web-1" in done.stdout
    assert "web-1: no plan: routes: not collected" in done.stderr


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("sysctls", "sysctls: not collected"),
        ("routes", "routes: not collected"),
        ("interfaces", "interfaces: not collected"),
    ],
)
def test_nor_is_one_of_which_not_everything_is_known(tmp_path: Path, missing: str, said: str) -> None:
    half = msgspec.structs.replace(WELL, missing={missing: "not collected"})
    done = run("fix", "--dry-run", saved(tmp_path, member("web-1", half)))
    assert done.returncode == 3
    assert "nothing is broken" not in done.stdout
    assert "could not look at web-1" in done.stdout
    assert done.stderr.count("web-1: no plan: ") == 1
    assert said in done.stderr


def test_nor_is_one_whose_subnet_was_not_read(tmp_path: Path) -> None:
    around = msgspec.structs.replace(fabric(), subnets={})
    path = tmp_path / "snapshot.json"
    path.write_bytes(encode_snapshot(snapshot(member("web-1", BROKEN), around=around)))
    done = run("fix", "--dry-run", f"--snapshot={path}")
    assert done.returncode == 3
    assert "could not look at web-1" in done.stdout
    assert "the subnet of vni-1 was not readable" in done.stderr


def test_nor_is_one_that_does_not_run(tmp_path: Path) -> None:
    done = run("fix", "--dry-run", saved(tmp_path, member("web-1", status="stopped")))
    assert (done.returncode, "nothing is broken" in done.stdout) == (0, False)
    assert "web-1 does not run: not looked at" in done.stdout


def test_a_well_server_beside_it_is_told_apart(tmp_path: Path) -> None:
    servers = member("web-1", WELL), unreached("web-2"), member("web-3", BROKEN), member("web-4", BROKEN)
    done = run("fix", "--dry-run", saved(tmp_path, *servers))
    assert done.returncode == 3
    assert done.stdout.splitlines()[-3:] == [
        "Plan: 2 servers: 2 fixed, 0 in part, 0 by hand",
        "nothing to fix on 1 other server",
        "could not look at web-2: whether anything is broken there is not known",
    ]
    assert "The same, with their own addresses: web-4 (10.0.0.12)" in done.stdout
    assert run("fix", "--dry-run", saved(tmp_path, servers[0])).stdout == (
        "nothing is broken that is meant to work: there is nothing to fix\n"
        "whether a boot would change that, 'vnicheck analyze' tells\n"
    )
