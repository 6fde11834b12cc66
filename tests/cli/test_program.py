"""The program as a process: exit codes, one line on stderr for every mistake, and quiet where quiet is due."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.api import StandIn, World
from tests.support.patience import SECONDS
from tests.support.program import bare_environment, one_line, run
from vnicheck import __version__
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.snapshot import encode_snapshot

COMMANDS = ("analyze", "snapshot", "demo", "collect-script", "rules", "explain", "assumptions", "schema")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshots: `broken` (check 1), `well` (check 1 without its second VNI), `incomplete`, and spoilt ones."""
    folder = tmp_path_factory.mktemp("snapshots")
    broken = load_check(CHECKS[0])
    (server,) = broken.servers
    well = msgspec.structs.replace(broken, servers=(msgspec.structs.replace(server, vnis=server.vnis[:1]),))
    unread = msgspec.structs.replace(
        broken.fabric, security_groups={}, missing={"security_groups": "403: not authorized"}
    )
    made = {
        "broken": encode_snapshot(broken),
        "well": encode_snapshot(well),
        "incomplete": encode_snapshot(msgspec.structs.replace(well, fabric=unread)),
        "unreached": encode_snapshot(
            msgspec.structs.replace(broken, servers=(msgspec.structs.replace(server, guest=None),))
        ),
        "truncated": encode_snapshot(broken)[:5000],
        "other": b'{"schema": "vnicheck.snapshot/9", "servers": []}',
        "empty": b"",
    }
    for name, data in made.items():
        (folder / f"{name}.json").write_bytes(data)
    return folder


def analyze(files: Path, name: str, *more: str, server: str = "server") -> subprocess.CompletedProcess[str]:
    return run("analyze", server, "--snapshot", str(files / f"{name}.json"), *more)


# --- help and version -------------------------------------------------------------------------------------------------


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"vnicheck {__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["analyze", "--help"], ["rules"]])
def test_what_needs_no_cloud_imports_no_sdk(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom vnicheck.__main__ import main\n"
        "try:\n main()\nexcept SystemExit as end:\n assert end.code == 0\n"
        "print(sorted({'ibm_vpc', 'ibm_cloud_sdk_core', 'paramiko', 'requests', 'cryptography'} & set(sys.modules)))"
    )
    done = run(*arguments, program=("-c", code))
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_lists_every_command_and_every_command_has_help() -> None:
    listed = run("--help")
    assert listed.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in listed.stdout
    for command in ("analyze", "snapshot", "explain"):
        done = run(command, "-h")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: vnicheck {command} ")


def test_every_commands_help_in_one_process() -> None:
    code = (
        "import sys\nfrom vnicheck.cli.app import app\n"
        "for command in sys.argv[1:]:\n app(args=[command, '--help'], prog_name='vnicheck', standalone_mode=False)"
    )
    done = run(*COMMANDS, program=("-c", code))
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[2] for line in done.stdout.splitlines() if line.startswith("Usage: ")] == list(COMMANDS)


def test_nothing_asked_is_help_and_a_usage_error() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("Usage: vnicheck ")


# --- exit codes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "more", "status"),
    [
        ("broken", (), 0),
        ("broken", ("--fail-on", "error"), 1),
        ("broken", ("--fail-on", "note"), 1),
        ("well", ("--fail-on", "note"), 0),
        ("incomplete", (), 3),
        ("incomplete", ("--allow-incomplete",), 0),
        ("incomplete", ("--fail-on", "warning"), 3),
        ("incomplete", ("--fail-on", "note"), 1),
        ("unreached", (), 3),
        ("unreached", ("--allow-incomplete",), 0),
        ("unreached", ("--allow-incomplete", "--fail-on", "warning"), 1),  # VNC403
    ],
)
def test_exit_codes(files: Path, name: str, more: tuple[str, ...], status: int) -> None:
    done = analyze(files, name, "-f", "json", *more)
    assert (done.returncode, done.stderr) == (status, "")
    report = json.loads(done.stdout)
    assert report["complete"] is (name in {"broken", "well"})
    if name == "incomplete":
        assert {flow["verdict"] for flow in report["instances"][0]["flows"]} == {"unknown", "dropped"}


