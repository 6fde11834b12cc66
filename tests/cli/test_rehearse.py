"""`vnicheck rehearse`, as a user without root runs it."""

import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import jsonschema
import pytest

from tests.lab.require import require_lab
from tests.support.unprivileged import NOBODY

REPOSITORY = Path(__file__).parents[2]
CHECK_1 = REPOSITORY / "vnicheck" / "demo" / "recorded.json"


def rehearse(*options: str | Path, prefix: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(prefix or []),
            sys.executable,
            "-B",
            "-m",
            "vnicheck",
            "rehearse",
            "server",
            "--snapshot",
            CHECK_1,
            *options,
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def passed(tmp_path: Path) -> Path:
    config = tmp_path / "vnicheck.toml"
    config.write_text('[assumptions]\nspoofing-sibling = "passed"\n')
    return config


def test_the_articles_server_its_plan_and_its_undo(passed: Path, tmp_path: Path) -> None:
    require_lab()
    written = tmp_path / "r.json"
    tmp_path.chmod(0o777)
    done = rehearse("--fix", "--config", passed, "-f", "text", "-f", f"json={written}", prefix=NOBODY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "As it is: 54 of 54 flows did what was predicted" in done.stdout
    assert "With the plan (policy-routing): 54 of 54 flows did what was predicted" in done.stdout
    assert "✓ every flow fares as it did at first" in done.stdout
    assert "Nothing differs from the prediction." in done.stdout
    document = json.loads(written.read_text())
    assert [phase["kind"] for phase in document["rehearsal"]["phases"]] == ["as_is", "fixed", "undone"]
    schema = subprocess.run(
        [sys.executable, "-m", "vnicheck", "schema", "rehearsal"], capture_output=True, text=True, check=True
    )
    jsonschema.validate(document, json.loads(schema.stdout))


def test_one_flow_and_a_script(passed: Path, tmp_path: Path) -> None:
    require_lab()
    script = tmp_path / "change.sh"
    script.write_text("sysctl -w net.ipv4.conf.all.rp_filter=2\n")
    one = ("--from", "10.8.0.4", "--to", "10.0.0.12", "--protocol", "icmp")
    done = rehearse("--config", passed, "--run", script, *one)
    assert done.returncode == 0, done.stderr
    assert "dropped by rp_filter: the guest took the request and sent nothing" in " ".join(done.stdout.split())
    assert "| net.ipv4.conf.all.rp_filter = 2" in done.stdout
    assert "✓ icmp to 10.0.0.12 from other private networks: delivered" in done.stdout
    script.write_text("ip rule add from 10.0.0.11 blackhole\n")
    done = rehearse("--config", passed, "--run", script, "--from", "10.0.0.11", "--to", "10.8.0.4")
    assert "dropped by a blackhole route: the guest sent no request" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--shell",), "--shell needs a terminal"),
        (("--from", "10.8.0.4"), "--from and --to belong together"),
        (("--from", "x", "--to", "10.0.0.12"), "--from 'x'"),
        (("--from", "10.8.0.4", "--to", "10.0.0.99"), "neither 10.8.0.4 nor 10.0.0.99 is an address of server"),
        (("-f", "html"), "a rehearsal is written as text or json"),
        (("--run", "/nonexistent"), "cannot read /nonexistent"),
        (("--run", "/dev/zero"), "/dev/zero is no file"),
        (("--set", "vni-1.mtu=9"), "no field 'mtu'"),
    ],
)
def test_bad_input_is_one_line(options: tuple[str, ...], said: str) -> None:
    done = rehearse(*options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_shell_shows_its_errors_heeds_ctrl_c_and_changes_the_rebuilt_server() -> None:
    require_lab()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-B", "-m", "vnicheck", "rehearse", "server", "--snapshot", str(CHECK_1), "--shell"]
    command += ["--from", "10.8.0.4", "--to", "10.0.0.11"]
    with (
        os.fdopen(ours, "r+b", buffering=0) as terminal,
        subprocess.Popen(
            command,
            cwd=REPOSITORY,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads here
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ) as started,
    ):
        os.close(theirs)
        # what says that it sleeps is what Ctrl-C is for: the shell itself may be between two commands
        terminal.write(b"ls /nonesuch; ip link set eth0 down; sh -c 'echo slee\"\"ping; exec sleep 1000'\n")
        said = b""
        try:
            while part := terminal.read(65536):
                said += part
                if b"sleeping" in part:
                    terminal.write(b"\x03exit\n")
        except OSError:
            pass  # the other end is closed
    assert b"cannot access '/nonesuch'" in said
    assert b"Cannot set tty" not in said
    assert b"VNC10" in said.partition(b"What the change changes")[2]
    assert started.returncode == 0
