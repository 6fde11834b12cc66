"""What must not end 0: a gate that could not see says so."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.api import StandIn, World
from tests.support.program import run
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.snapshot import Server, Snapshot, encode_snapshot

COLLECTED = Path(__file__).parents[2] / "fixtures" / "cases" / "policy-routing-collected" / "collected.txt"
MACS = ("02:00:05:02:70:58", "02:00:25:02:70:58")


@pytest.fixture
def world() -> World:
    world = World(region="us-south").vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    interfaces = [{"subnet": "a", "address": f"10.0.0.1{number + 1}", "mac": mac} for number, mac in enumerate(MACS)]
    return world.instance("web-1", interfaces=interfaces)


@pytest.fixture
def api(world: World) -> Iterator[StandIn]:
    with StandIn(world) as api:
        yield api


def lint(api: StandIn, *more: str) -> tuple[int, list[str]]:
    """The exit code, and the codes of the one server's problems."""
    done = run("lint", "--cloud-only", f"--guest=web-1={COLLECTED}", "-f", "json", *more, env=api.environ)
    (instance,) = json.loads(done.stdout)["instances"]
    return done.returncode, [problem["code"] for problem in instance["problems"]]


def saved(snapshot: Snapshot, place: Path, **changes: object) -> str:
    (server,) = snapshot.servers
    changed: Server = msgspec.structs.replace(server, **changes)
    place.write_bytes(encode_snapshot(msgspec.structs.replace(snapshot, servers=(changed,))))
    return str(place)


@pytest.mark.parametrize(
    ("status", "more", "code"),
    [
        ("stopped", (), 0),
        ("restarting", (), 0),
        ("", (), 3),
        ("hibernating", (), 3),
        ("hibernating", ("--min-coverage=100",), 3),
        ("running", (), 0),
    ],
)
def test_a_status_of_tomorrow_is_not_taken_for_standing_still(
    api: StandIn, world: World, status: str, more: tuple[str, ...], code: int
) -> None:
    world.find("instances", "web-1")["status"] = status
    if not status:
        del world.find("instances", "web-1")["status"]
    ended, problems = lint(api, *more)
    assert ended == code
    assert problems == (["status_unknown"] if code else [])


def test_a_server_without_attachments_is_not_passed_over_as_single_homed(api: StandIn, world: World) -> None:
    assert lint(api) == (0, [])
    world.find("instances", "web-1")["network_attachments"] = None
    done = run("lint", "--cloud-only", "-f", "json", env=api.environ)
    (instance,) = json.loads(done.stdout)["instances"]
    assert done.returncode == 3
    assert "interfaces_unread" in [problem["code"] for problem in instance["problems"]]


def test_a_list_that_ends_early_is_incomplete(api: StandIn) -> None:
    api.page_size = 1
    api.world["instances"].append({**api.world["instances"][0], "id": "0717_other", "name": "other"})
    api.fail("/instances", cut=True, times=None)
    done = run("lint", "--cloud-only", f"--guest=web-1={COLLECTED}", env=api.environ)
    assert done.returncode == 3
    assert "the list ends after 1 of 2" in done.stdout


def test_half_characters_end_in_no_format(api: StandIn, world: World, tmp_path: Path) -> None:
    world.find("instances", "web-1")["name"] = "web-1\ud83d"
    formats = ("json", "markdown", "html", "sarif", "junit", "github")
    wanted = [f"--format={name}={name}" for name in formats]
    done = run("lint", "--cloud-only", "-f", "text", *wanted, env=api.environ, folder=tmp_path)
    assert done.returncode == 3, done.stderr
    assert all("web-1\ufffd" in (tmp_path / name).read_text() for name in ("json", "html", "junit"))