MISTAKES: dict[str, tuple[tuple[str, ...], str]] = {
    "unknown command": (("analyse", "x"), "No such command 'analyse'"),
    "unknown option": (("demo", "--frobnicate"), "No such option: --frobnicate"),
    "no instance": (("analyze",), "name the servers, or give --local on the instance itself"),
    "an empty instance": (("analyze", ""), "an empty INSTANCE names no server"),
    "no output": (("snapshot", "x"), "Missing option '--output'"),
    "neither names nor all": (
        ("snapshot", "-o", "x"),
        "name the servers, or give --all, or --local on the instance itself",
    ),
    "names and all": (("snapshot", "a", "--all", "-o", "x"), "name the servers, or give --all, or --local on"),
    "no number": (("analyze", "x", "--jobs", "many"), "Invalid value for '--jobs'"),
    "a port out of range": (("analyze", "x", "--ssh-port", "0"), "Invalid value for '--ssh-port'"),
    "an address that is no choice": (("analyze", "x", "--ssh-address", "public"), "auto, private, floating"),
    "a key that is a device": (("analyze", "x", "-i", "/dev/zero"), "no file, but a device; name another key with -i"),
    "a guest without a file": (("analyze", "x", "--guest", "x"), "write INSTANCE=FILE"),
    "no credentials": (("analyze", "x"), "no credentials for the VPC API: set IBMCLOUD_API_KEY"),
    "unknown rule": (("explain", "VNC999"), "no rule or assumption 'VNC999'"),
    "a problem's code": (("explain", "ssh_auth"), "of a problem's code, the line beside it says what to do"),
    "almost a rule": (("explain", "strict-reverse-pat"), "did you mean strict-reverse-path?"),
    "unknown document": (("schema", "repot"), "there are report, snapshot, plan"),
    "unknown format": (("demo", "-f", "yaml"), "--format 'yaml'"),
    "a format to no file": (("demo", "-f", "json="), "--format 'json='"),
    "two formats to stdout": (("demo", "-f", "text", "-f", "json"), "two formats go to one place"),
    "two formats to one file": (("demo", "-f", "text=x", "-f", "json=x"), "two formats go to one place"),
    "unknown severity": (("demo", "--fail-on", "fatal"), "write error, warning or note"),
    "a folder that is not there": (("demo", "-o", "/nonexistent/report"), "cannot write /nonexistent/report: No such"),
    "a file in a file": (("demo", "-o", "/etc/passwd/report"), "cannot write /etc/passwd/report: Not a directory"),
    "a folder": (("demo", "-o", "/tmp"), "cannot write /tmp: Is a directory"),
    "an endless name": (("demo", "-o", "x" * 300), "File name too long"),
    "a full disk": (("demo", "-f", "json", "-o", "/dev/full"), "cannot write /dev/full: No space left on device"),
    "an endless time": (("analyze", "x", "--api-timeout", "inf"), "--api-timeout"),
    "a file for every form": (
        ("fix", "x", "--dry-run", "--snapshot", "y", "-o", "/etc/passwd"),
        "/etc/passwd is a file: -o alone takes a folder for all forms; or give -f as well",
    ),
    "hostile characters": (("analyze", "x", "--ssh-address", "\x1b[31m\r\n"), "--ssh-address"),
}


@pytest.fixture(scope="module")
def mistaken() -> dict[str, subprocess.CompletedProcess[str]]:
    """What each mistake came to, made several at a time."""
    with ThreadPoolExecutor(4) as pool:
        done = pool.map(lambda mistake: run(*mistake[0]), MISTAKES.values())
        return dict(zip(MISTAKES, done, strict=True))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_exit_2(name: str, mistaken: dict[str, subprocess.CompletedProcess[str]]) -> None:
    _, words = MISTAKES[name]
    done = mistaken[name]
    assert words in one_line(done)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("name", "more", "server", "words"),
    [
        ("nowhere", (), "server", "nowhere.json: No such file or directory"),
        ("truncated", (), "server", "not JSON, or cut off"),
        ("empty", (), "server", "not JSON, or cut off"),
        ("other", (), "server", "its schema is 'vnicheck.snapshot/9', and this version reads 'vnicheck.snapshot/1'"),
        ("broken", (), "sever", "did you mean server?"),
        ("broken", (), "10.0.0.99", "no server has the name, id, CRN or address '10.0.0.99'"),
        ("broken", ("--vpc", "another"), "server", "holds no server of a VPC 'another'"),
        ("broken", ("--region", "eu-de"), "server", "--region has no meaning with --snapshot"),
        ("broken", ("--resource-group", "x"), "server", "--resource-group has no meaning with --snapshot"),
        ("broken", ("--guest", "server=x"), "server", "--guest has no meaning with --snapshot"),
    ],
)
def test_a_snapshot_that_does_not_serve(files: Path, name: str, more: tuple[str, ...], server: str, words: str) -> None:
    done = analyze(files, name, *more, server=server)
    assert words in one_line(done)
    assert done.returncode == 2


