"""Progress: what it counts, and that it is seen on a terminal and nowhere else. And prompts, on a real terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.api import StandIn, World
from tests.support.ssh_standin import SshStandIn, prints
from tests.support.sshd import Sshd, generate_key
from vnicheck.cli.progress import ProgressTally

COLLECTED = Path(__file__).parents[2] / "fixtures" / "cases" / "policy-routing-collected" / "collected.txt"


class TestTally:
    def test_counts_rate_and_the_slowest(self) -> None:
        now = [100.0]
        tally = ProgressTally(lambda: now[0])
        tally.total = 50
        assert tally.line() == "0 of 50"
        for number in range(24):
            tally.start(str(number), f"web-{number}")
        for number in range(20):
            tally.done(str(number), ok=number >= 2)
        now[0] += 2.0
        assert tally.line() == "20 of 50, 2 failed, 10/s"
        now[0] += 6.0
        tally.start("late", "late")
        assert (
            tally.line() == "20 of 50, 2 failed, 2.5/s; waiting for web-20 (8 s), web-21 (8 s), web-22 (8 s) and 1 more"
        )

    def test_hostile_names(self) -> None:
        now = [0.0]
        tally = ProgressTally(lambda: now[0])
        tally.total = 1
        tally.start("x", "\x1b[2J[red]\u202e" + "y" * 100)
        now[0] = 5.0
        assert tally.line().isprintable()
        assert len(tally.line()) < 100


@pytest.fixture
def world() -> World:
    world = World(region="us-south").vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    for number, name in enumerate(("good", "slow")):
        world.instance(name, interfaces=[{"subnet": "a", "address": f"10.0.0.{11 + number}"}])
    return world


def on_terminal(
    folder: Path, arguments: list[str], api: StandIn, answers: tuple[tuple[str, str], ...] = ()
) -> tuple[int, str, str]:
    """Runs the program with stdin and stderr on a terminal and stdout in a file; answers what it asks. Returns its
    status, its stdout and what the terminal showed.
    """
    out = folder / "stdout"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(api.environ, TERM="xterm", COLUMNS="120", HOME=str(folder), NO_COLOR="1")
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.execv(sys.executable, [sys.executable, "-m", "vnicheck", *arguments])
    seen, waiting = "", list(answers)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data.decode("utf-8", "replace")
        if waiting and waiting[0][0] in seen:
            os.write(terminal, waiting.pop(0)[1].encode() + b"\n")
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), out.read_text(), seen


def arguments_for(tmp_path: Path, key: Path | str, ports: dict[str, int], known: str) -> list[str]:
    config, known_hosts = tmp_path / "config", tmp_path / "known_hosts"
    config.write_text(
        "".join(f"Host {name}\n  HostName 127.0.0.1\n  Port {port}\n" for name, port in ports.items())
        + f"Host *\n  User root\n  IdentityFile {key}\n"
    )
    known_hosts.write_text(known)
    return ["-F", str(config), "--known-hosts", str(known_hosts), "--timeout", "8"]


def test_on_a_terminal_and_only_there(world: World, tmp_path: Path) -> None:
    key = generate_key(tmp_path / "key")
    with (
        StandIn(world) as api,
        Sshd(tmp_path / "good", client_key=key) as good,
        Sshd(tmp_path / "slow", client_key=key, force_command="sleep 4.5") as slow,
    ):
        known = good.known_hosts_line() + slow.known_hosts_line()
        arguments = arguments_for(tmp_path, key, {"good": good.port, "slow": slow.port}, known)
        _, out, seen = on_terminal(tmp_path, ["analyze", "good", "slow", "-f", "json", *arguments], api)
    assert "collecting guests: 1 of 2" in seen
    assert re.search(r"waiting for slow \([34] s\)", seen)
    assert '"ssh_forced_command"' in out
    assert "collecting" not in out


def test_the_password_is_asked_for_once_and_goes_nowhere(world: World, tmp_path: Path) -> None:
    begun = prints(COLLECTED.read_bytes())
    with (
        StandIn(world) as api,
        SshStandIn(tmp_path / "one", methods="password", password="hush-hush", run=begun) as one,
        SshStandIn(tmp_path / "two", methods="keyboard-interactive", password="hush-hush", run=begun) as two,
    ):
        known = one.known_hosts_line() + two.known_hosts_line()
        arguments = arguments_for(tmp_path, "none", {"good": one.port, "slow": two.port}, known)
        command = ["snapshot", "good", "slow", "-o", str(tmp_path / "s.json"), "--ask-pass", *arguments]
        status, _, seen = on_terminal(tmp_path, command, api, (("SSH password: ", "hush-hush"),))
    assert status == 0, seen
    assert seen.count("SSH password: ") == 1
    assert "hush" not in seen
    assert "hush" not in (tmp_path / "s.json").read_text()
    assert "behind this machine's" in seen  # the recorded guest is of another day


def test_without_a_terminal_there_is_nobody_to_ask(world: World) -> None:
    with StandIn(world) as api:
        done = subprocess.run(
            [sys.executable, "-m", "vnicheck", "analyze", "good", "--ask-pass"],
            env={**os.environ, **api.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("vnicheck: --ask-pass")
    assert done.stderr.count("\n") == 1


def test_the_passphrase_of_a_key_is_asked_for_once(world: World, tmp_path: Path) -> None:
    key = generate_key(tmp_path / "key", passphrase="open sesame")
    with StandIn(world) as api, Sshd(tmp_path / "good", client_key=key) as good:
        ports = {"good": good.port, "slow": good.port}
        arguments = arguments_for(tmp_path, key, ports, good.known_hosts_line())
        status, out, seen = on_terminal(
            tmp_path,
            ["analyze", "good", "slow", "-f", "json", *arguments],
            api,
            ((f"Passphrase of {key}: ", "open sesame"),),
        )
    assert seen.count("Passphrase of") == 1
    assert "sesame" not in seen + out
    assert "ssh_" not in out
    assert status in {0, 3}
