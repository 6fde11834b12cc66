"""Every fault of SSH at once, beside healthy servers: the right code and message, in bounded time, nobody else harmed.

Real sshds where one can be brought to it: a single one with a passwd file of its own, so that each user has another
login shell or forced command. Stand-ins for what no sshd does.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.support import patience
from tests.support.patience import ends_in_time
from tests.support.ssh_standin import SshStandIn, cuts_off, floods, hangs, prints
from tests.support.sshd import Sshd, generate_key, refusing_port, require, require_root
from vnicheck.guest.errors import CODES
from vnicheck.guest.fleet import Calls, Result, collect_many
from vnicheck.guest.ssh.options import SshOptions, SshTarget
from vnicheck.model.guest import NO_PROC, Guest
from vnicheck.model.snapshot import Problem

CONNECT, TOTAL = 2.5, 9.0
"""Seconds: the options' two limits."""
PASSWORD = "right horse"
HEALTHY = "healthy"

BEGUN = b"vnicheck-guest/1 begin\n+ date date -u\n|2026-11-23T07:35:16Z\n- date 0\n"
FORGED = "printf 'vnicheck-guest/1 begin\\n+ rules x\\n|0: from all lookup local\\n- rules 0\\nvnicheck-guest/1 end\\n'"
NOISE = r"printf 'Welcome!\r\n\033[2J\033]0;owned\007 [red]bold[/red] \342\200\256gnihton\n'"

USERS: dict[str, tuple[str, str | None, str, str]] = {
    # name: login shell, forced command, what it comes to, words of the message
    "sh": ("/bin/sh", None, HEALTHY, ""),
    "bash": ("/bin/bash", None, HEALTHY, ""),
    "fish": ("/usr/bin/fish", None, HEALTHY, ""),
    "tcsh": ("/usr/bin/tcsh", None, HEALTHY, ""),
    "zsh": ("/usr/bin/zsh", None, HEALTHY, ""),
    "mksh": ("/usr/bin/mksh", None, HEALTHY, ""),
    "busybox": ("/bin/sh", "exec busybox ash -s", HEALTHY, ""),
    "motd": ("/bin/sh", f"{NOISE}; {NOISE} >&2; sh -s", HEALTHY, ""),
    "forger": ("/bin/sh", f"{FORGED}; sh -s; {FORGED} | grep -v end", HEALTHY, ""),
    "german": ("/bin/sh", "LANG=de_DE.UTF-8 LC_ALL=de_DE.UTF-8 LANGUAGE=de sh -s", HEALTHY, ""),
    "nologin": ("/usr/sbin/nologin", None, "ssh_nologin", "not available"),
    "false": ("/bin/false", None, "ssh_nologin", "--ssh-user"),
    "restricted": ("RESTRICTED", None, "ssh_no_shell", "restricted"),
    "forced": ("/bin/sh", "cat >/dev/null; echo backup ok", "ssh_forced_command", "backup ok"),
    "sftp": ("/bin/sh", "internal-sftp", "ssh_nologin", "sftp"),
    "appliance": ("/bin/sh", r"printf '%%Invalid input\033[2J\n'; exit 3", "ssh_exec", "Invalid input"),
    "floods": ("/bin/sh", "yes", "ssh_output_limit", "bytes"),
    "floods-errors": ("/bin/sh", "yes >&2", "ssh_output_limit", "bytes"),
    "binary": ("/bin/sh", "cat >/dev/null; head -c 100000 /dev/urandom", "ssh_forced_command", "collect"),
    "truncated": ("/bin/sh", "sh -s | head -n 30", "guest_truncated", "again"),
    "hangs": ("/bin/sh", "sleep 90", "ssh_timeout", "--timeout"),
    "drips": ("/bin/sh", "while :; do echo tick; sleep 0.2; done", "ssh_timeout", "--timeout"),
    "leaves": ("/bin/sh", "sleep 90 & sh -s", "ssh_timeout", "--timeout"),
    "no-ip": ("/bin/sh", "sed s,:/sbin:/usr/sbin,, | PATH=TOOLS dash -s", "guest_no_ip", "iproute2"),
    "no-proc": ("/bin/sh", "unshare -m sh -c 'mount -t tmpfs none /proc; exec sh -s'", "guest_no_proc", ""),
    "freebsd": (
        "/bin/sh",
        "sed -e s,:/sbin:/usr/sbin,, -e s,/proc/,/no-proc/,g | PATH=FREEBSD:TOOLS dash -s",
        "guest_not_linux",
        "FreeBSD",
    ),
    "wrong-clock": ("/bin/sh", "sh -s | sed 's/^|20[0-9-]*T\\([0-9:]*\\)Z$/|2031-01-01T\\1Z/'", "clock", ""),
    "non-utf8": ("/bin/sh", r"sh -s | sed 's/^|PRETTY_NAME=.*/|PRETTY_NAME=\o377\o376 Linux/'", HEALTHY, ""),
}
"""Users of the one sshd: real logins, real shells."""