def test_all_forms_of_a_plan_go_into_a_folder_that_is_told(files: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plans"
    done = run("fix", "server", "--dry-run", "--snapshot", str(files / "broken.json"), "-o", str(folder))
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert done.stderr == f"vnicheck: note: wrote {len(written)} files into {folder}\n"
    assert {"plan.json", "apply.sh"} <= {path.name for path in written}


def test_a_server_is_named_by_any_of_its_names(files: Path) -> None:
    (server,) = load_check(CHECKS[0]).servers
    for name in (server.id, server.crn, "10.0.0.12"):
        done = analyze(files, "broken", "-f", "json", server=name)
        assert [each["id"] for each in json.loads(done.stdout)["instances"]] == [server.id]


def test_an_internal_error_is_one_line_without_a_traceback() -> None:
    code = (
        "import vnicheck.report.text as text\nfrom vnicheck.__main__ import main\n"
        "def fail(*_): raise ZeroDivisionError('one\\x1b[31m\\nline')\n"
        "text.write_instance = fail\nmain()"
    )
    done = run("demo", program=("-c", code))
    assert done.returncode == 70
    assert done.stderr.count("\n") == 1
    assert "internal error (ZeroDivisionError: one [31m line); run again with VNICHECK_DEBUG=1" in done.stderr
    debugged = run("demo", program=("-c", code), env={"VNICHECK_DEBUG": "1"})
    assert "Traceback" in debugged.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_line_of_progress_is_told_when_it_is_so(unbuffered: str) -> None:
    """Also where PYTHONUNBUFFERED is set, as in containers: Python's own streams do not call themselves line-buffered
    then.
    """
    code = (
        "import os, sys\nimport vnicheck.__main__ as program\nfrom vnicheck.cli.terminal import tell\n"
        "def ends_at_once(_): tell('sending packets'); os._exit(0)\nprogram._run = ends_at_once\nprogram.main()"
    )
    done = run("demo", program=("-c", code), env={"PYTHONUNBUFFERED": unbuffered})
    assert done.stderr == "vnicheck: sending packets\n"


# --- where output goes ------------------------------------------------------------------------------------------------


def test_several_formats_to_several_places(files: Path, tmp_path: Path) -> None:
    done = analyze(files, "broken", "-f", "text", "-f", f"json={tmp_path / 'report.json'}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "VNC101" in done.stdout
    assert json.loads((tmp_path / "report.json").read_text())["schema"] == "vnicheck.report/2"
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"], "a partial file was left"


def test_text_in_a_file_is_plain(files: Path, tmp_path: Path) -> None:
    done = analyze(files, "broken", "-o", str(tmp_path / "report"))
    assert (done.stdout, done.stderr) == ("", "")
    assert "✗ rp_filter" in (tmp_path / "report").read_text()
    assert "\x1b" not in (tmp_path / "report").read_text()


@pytest.mark.parametrize("arguments", [["demo"], ["demo", "-f", "json"], ["schema", "snapshot"], ["collect-script"]])
def test_a_closed_pipe_is_no_failure(arguments: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "vnicheck", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) == 0


@pytest.mark.parametrize("form", ["text", "json", "markdown", "html", "sarif", "junit", "github"])
def test_a_finding_fails_the_gate_though_nobody_reads_it(files: Path, form: str) -> None:
    """`vnicheck lint | head -1`, under `pipefail` or with `PIPESTATUS`."""
    gate = ["lint", "--snapshot", str(files / "broken.json"), "-f", form]
    assert piped_to_nobody(*gate) == (1, "")
    assert piped_to_nobody(*gate, errors_too=True) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("lint", "--snapshot", "incomplete.json", "--include-single-homed"), 3),
        (("analyze", "server", "--snapshot", "broken.json", "--fail-on=error"), 1),
        (("analyze", "server", "--snapshot", "incomplete.json"), 3),
        (("analyze", "server", "--snapshot", "other.json"), 2),
        (("diff", "well.json", "broken.json", "--fail-on=error"), 1),
        (("fix", "server", "--snapshot", "unreached.json", "--dry-run"), 3),
        ((), 2),
    ],
)
def test_no_exit_code_depends_on_a_reader(files: Path, arguments: tuple[str, ...], status: int) -> None:
    assert run(*arguments, folder=files).returncode == status
    assert piped_to_nobody(*arguments, errors_too=True, folder=files) == (status, "")


