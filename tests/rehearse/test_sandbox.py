"""The sandbox leaves the machine alone, needs no root, and ends with whoever started it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab.require import require_lab
from tests.support import cases
from tests.support.patience import SECONDS
from tests.support.unprivileged import NOBODY
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.rehearse.namespaces import RehearsalError
from vnicheck.rehearse.requests import Build, Built, Ran, Run
from vnicheck.rehearse.sampling import Sample
from vnicheck.rehearse.sandbox import Sandbox
from vnicheck.rehearse.vpc import network_of

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """A sandbox with the article's server in it."""
    require_lab()
    observed = cases.snapshot_of("article-check-1")
    view = ServerView(observed.servers[0], observed.fabric, cases.config_of("article-check-1"))
    sample = Sample(view, predict_flows(view), view.reserved)
    guest = view.server.guest
    assert guest is not None
    with Sandbox() as made:
        made.ask(Build(network=network_of(view, sample.remotes), guest=guest), Built)
        yield made


def said(box: Sandbox, script: str) -> str:
    ran = box.ask(Run(script=script, seconds=20), Ran)
    return (ran.stdout + ran.stderr).decode().strip()


def machine() -> tuple[object, ...]:
    """What a rehearsal could change of this machine."""
    links = sorted(os.listdir("/sys/class/net"))
    sysctls = [Path(f"/proc/sys/{name}").read_text() for name in ("net/ipv4/ip_forward", "kernel/hostname")]
    files = [(name, os.stat(name).st_mtime_ns) for name in ("/etc", "/etc/hosts", "/run", "/root", "/var/tmp")]
    return links, sysctls, files, Path("/proc/mounts").read_text()


@pytest.mark.parametrize("path", ["/usr/x", "/x", "/boot/x", str(REPOSITORY / "x")])
def test_the_machines_files_are_read_only(box: Sandbox, path: str) -> None:
    assert "Read-only file system" in said(box, f"touch {path}")
    assert not Path(path).exists()


def test_what_is_written_to_configuration_stays_inside(box: Sandbox) -> None:
    before = machine()
    script = "for f in /etc/hosts /run/x /tmp/x /var/x /root/x /home/x; do echo vnicheck >> $f || echo cannot $f; done"
    assert said(box, f"{script}; tail -n 1 /etc/hosts") == "vnicheck"
    assert machine() == before


@pytest.mark.parametrize(
    "written",
    [
        "/proc/sys/kernel/hostname",
        "/proc/sys/vm/swappiness",
        "/proc/sys/kernel/core_pattern",
        "/sys/class/net/lo/queues/rx-0/rps_cpus",
    ],
)
def test_the_kernels_own_settings_are_out_of_reach(box: Sandbox, written: str) -> None:
    assert "Read-only file system" in said(box, f"cat /dev/null > {written}")


@pytest.mark.parametrize(
    "script",
    [
        f"mount -o remount,bind,rw / && touch {REPOSITORY}/x",
        f"nsenter -t 1 -m mount -o remount,bind,rw / && touch {REPOSITORY}/x",
        "umount -l /tmp && touch /tmp/vnicheck-x",
        "mkdir /run/p && mount -t proc proc /run/p && : > /run/p/sys/vm/swappiness",
        "mount -o remount,bind,rw /proc && : > /proc/sys/vm/swappiness",
        "cat /dev/kmsg /dev/vda /dev/sda",
    ],
)
def test_what_is_hidden_cannot_be_uncovered(box: Sandbox, script: str) -> None:
    """Scripts for other machines do such things, and the user may be root."""
    before = machine()
    assert "done" not in said(box, f"{{ {script}; }} && echo done")
    assert machine() == before
    assert not Path(REPOSITORY, "x").exists()
    assert not Path("/tmp/vnicheck-x").exists()


def test_no_process_and_no_socket_of_the_machine_is_in_sight(box: Sandbox, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, subprocess.Popen(["sleep", "61.125"]) as canary:
        listening.bind(str(tmp_path / "socket"))
        seen = said(box, f"cat /proc/[0-9]*/cmdline | tr '\\0' ' '; ls {tmp_path}; cat /proc/1/comm")
        canary.terminate()
    assert "61.125" not in seen
    assert f"ls: cannot access '{tmp_path}'" in seen
    assert "python" in seen  # process 1 there is ours
    assert not {"dbus", "systemd", "docker.sock"} & set(said(box, "ls -A /run").split())


def test_a_script_may_leave_something_running_and_say_more_than_is_kept(box: Sandbox) -> None:
    ran = box.ask(Run(script="sleep 300 & yes | head -c 30000000; echo no >&2; exit 3", seconds=60), Ran)
    assert (ran.status, len(ran.stdout), ran.stderr) == (3, 4 << 20, b"no\n")


def test_the_network_is_its_own(box: Sandbox) -> None:
    assert said(box, "ls /sys/class/net").split() == ["eth0", "eth1", "lo"]
    theirs = Path("/sys/class/net/eth0/address")
    assert not theirs.exists() or said(box, f"cat {theirs}") != theirs.read_text().strip()


def test_it_ends_with_a_program_that_is_killed() -> None:
    require_lab()
    program = (
        "import os, time; from vnicheck.rehearse.sandbox import Sandbox\n"
        "with Sandbox() as box: print(box._process.pid, flush=True); time.sleep(60)"
    )
    started = subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    inside = int(started.stdout.readline())
    started.send_signal(signal.SIGKILL)
    started.wait()
    started.stdout.close()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{inside}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{inside}").exists()


def test_it_ends_with_a_program_that_is_killed_while_a_script_runs(tmp_path: Path) -> None:
    require_lab()
    script = tmp_path / "script"
    script.write_text("sleep 90.125\n")
    recorded = REPOSITORY / "vnicheck" / "demo" / "recorded.json"
    command = ["rehearse", "server", "--snapshot", str(recorded), "--run", str(script)]
    command += ["--from", "10.8.0.4", "--to", "10.0.0.11"]
    started = subprocess.Popen([sys.executable, "-m", "vnicheck", *command], cwd=REPOSITORY)
    until(lambda: running("90.125"))
    started.kill()
    started.wait()
    until(lambda: not running("90.125"))


def running(word: str) -> bool:
    """Whether a process of this machine has a word among its arguments."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += place.read_bytes().decode(errors="replace").split("\0")
    return word in found


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not so() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert so()


def test_no_root_is_needed() -> None:
    require_lab()
    program = "from vnicheck.rehearse.sandbox import Sandbox\nwith Sandbox(): print('inside')"
    done = subprocess.run(
        [*NOBODY, sys.executable, "-B", "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("inside\n", "")


def test_where_there_are_no_user_namespaces_a_line_says_what_to_do() -> None:
    require_lab()
    program = (
        "from vnicheck.rehearse.sandbox import Sandbox\n"
        "from vnicheck.rehearse.namespaces import RehearsalError\n"
        "try:\n  Sandbox().__enter__()\nexcept RehearsalError as error: print(error)"
    )
    # in a namespace of our own, where their number can be limited
    done = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--mount-proc", "--pid", "--fork", "--mount", "sh", "-c"),
            'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"',
            *("sh", sys.executable, "-c", program),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "max_user_namespaces" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_program_that_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for program in ("unshare", "nsenter", "sysctl", "mount", "ip"):
        (tmp_path / program).symlink_to("/bin/true")
    monkeypatch.setattr("vnicheck.rehearse.sandbox._path", lambda: str(tmp_path))
    with pytest.raises(RehearsalError, match=r"nft: not found; install nftables"):
        Sandbox().__enter__()