class Fault(Struct, frozen=True):
    """A server, what it comes to, the words of its message, and its lines of the SSH configuration."""

    outcome: str
    words: str
    config: str
    address: str = "127.0.0.1"


class Stage:
    """The servers, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: dict[str, Fault] = {}
        self.known: list[str] = []
        self.standins: dict[str, SshStandIn] = {}
        self.make_room: Callable[[], None] = lambda: None

    def add(self, name: str, outcome: str, words: str, config: str, address: str = "127.0.0.1") -> None:
        self.faults[name] = Fault(outcome, words, config, address)

    def targets(self) -> list[SshTarget]:
        return [SshTarget(name=name, address=fault.address) for name, fault in self.faults.items()]

    def options(self, **changes: Any) -> SshOptions:
        config, known_hosts = self.folder / "config", self.folder / "known_hosts"
        config.write_text("".join(f"Host {name}\n{fault.config}\n" for name, fault in self.faults.items()))
        known_hosts.write_text("".join(self.known))
        values: dict[str, Any] = {
            "config_file": config,
            "known_hosts": (known_hosts,),
            "connect_timeout": CONNECT,
            "timeout": TOTAL,
            "max_output": 1 << 20,
        }
        return SshOptions(**(values | changes))


def listener(answer: Callable[[socket.socket], None]) -> socket.socket:
    """A TCP server that treats each connection with `answer`, several at a time."""
    server = socket.create_server(("127.0.0.1", 0))

    def treat(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            answer(connection)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=treat, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return server


def endless(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"please wait\r\n")
        time.sleep(0.05)


def one_endless_line(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"A" * 65536)


def http(connection: socket.socket) -> None:
    connection.recv(100)
    connection.sendall(b"HTTP/1.1 400 Bad \x1b[2JRequest\r\nConnection: close\r\n\r\n")


def mail(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example ESMTP\r\n")
    time.sleep(90)


def silent_kex(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-Hung\r\n")
    time.sleep(90)


def huge_packet(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-Huge\r\n\xff\xff\xff\xf4" + b"A" * 100_000)
    time.sleep(90)


def users_sshd(folder: Path, key: Path) -> Sshd:
    """One sshd in whose world the USERS exist, all of them with root's number."""
    require("dash", "bash", "busybox", "fish", "tcsh", "zsh", "mksh", "unshare", "rbash")
    require_root()
    home, tools, freebsd = folder / "home", folder / "tools", folder / "freebsd"
    for place in (home, tools, freebsd):
        place.mkdir()
    (home / ".bashrc").write_text(f"{NOISE}\n{FORGED} | head -n 3\n")
    (home / ".profile").write_text(f"{NOISE}\n")
    (home / ".cshrc").write_text("echo profile of csh\n")
    (home / ".zshenv").write_text("echo profile of zsh\n")
    for name in ("sed", "grep", "cat", "uname", "date", "head"):
        (tools / name).symlink_to("/bin/busybox")
    (tools / "dash").symlink_to("/bin/dash")
    (freebsd / "uname").write_text("#!/bin/dash\necho FreeBSD\n")
    (freebsd / "uname").chmod(0o755)
    restricted = folder / "rbash"  # a restricted shell as hosters set it up: no program at all is in its path
    restricted.write_text('#!/bin/bash\nPATH=/nowhere exec -a rbash /bin/bash --norc -r "$@"\n')
    restricted.chmod(0o755)
    lines, blocks = [Path("/etc/passwd").read_text()], []
    for name, (shell, command, _, _) in USERS.items():
        lines.append(f"vt-{name}:x:0:0::{home}:{restricted if shell == 'RESTRICTED' else shell}\n")
        if command is not None:
            forced = command.replace("TOOLS", str(tools)).replace("FREEBSD", str(freebsd))
            blocks.append(f"Match User vt-{name}\n  ForceCommand {forced}\n")
    passwd = folder / "passwd"
    passwd.write_text("".join(lines))
    mount = f'mount --bind {passwd} /etc/passwd && exec "$@"'
    server = Sshd(
        folder / "users",
        client_key=key,
        prefix=("unshare", "-m", "--propagation", "private", "sh", "-c", mount, "sh"),
        config=("MaxStartups 100", "MaxSessions 10"),
    )
    with server.config_path.open("a") as file:
        file.writelines(blocks)
    return server