def piped_to_nobody(*arguments: str, errors_too: bool = False, folder: Path | None = None) -> tuple[int, str]:
    """The exit code and stderr where the reader of stdout has gone before the first byte."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "vnicheck", *arguments],
        env={**bare_environment(), "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing if errors_too else subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    return done.returncode, done.stderr or ""


def test_streams_that_the_shell_closed(files: Path) -> None:
    gate = f"{sys.executable} -m vnicheck lint --snapshot {files / 'broken.json'}"
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        done = subprocess.run(["sh", "-c", f"{gate} {closed}"], capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)


@pytest.mark.parametrize("arguments", [["demo"], ["demo", "-f", "json"], ["rules"]])
def test_a_full_disk_behind_stdout(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "vnicheck", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "vnicheck: cannot write the result: No space left on device\n")


@pytest.mark.parametrize("arguments", [["demo"], ["rules"], ["assumptions"], ["explain", "VNC101"]])
def test_an_ascii_terminal(arguments: list[str]) -> None:
    done = run(*arguments, env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()


def on_terminal(*arguments: str, env: dict[str, str] | None = None) -> bytes:
    """What the program writes to a real terminal."""
    main, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "vnicheck", *arguments],
        env={**bare_environment(), "TERM": "xterm-256color", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        written = b""
        while True:
            try:
                part = os.read(main, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            written += part
        os.close(main)
        assert process.wait(30) == 0
    return written


def test_colours_on_a_terminal_unless_told_not_to() -> None:
    assert b"\x1b[1;31m" in on_terminal("demo")
    for plain in (on_terminal("demo", "--no-color"), on_terminal("demo", env={"NO_COLOR": "1"})):
        assert b"VNC101" in plain
        assert b"\x1b" not in plain
    assert b"\x1b" not in run("demo").stdout.encode()


# --- live -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> World:
    return (
        World(region="us-south")
        .vpc("prod", prefixes=["10.0.0.0/16"])
        .subnet("a", "10.0.0.0/24")
        .instance("web", interfaces=[{"subnet": "a", "address": "10.0.0.11"}])
        .instance("db", interfaces=[{"subnet": "a", "address": "10.0.0.12"}])
    )


@pytest.fixture(scope="module")
def guest_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the collect script says of the machine that the tests run on."""
    path = tmp_path_factory.mktemp("guest") / "web.txt"
    script = Path(__file__).parents[2] / "vnicheck" / "guest" / "collect.sh"
    done = subprocess.run(["sh", str(script)], capture_output=True, timeout=30, check=True)
    path.write_bytes(done.stdout)
    return path


def test_a_guest_from_a_file_beside_one_that_cannot_be_reached(world: World, guest_file: Path, tmp_path: Path) -> None:
    with StandIn(world) as api:
        config = tmp_path / "config"
        config.write_text("Host 10.0.0.12\n HostName 127.0.0.1\n Port 1\n")
        done = run(
            "analyze", "web", "db", "--guest", f"web={guest_file}", "-F", str(config), "-f", "json", env=api.environ
        )
        assert api.unexpected == []
    assert (done.returncode, done.stderr) == (3, "")
    web, db = json.loads(done.stdout)["instances"]
    assert (web["name"], db["name"], db["status"]) == ("web", "db", "incomplete")
    # what the file describes is the machine that the tests run on, and no interface of that belongs to the VNI
    assert [problem["code"] for problem in web["problems"]] == ["interface_unmatched"]
    assert [problem["code"] for problem in db["problems"]] == ["ssh_refused"]
    assert "127.0.0.1" in db["problems"][0]["message"]
    assert not [flow for flow in db["flows"] if flow["verdict"] == "delivered"]


