"""Files that the program is given and that it leaves: pipes, devices, and who may read what."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import StandIn, World
from tests.support.program import one_line, run
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.snapshot import encode_snapshot

COLLECTED = Path(__file__).parents[2] / "fixtures" / "cases" / "policy-routing-collected" / "collected.txt"


@pytest.fixture
def api() -> Iterator[StandIn]:
    world = World(region="us-south").vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    macs = ("02:00:05:02:70:58", "02:00:25:02:70:58")
    world.instance(
        "web-1",
        interfaces=[{"subnet": "a", "address": f"10.0.0.1{number + 1}", "mac": mac} for number, mac in enumerate(macs)],
    )
    with StandIn(world) as api:
        yield api


@pytest.fixture
def snapshot(tmp_path: Path) -> str:
    (tmp_path / "check.json").write_bytes(encode_snapshot(load_check(CHECKS[0])))
    return f"--snapshot={tmp_path / 'check.json'}"


def modes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder.parent)): f"{stat.S_IMODE(path.stat().st_mode):o}"
        for path in (folder, *sorted(folder.rglob("*")))
    }


def bash(command: str, api: StandIn) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command.replace("vnicheck", f"{sys.executable} -m vnicheck")],
        env={**os.environ, **api.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_guest_comes_through_a_process_substitution(api: StandIn) -> None:
    done = bash(f"vnicheck analyze web-1 --guest web-1=<(sleep 0.5; cat {COLLECTED})", api)
    assert done.returncode == 0, done.stderr


def test_a_snapshot_comes_through_a_pipe(api: StandIn) -> None:
    done = bash(
        f"vnicheck snapshot web-1 -o /dev/stdout --guest web-1={COLLECTED} |"
        "vnicheck analyze web-1 --snapshot=/dev/stdin",
        api,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_guest_of_a_pipe_that_nobody_writes_to_costs_its_servers_time(api: StandIn, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = run("analyze", "web-1", f"--guest=web-1={tmp_path / 'pipe'}", "--timeout=1", env=api.environ)
    assert done.returncode == 2
    assert one_line(done) == f"{tmp_path / 'pipe'} is a pipe that nobody writes to"


@pytest.mark.parametrize("option", ["--guest=web-1=", "--snapshot=", "--baseline=", "--config="])
def test_a_device_is_no_file(api: StandIn, option: str) -> None:
    """/dev/zero has as many bytes as anything may hold."""
    live = () if option == "--snapshot=" else ("--cloud-only",)
    done = run("lint", f"{option}/dev/zero", *live, env=api.environ)
    assert done.returncode == 2
    assert one_line(done) == "/dev/zero is no file, but a device"


def test_snapshots_and_plans_are_the_users_alone(api: StandIn, snapshot: str, tmp_path: Path) -> None:
    os.umask(0o022)
    guest = f"--guest=web-1={COLLECTED}"
    folder = tmp_path / "out"
    folder.mkdir()
    assert run("snapshot", "web-1", guest, "-o", str(folder / "one.json"), env=api.environ).returncode == 0
    assert run("snapshot", "web-1", guest, "-o", f"{folder}/fleet/", env=api.environ).returncode == 0
    assert run("snapshot", "web-1", guest, "--redact", "-o", f"{folder}/hidden/", env=api.environ).returncode == 0
    forms = ("sh", "json", "text", "ansible")
    for form in forms:
        run("fix", "server", snapshot, "--dry-run", "-f", f"{form}={folder}/plan.{form}")
    run("fix", "server", snapshot, "--dry-run", "-o", f"{folder}/plans")
    found = modes(folder)
    assert {f"out/plan.{form}" for form in forms} < set(found)
    assert {name for name in found if name.startswith("out/plans/")}
    assert found.pop("out") == "755", "it was there before"
    assert {
        name: mode for name, mode in found.items() if mode != ("700" if (tmp_path / name).is_dir() else "600")
    } == {}


def test_reports_follow_the_umask(snapshot: str, tmp_path: Path) -> None:
    os.umask(0o022)
    formats = ("text", "json", "markdown", "html", "sarif", "junit", "github")
    wanted = [f"--format={name}={tmp_path / name}" for name in formats]
    assert run("lint", snapshot, *wanted, "--write-baseline", str(tmp_path / "baseline")).returncode == 1
    assert {modes(tmp_path)[f"{tmp_path.name}/{name}"] for name in (*formats, "baseline")} == {"644"}