def blackhole(stack: ExitStack) -> int:
    """A port whose queue is full, so that further connections are never answered."""
    server = stack.enter_context(socket.socket())
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    for _ in range(4):
        filler = stack.enter_context(socket.socket())
        filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            filler.connect(server.getsockname())
    return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    require("sshd", "ssh-keygen")
    folder = tmp_path_factory.mktemp("matrix")
    key = generate_key(folder / "client")
    stage = Stage(folder)
    with ExitStack() as stack:
        _tcp_faults(stage, stack)
        _key_faults(stage, stack, key)
        _users(stage, stack, key)
        _standins(stage, stack, key)
        yield stage


def _tcp_faults(stage: Stage, stack: ExitStack) -> None:
    stage.add("refused", "ssh_refused", "port", f"Port {refusing_port()}")
    stage.add("no-answer", "ssh_no_answer", "--jump", f"Port {blackhole(stack)}")
    stage.add("no-name", "ssh_dns", "resolves", "HostName no-such-host.invalid")
    stage.add("unreachable", "ssh_unreachable", "--jump", "", address="224.0.0.1")
    stage.add("odd-address", "ssh_config", "address", "", address="$(touch /tmp/owned)")
    stage.add("jump-down", "ssh_refused", "jump host", f"ProxyJump 127.0.0.1:{refusing_port()}")
    answers: dict[str, tuple[Callable[[socket.socket], None], str, str]] = {
        "silent": (lambda connection: time.sleep(90), "ssh_banner", "--ssh-port"),
        "endless": (endless, "ssh_banner_endless", "please wait"),
        "endless-line": (one_endless_line, "ssh_banner_endless", "--ssh-port"),
        "http": (http, "ssh_not_ssh", "HTTP/1.1 400 Bad"),
        "mail": (mail, "ssh_not_ssh", "220 mail.example"),
        "silent-kex": (silent_kex, "ssh_kex_timeout", "--connect-timeout"),
        "huge-packet": (huge_packet, "ssh_protocol", "larger"),
        "drops": (lambda connection: None, "ssh_throttled", "MaxStartups"),
    }
    for name, (answer, code, words) in answers.items():
        server = stack.enter_context(listener(answer))
        stage.add(name, code, words, f"Port {server.getsockname()[1]}")