def test_a_snapshot_feeds_analyze(world: World, guest_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "snapshot.json"
    with StandIn(world) as api:
        taken = run("snapshot", "web", "--guest", f"web={guest_file}", "-o", str(file), env=api.environ)
        live = run("analyze", "web", "--guest", f"web={guest_file}", "-f", "json", env=api.environ)
    assert (taken.returncode, taken.stdout, taken.stderr) == (0, "", "")
    offline = run("analyze", "10.0.0.11", "--snapshot", str(file), "-f", "json")
    assert offline.returncode == live.returncode
    told, again = json.loads(live.stdout)["instances"][0], json.loads(offline.stdout)["instances"][0]
    assert [flow["verdict"] for flow in told["flows"]] == [flow["verdict"] for flow in again["flows"]]


@pytest.mark.parametrize(
    ("spec", "words"),
    [("web=/nonexistent", "cannot read /nonexistent"), ("nobody={}", "no server has the name, id, CRN or address")],
)
def test_guest_files_that_do_not_serve(world: World, guest_file: Path, spec: str, words: str) -> None:
    with StandIn(world) as api:
        done = run("analyze", "web", "--guest", spec.format(guest_file), env=api.environ)
    assert words in one_line(done)
    assert done.returncode == 2


def test_a_guest_file_that_is_none_is_that_servers_problem(world: World, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello\n")
    with StandIn(world) as api:
        done = run("analyze", "web", "--guest", f"web={tmp_path / 'x'}", "-f", "json", env=api.environ)
    assert (done.returncode, done.stderr) == (3, "")
    (problem,) = json.loads(done.stdout)["instances"][0]["problems"]
    assert problem["code"].startswith("guest_")


def test_no_such_server_is_suggested(world: World) -> None:
    with StandIn(world) as api:
        done = run("analyze", "wep", env=api.environ)
    assert "did you mean web?" in one_line(done)
    assert done.returncode == 2


_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _heed_interrupts() -> None:
    """Whoever runs the tests may ignore or block them (nohup does)."""
    for number in _INTERRUPTS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)


def _started(*arguments: str, **more: Any) -> "subprocess.Popen[Any]":
    return subprocess.Popen(
        [sys.executable, "-m", "vnicheck", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_heed_interrupts,  # noqa: PLW1509 - it only sets signals
        **{"env": bare_environment()} | more,
    )


@pytest.mark.parametrize("number", _INTERRUPTS)
def test_interrupted(world: World, number: signal.Signals) -> None:
    with StandIn(world) as api:
        api.fail("/*", times=None, delay=60)
        with _started("analyze", "web", env={**bare_environment(), **api.environ}, text=True) as process:
            deadline = time.monotonic() + 30
            while not api.calls and time.monotonic() < deadline:
                time.sleep(0.02)
            for _ in range(3):  # one that comes while Python ends an object is lost, and a user asks again
                process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    out, err = process.communicate(timeout=8)
                    break
    assert (process.returncode, out, err) == (130, "", "vnicheck: interrupted\n")


def test_ctrl_c_says_nothing_of_workers_that_begin(files: Path) -> None:
    lint = ("lint", "--snapshot", str(files / "broken.json"), "--workers", "2")
    with _started(*lint, start_new_session=True) as process:  # Ctrl-C goes to all of a terminal's group
        deadline = time.monotonic() + SECONDS
        while not (workers := _workers_of(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.01)
        blocked = [int(words.split("SigBlk:\t")[1].split()[0], 16) for words in workers]
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, err) == (130, b"", b"vnicheck: interrupted\n")
    assert blocked
    assert all(mask & 1 << signal.SIGINT - 1 for mask in blocked)


def _workers_of(pid: int) -> list[str]:
    """What the kernel says of its children that are workers, be they just begun."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    workers = [Path(f"/proc/{child}") for child in children]
    return [(each / "status").read_text() for each in workers if b"spawn_main" in (each / "cmdline").read_bytes()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_being_written_is_written_whole(files: Path, number: signal.Signals) -> None:
    with _started("analyze", "--snapshot", str(files / "broken.json"), "-f", "json") as process:
        assert process.stdout is not None
        begun = os.read(process.stdout.fileno(), 1)  # more than a pipe holds: the rest waits for us
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (130, b"vnicheck: interrupted\n")
    assert json.loads(begun + out)["complete"] is True