def test_an_expectation_that_names_no_server_fails_the_gate(tmp_path: Path) -> None:
    """It is a promise about something that is not there: a name that was mistyped, or a server that went."""
    snapshot = load_check(CHECKS[0])
    (server,) = snapshot.servers
    path = saved(snapshot, tmp_path / "s.json", vnis=server.vnis[:1])
    expect = '[[expect]]\nserver = "{}"\nfrom = "subnet"\nto = "10.0.0.11"\nport = 22\nverdict = "delivered"\n'
    (tmp_path / "vnicheck.toml").write_text(expect.format("server") + expect.format("web-*"))
    gate = ("lint", "--snapshot", path, "--include-single-homed")
    done = run(*gate, folder=tmp_path)
    assert done.returncode == 3, "the snapshot may not be of the server that is meant"
    assert "[[expect]] 2: no server is named 'web-*'" in done.stderr
    assert run(*gate, "--allow-incomplete", folder=tmp_path).returncode == 0
    assert run(*gate, "--name=server", folder=tmp_path).returncode == 0, "the others were not asked for"


def test_a_comparison_with_what_could_not_be_read_is_incomplete(tmp_path: Path) -> None:
    snapshot = load_check(CHECKS[0])
    whole = saved(snapshot, tmp_path / "whole.json")
    blind = saved(snapshot, tmp_path / "blind.json", guest=None)
    gone = str(tmp_path / "gone.json")
    missing = msgspec.structs.replace(snapshot.fabric, missing={"servers": "403"})
    Path(gone).write_bytes(encode_snapshot(msgspec.structs.replace(snapshot, servers=(), fabric=missing)))
    assert run("diff", whole, whole, "--fail-on=error").returncode == 0
    assert run("diff", whole, blind).returncode == 3
    assert run("diff", whole, blind, "--fail-on=error").returncode == 3
    assert run("diff", whole, gone, "--fail-on=error").returncode == 3
    assert run("diff", whole, blind, "--allow-incomplete").returncode == 0
    assert run("diff", blind, whole).returncode == 0, "what is new is told as new"
    assert run("diff", blind, whole, "--fail-on=error").returncode == 1


@pytest.mark.parametrize(
    ("collected", "more", "status"),
    [
        ("2024-11-24T00:00:00Z", (), 3),
        ("2028-11-24T00:00:00Z", (), 3),
        ("2024-11-24T00:00:00Z", ("--max-age=1000",), 0),
        ("2026-11-20T00:00:00Z", (), 0),
        ("2026-11-20T00:00:00Z", ("--max-age=1",), 3),
        ("yesterday", (), 3),
    ],
)
def test_a_guest_of_another_time_is_not_checked(
    tmp_path: Path, collected: str, more: tuple[str, ...], status: int
) -> None:
    snapshot = msgspec.structs.replace(load_check(CHECKS[0]), created_at="2026-11-24T00:00:00Z")
    (server,) = snapshot.servers
    assert server.guest is not None
    guest = msgspec.structs.replace(server.guest, collected_at=collected)
    path = saved(snapshot, tmp_path / "s.json", guest=guest, vnis=server.vnis[:1])
    formats = ("json", "markdown", "html", "sarif", "junit", "github")
    wanted = ["--format=text", *(f"--format={name}={name}" for name in formats)]
    for command in (("lint", "--include-single-homed", *wanted), ("analyze", "server")):
        done = run(*command, "--snapshot", path, *more, folder=tmp_path)
        assert done.returncode == status, done.stderr
        assert ("the guest was collected" in " ".join(done.stdout.split())) is (status == 3)
    for name in formats:
        assert ("the guest was collected" in (tmp_path / name).read_text()) is (status == 3), name


def test_lint_takes_up_no_configuration_that_everybody_may_write(tmp_path: Path) -> None:
    path = saved(load_check(CHECKS[0]), tmp_path / "s.json")
    (tmp_path / "vnicheck.toml").write_text("")
    (tmp_path / "vnicheck.toml").chmod(0o666)
    for command in (("lint",), ("analyze", "server"), ("fix", "server", "--dry-run")):
        done = run(*command, "--snapshot", path, folder=tmp_path)
        assert (done.returncode, "everybody may write it" in done.stderr) == (2, True)