def _key_faults(stage: Stage, stack: ExitStack, key: Path) -> None:
    folder = stage.folder
    others = [generate_key(folder / f"other-{number}") for number in range(3)]
    encrypted = generate_key(folder / "encrypted", passphrase="open sesame")
    plain = stack.enter_context(Sshd(folder / "plain", client_key=key, config=("MaxStartups 100",)))
    strict = stack.enter_context(Sshd(folder / "strict", client_key=key, config=("MaxAuthTries 2",)))
    modern = Sshd(folder / "modern", client_key=key, config=("KexAlgorithms sntrup761x25519-sha512@openssh.com",))
    stack.enter_context(modern)
    sessions = stack.enter_context(Sshd(folder / "sessions", client_key=key, config=("MaxSessions 0",)))
    revoked = stack.enter_context(Sshd(folder / "revoked", client_key=key))
    changed = stack.enter_context(Sshd(folder / "changed", client_key=key))
    unknown = stack.enter_context(Sshd(folder / "unknown", client_key=key))
    busy = stack.enter_context(Sshd(folder / "busy", client_key=key, config=("MaxStartups 1:100:1",)))
    freed = stack.enter_context(Sshd(folder / "freed", client_key=key, config=("MaxStartups 1:100:1",)))
    windows = Sshd(
        folder / "windows", client_key=key, config=("VersionAddendum for_Windows_9.5",), force_command="exit 1"
    )
    stack.enter_context(windows)
    hogs = [stack.enter_context(socket.create_connection(("127.0.0.1", each.port))) for each in (busy, freed)]
    for hog in hogs:  # a login under way, and there is no room for another
        hog.recv(20)
    stage.make_room = hogs[1].close
    with_key = f"IdentityFile {key}"
    for name, server, outcome, words, more in (
        ("healthy-1", plain, HEALTHY, "", with_key),
        ("healthy-2", plain, HEALTHY, "", with_key),
        ("healthy-3", plain, HEALTHY, "", with_key),
        ("wrong-key", plain, "ssh_auth", "--ssh-user", f"IdentityFile {others[0]}"),
        ("no-key", plain, "ssh_auth", "none to offer", "IdentityFile none"),
        ("encrypted", plain, "ssh_key_encrypted", "ssh-add", f"IdentityFile {encrypted}"),
        ("missing-agent", plain, "ssh_agent", "ssh-add", f"IdentityAgent {folder}/gone\nIdentityFile none"),
        ("many-keys", strict, "ssh_auth_limit", "IdentitiesOnly", "\n".join(f"IdentityFile {o}" for o in others)),
        ("kex", modern, "ssh_kex", "algorithms", with_key),
        ("sessions", sessions, "ssh_session", "MaxSessions", with_key),
        ("revoked", revoked, "ssh_host_key_revoked", "keep away", with_key),
        ("changed", changed, "ssh_host_key_changed", "ssh-keygen -R", with_key),
        ("unknown", unknown, "ssh_host_key_unknown", "ssh-keyscan", with_key),
        ("throttled", busy, "ssh_throttled", "MaxStartups", with_key),
        ("freed", freed, HEALTHY, "", with_key),
        ("windows", windows, "guest_not_linux", "Windows", with_key),
    ):
        stage.add(name, outcome, words, f"User {server.user}\nPort {server.port}\n{more}")
    stage.known += [
        each.known_hosts_line() for each in (plain, strict, modern, sessions, busy, freed, windows, revoked)
    ]
    stage.known.append("@revoked * " + revoked.known_hosts_line().partition(" ")[2])
    stage.known.append(plain.known_hosts_line(f"[127.0.0.1]:{changed.port}"))


def _users(stage: Stage, stack: ExitStack, key: Path) -> None:
    server = stack.enter_context(users_sshd(stage.folder, key))
    stage.known.append(server.known_hosts_line())
    for name, (_, _, outcome, words) in USERS.items():
        stage.add(name, outcome, words, f"User vt-{name}\nPort {server.port}\nIdentityFile {key}")


def _standins(stage: Stage, stack: ExitStack, key: Path) -> None:
    table: dict[str, tuple[dict[str, Any], str, str]] = {
        "password": ({"methods": "password", "password": PASSWORD, "run": prints(BEGUN)}, "guest_truncated", "again"),
        "interactive": (
            {"methods": "keyboard-interactive", "password": PASSWORD, "run": prints(BEGUN)},
            "guest_truncated",
            "again",
        ),
        "key-and-password": (
            {"key_then": "password", "password": PASSWORD, "run": prints(BEGUN)},
            "guest_truncated",
            "again",
        ),
        "wrong-password": ({"methods": "password", "password": "another"}, "ssh_password", "--ssh-user"),
        "one-time-code": (
            {"methods": "keyboard-interactive", "questions": (("Code: ", False), ("\x1b[2JPIN: ", False))},
            "ssh_interactive",
            "PIN:",
        ),
        "second-code": (
            {"methods": "keyboard-interactive", "questions": (("Code: ", True),)},
            "ssh_interactive",
            "Code:",
        ),
        "slow-login": ({"login_seconds": 20.0}, "ssh_auth_timeout", "--connect-timeout"),
        "no-exec": ({}, "ssh_exec_refused", "--guest"),
        "no-status": ({"run": prints(BEGUN, None)}, "ssh_closed", "again"),
        "cut-off": ({"run": cuts_off(BEGUN)}, "ssh_closed", "again"),
        "ignores-window": ({"run": floods}, "ssh_output_limit", "bytes"),
        "never-prints": ({"run": hangs}, "ssh_timeout", "--timeout"),
    }
    for name, (arguments, outcome, words) in table.items():
        standin = stack.enter_context(SshStandIn(stage.folder / name, **arguments))
        stage.standins[name] = standin
        stage.known.append(standin.known_hosts_line())
        stage.add(name, outcome, words, f"User root\nPort {standin.port}\nIdentityFile {key}")


class Run(Struct):
    """What one run over all of them came to."""

    results: dict[str, Result]
    seconds: float
    asked: list[str]


@pytest.fixture(scope="module")
def run(stage: Stage) -> Run:
    asked: list[str] = []

    def ask() -> str:
        asked.append("password")
        return PASSWORD

    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("SSH_AUTH_SOCK", raising=False)
        threading.Timer(1.0, stage.make_room).start()
        started = time.monotonic()
        results = collect_many(stage.targets(), stage.options(), Calls(ask_password=ask), jobs=100)
        return Run(results, time.monotonic() - started, asked)


def outcome_of(result: Result) -> str:
    if isinstance(result, Problem):
        return result.code
    if result.clock_offset is not None:
        return "clock"
    return "guest_no_proc" if result.missing.get("sysctls") == NO_PROC else HEALTHY


def test_every_server_comes_to_what_it_should(stage: Stage, run: Run) -> None:
    wrong = {
        name: (outcome_of(run.results[name]), getattr(run.results[name], "message", ""))
        for name, fault in stage.faults.items()
        if outcome_of(run.results[name]) != fault.outcome
    }
    assert wrong == {}


def test_all_in_the_time_of_the_slowest(run: Run) -> None:
    assert run.seconds < patience.SECONDS


def test_messages_are_one_plain_line_and_say_what_to_do(stage: Stage, run: Run) -> None:
    for name, fault in stage.faults.items():
        result = run.results[name]
        if isinstance(result, Problem):
            assert fault.words in result.message, (name, result.message)
            assert result.message.isprintable(), (name, result.message)
            assert len(result.message) < 500
            assert PASSWORD not in result.message


def test_healthy_servers_are_read_whole(stage: Stage, run: Run) -> None:
    healthy = [name for name, fault in stage.faults.items() if fault.outcome == HEALTHY]
    assert len(healthy) >= 14
    for name in healthy:
        guest = run.results[name]
        assert isinstance(guest, Guest), name
        assert guest.missing == {}, (name, guest.missing)
        assert "lo" in {interface.name for interface in guest.interfaces}
        assert any(rule.table == 254 for rule in guest.rules), name
        assert guest.os.name.isprintable()


def test_the_password_was_asked_for_once_and_offered_once(stage: Stage, run: Run) -> None:
    assert run.asked == ["password"]
    assert stage.standins["wrong-password"].attempts == {"publickey": 1, "password": 1}
    assert stage.standins["one-time-code"].attempts == {"publickey": 1, "keyboard-interactive": 1}


def test_a_clock_that_is_off_is_known(run: Run) -> None:
    guest = run.results["wrong-clock"]
    assert isinstance(guest, Guest)
    assert guest.collected_at.startswith("2031-01-01")
    assert guest.clock_offset is not None
    assert guest.clock_offset > 86400 * 365


def test_no_login_is_tried_twice(stage: Stage, run: Run) -> None:
    log = (stage.folder / "plain" / "sshd.log").read_text()
    assert log.count("Connection closed by authenticating user") == 4  # wrong-key, no-key, encrypted, missing-agent
    assert stage.standins["slow-login"].attempts == {"publickey": 1}


def test_without_a_password_its_want_is_told(stage: Stage) -> None:
    wanted = [target for target in stage.targets() if target.name in {"password", "interactive", "one-time-code"}]
    results = collect_many(wanted, stage.options())
    assert {outcome_of(result) for result in results.values()} == {"ssh_password_needed"}
    assert all("--ask-pass" in result.message for result in results.values() if isinstance(result, Problem))


def test_an_agent_that_does_not_answer_is_told(stage: Stage) -> None:
    path = stage.folder / "mute"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen()
        stage.add("mute-agent", "ssh_agent", "", stage.faults["wrong-key"].config + f"\nIdentityAgent {path}")
        with ends_in_time():
            (result,) = collect_many([SshTarget(name="mute-agent", address="127.0.0.1")], stage.options()).values()
        del stage.faults["mute-agent"]
    assert isinstance(result, Problem)
    assert result.code == "ssh_auth"
    assert "agent" in result.message


def test_the_matrix_holds_every_code(stage: Stage) -> None:
    elsewhere = {
        "guest_unreadable": "test_frames",
        "ssh_host_certificate": "test_certificates",
        "ssh_key_unreadable": "test_ssh",
        "ssh_known_hosts": "test_known_hosts",
        "ssh_password_needed": "above",
    }
    assert CODES.keys() - {fault.outcome for fault in stage.faults.values()} == elsewhere.keys()


def test_nothing_was_run_by_a_name(stage: Stage, run: Run) -> None:
    assert not Path("/tmp/owned").exists()
