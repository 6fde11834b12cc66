"""`--ssh openssh`: the system's ssh against real sshds and against peers that are none, beside our own client."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.patience import ends_in_time
from tests.support.ssh_client import WEB, options_for
from tests.support.ssh_standin import SshStandIn, hangs, prints
from tests.support.sshd import Sshd, generate_key, refusing_port, require
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.fleet import collect_many
from vnicheck.guest.ssh.openssh import OpenSshRunner, make_runner
from vnicheck.guest.ssh.options import SshOptions, SshTarget
from vnicheck.guest.ssh.runner import SshRunner
from vnicheck.model.guest import Guest

Start = Callable[..., Sshd]
Known = Callable[..., Path]
NONE = Path("none")


def by_ssh(server: Sshd, known_hosts: Path, **changes: Any) -> SshOptions:
    require("ssh")
    return options_for(server, known_hosts, **({"openssh": True, "config_file": NONE} | changes))


def collected(options: SshOptions, target: SshTarget = WEB) -> bytes:
    with make_runner(options) as runner:
        return runner.collect(target)


def refused(options: SshOptions, target: SshTarget = WEB) -> CollectionError:
    with pytest.raises(CollectionError) as caught:
        collected(options, target)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 500
    return caught.value


@contextmanager
def listener(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on loopback that treats each connection with `answer`; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_the_same_script_gives_the_same_guest(start_sshd: Start, known: Known) -> None:
    server = start_sshd()
    ours, theirs = (
        read_guest(collected(options), via="ssh")
        for options in (options_for(server, known(server), config_file=NONE), by_ssh(server, known(server)))
    )
    assert [each.name for each in theirs.interfaces] == [each.name for each in ours.interfaces]
    assert set(theirs.sysctls) == set(ours.sysctls)
    assert theirs.missing == ours.missing == {}
    assert server.sessions() == server.connections() == 2


def test_many_at_once_and_one_failure_touches_no_other(start_sshd: Start, known: Known, tmp_path: Path) -> None:
    server = start_sshd(config=("MaxStartups 100",))
    config = tmp_path / "config"
    config.write_text(f"Host gone\n  Port {refusing_port()}\nHost web-*\n  Port {server.port}\n")
    names = ("web-1", "gone", "web-2", "web-3")
    targets = [SshTarget(name=name, address="127.0.0.1", id=name) for name in names]
    found = collect_many(targets, by_ssh(server, known(server), config_file=config, port=None))
    assert {name: isinstance(found[name], Guest) for name in names} == {name: name != "gone" for name in names}
    assert getattr(found["gone"], "code", None) == "ssh_refused"


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    # the sshd, the options, and the code
    "wrong-key": ({}, {"identities": "other"}, "ssh_auth"),
    "too-many-keys": ({"config": ("MaxAuthTries 1",)}, {"identities": "others"}, "ssh_auth_limit"),
    "password": (
        {"config": ("PasswordAuthentication yes", "PubkeyAuthentication no")},
        {},
        "ssh_password_needed",
    ),
    "kex": ({"config": ("KexAlgorithms diffie-hellman-group1-sha1",)}, {}, "ssh_kex"),
    "sessions": ({"config": ("MaxSessions 0",)}, {}, "ssh_session"),
    "flood": ({"force_command": "yes"}, {"max_output": 1 << 20}, "ssh_output_limit"),
    "flood-of-errors": ({"force_command": "yes >&2"}, {"max_output": 1 << 20}, "ssh_output_limit"),
    "silent": ({"force_command": "sleep 90"}, {"timeout": 1.5}, "ssh_timeout"),
    "dripping": ({"force_command": "while :; do echo x; sleep 0.2; done"}, {"timeout": 1.5}, "ssh_timeout"),
    "leaves": ({"force_command": "sleep 90 & sh -s"}, {"timeout": 1.5}, "ssh_timeout"),
    "nologin": ({"force_command": "/usr/sbin/nologin"}, {}, "ssh_nologin"),
    "truncated": ({"force_command": "sh -s | head -n 20"}, {}, "guest_truncated"),
    "forced": ({"force_command": "cat >/dev/null; echo backup ok"}, {}, "ssh_forced_command"),
    "hostile": ({"force_command": r"printf '\033[2J[red]x\n' >&2; exit 3"}, {}, "ssh_exec"),
    "status-255": ({"force_command": r"printf '\033[2JPermission denied (x\n' >&2; exit 255"}, {}, "ssh_auth"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_faults_have_the_codes_that_they_have_with_our_own_client(
    name: str, start_sshd: Start, known: Known, tmp_path: Path
) -> None:
    arguments, changes, code = CASES[name]
    server = start_sshd(**arguments)
    keys = {"other": ("a",), "others": ("a", "b", "c")}
    if "identities" in changes:
        made = tuple(generate_key(tmp_path / key) for key in keys[changes["identities"]])
        changes = changes | {"identities": made}
    with ends_in_time():
        error = refused(by_ssh(server, known(server), **changes))
        assert error.code == code, error.message
        assert "web-1 (127.0.0.1" in error.message
    if name not in {"status-255", "too-many-keys", "kex"}:  # of which ours has its own words, or takes it for a status
        own = options_for(server, known(server), config_file=NONE, **changes)
        with SshRunner(own) as runner, pytest.raises(CollectionError) as ours:
            runner.collect(WEB)
        assert ours.value.code == code


def test_host_keys(start_sshd: Start, known: Known, tmp_path: Path) -> None:
    server, other = start_sshd(), start_sshd("other")
    empty = tmp_path / "empty"
    assert refused(by_ssh(server, empty)).code == "ssh_host_key_unknown"
    assert not empty.exists()
    changed = tmp_path / "changed"
    changed.write_text(other.known_hosts_line(f"[127.0.0.1]:{server.port}"))
    error = refused(by_ssh(server, changed, accept_new_host_keys=True))
    assert error.code == "ssh_host_key_changed"
    assert f"ssh-keygen -R '[127.0.0.1]:{server.port}'" in error.message
    revoked = tmp_path / "revoked"
    line = server.known_hosts_line()
    revoked.write_text(f"{line}@revoked * {line.partition(' ')[2]}")
    assert refused(by_ssh(server, revoked)).code == "ssh_host_key_revoked"
    assert server.sessions() == 0
    assert collected(by_ssh(server, empty, accept_new_host_keys=True))
    assert f"[127.0.0.1]:{server.port}" in empty.read_text()
    config = tmp_path / "config"
    config.write_text("Host *\n  StrictHostKeyChecking no\n")
    assert refused(by_ssh(server, tmp_path / "none", config_file=config)).code == "ssh_host_key_unknown"
    config.write_text("Host *\n  StrictHostKeyChecking accept-new\n")
    assert collected(by_ssh(server, tmp_path / "new", config_file=config))


def silent(connection: socket.socket) -> None:
    time.sleep(30)


def says(data: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        with connection:
            connection.sendall(data)
            connection.recv(100)

    return answer


@pytest.mark.long(2)
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (silent, "ssh_banner"),
        (
            says(b"HTTP/1.1 400 Bad \x1b[2JRequest\r\n\r\n"),
            "ssh_throttled",
        ),  # ssh tells no more than that it was closed
        (says(b"220 mail.example ESMTP\r\n" * 3000), "ssh_not_ssh"),
        (lambda connection: connection.close(), "ssh_throttled"),
    ],
)
def test_peers_that_are_no_ssh_servers(
    answer: Callable[[socket.socket], None], code: str, start_sshd: Start, known: Known
) -> None:
    server = start_sshd()
    with listener(answer) as port:
        options = by_ssh(server, known(server), port=port, connect_timeout=1.0, timeout=3.0)
        with ends_in_time():
            assert refused(options).code == code
    assert refused(msgspec.structs.replace(options, port=refusing_port())).code == "ssh_refused"


def test_servers_that_run_nothing_or_never_end(tmp_path: Path) -> None:
    peers: dict[str, dict[str, Any]] = {
        "ssh_exec_refused": {},
        "ssh_timeout": {"run": hangs},
        "guest_truncated": {"run": prints(b"vnicheck-guest/1 begin\n")},
    }
    for code, arguments in peers.items():
        with SshStandIn(tmp_path / code, **arguments) as standin:
            (tmp_path / "known").write_text(standin.known_hosts_line())
            options = SshOptions(
                openssh=True, config_file=NONE, user="root", port=standin.port, timeout=2.0,
                identities=(generate_key(tmp_path / f"{code}.key"),), known_hosts=(tmp_path / "known",),
            )  # fmt: skip
            assert refused(options).code == code


def test_the_users_configuration_applies_by_name_and_by_address(
    start_sshd: Start, known: Known, tmp_path: Path
) -> None:
    server = start_sshd()
    config = tmp_path / "config"
    lines = f"  Port {server.port}\n  User {server.user}\n  IdentityFile {server.client_key}\n"
    options = SshOptions(openssh=True, config_file=config, known_hosts=(known(server),), timeout=20.0)
    moved = SshTarget(name="web-1", address="127.0.0.2")  # where nothing listens on that port
    for entry, target in (
        (f"Host web-*\n{lines}", WEB),
        (f"Host 127.0.0.1\n{lines}", WEB),
        (f"Host web-1\n  HostName 127.0.0.1\n{lines}", moved),
        (f"Host *\n{lines}", WEB),
        (f"Host *\n{lines}", SshTarget(name="-oProxyCommand=touch RAN", address="127.0.0.1")),
    ):
        config.write_text(entry)
        assert collected(options, target), entry
    config.write_text(f"Host nobody\n{lines}")
    assert refused(options, WEB).code in {"ssh_refused", "ssh_auth", "ssh_host_key_unknown"}


def test_a_jump_host_and_a_proxy_of_the_users_configuration(start_sshd: Start, known: Known, tmp_path: Path) -> None:
    server, jump = start_sshd(), start_sshd("jump")
    config, both = tmp_path / "config", known(server, jump)
    login = f"  User {server.user}\n  IdentityFile {server.client_key}\n  UserKnownHostsFile {both}\n"
    jumping = f"Host bastion\n  HostName 127.0.0.1\n  Port {jump.port}\n{login}"
    web = f"Host web-1\n  Port {server.port}\n{login}"
    options = SshOptions(openssh=True, config_file=config, timeout=20.0)
    config.write_text(f"{jumping}{web}  ProxyJump bastion\n")
    assert collected(options)
    assert (server.sessions(), jump.connections()) == (1, 1)
    config.write_text(jumping + web)
    assert collected(msgspec.structs.replace(options, jump="bastion"))
    assert jump.connections() == 2
    config.write_text(f"{web}  ProxyCommand nc 127.0.0.1 {server.port}\n".replace("nc 127.0.0.1", _connector(tmp_path)))
    assert collected(options)
    config.write_text(f"{jumping.replace(str(jump.port), str(refusing_port()))}{web}  ProxyJump bastion\n")
    assert refused(options).code in {"ssh_refused", "ssh_throttled"}


def _connector(folder: Path) -> str:
    """A command that connects standard streams to a port of loopback: `nc` is not everywhere."""
    place = folder / "connector"
    place.write_text(
        "import os, socket, sys, threading\n"
        "peer = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
        "def pump():\n while data := os.read(0, 65536): peer.sendall(data)\n"
        "threading.Thread(target=pump, daemon=True).start()\n"
        "while data := peer.recv(65536): os.write(1, data)\n"
    )
    return f"{shutil.which('python3')} {place}"


def test_what_the_configuration_wants_beside_a_command_is_not_done(
    start_sshd: Start, known: Known, tmp_path: Path
) -> None:
    server = start_sshd()
    config = tmp_path / "config"
    config.write_text(
        f"Host *\n  RemoteCommand touch {tmp_path}/remote\n  PermitLocalCommand yes\n"
        f"  LocalCommand touch {tmp_path}/local\n  RequestTTY force\n  LocalForward {server.port} 127.0.0.1:1\n"
    )
    assert collected(by_ssh(server, known(server), config_file=config))
    assert not (tmp_path / "remote").exists()
    assert not (tmp_path / "local").exists()


def test_configurations_and_keys_that_are_refused(start_sshd: Start, known: Known, tmp_path: Path) -> None:
    server = start_sshd()
    config = tmp_path / "config"
    config.write_text("Host *\n  Frobnicate yes\n")
    error = refused(by_ssh(server, known(server), config_file=config))
    assert (error.code, "frobnicate" in error.message.lower()) == ("ssh_config", True)
    assert refused(by_ssh(server, known(server), config_file=tmp_path / "gone")).code == "ssh_config"
    broken = tmp_path / "broken"
    broken.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n-----END OPENSSH PRIVATE KEY-----\n")
    broken.chmod(0o600)
    assert refused(by_ssh(server, known(server), identities=(broken,))).code == "ssh_key_unreadable"
    sealed = generate_key(tmp_path / "sealed", passphrase="secret")
    with ends_in_time():
        assert refused(by_ssh(server, known(server), identities=(sealed,))).code == "ssh_auth"  # it asks nobody


def test_closing_ends_what_still_runs_and_nothing_is_left(start_sshd: Start, known: Known) -> None:
    server = start_sshd(force_command="sleep 90")
    runner = OpenSshRunner(by_ssh(server, known(server), timeout=60.0))
    timer = threading.Timer(1.0, runner.close)
    timer.start()
    with ends_in_time():
        with pytest.raises(CollectionError):
            runner.collect(WEB)
        timer.join()
    mine = f"-p\0{server.port}\0".encode()
    left = [place for place in Path("/proc").glob("[0-9]*/cmdline") if mine in _read(place)]
    assert left == []


def test_ssh_ends_with_us_also_where_we_are_killed(start_sshd: Start, known: Known, tmp_path: Path) -> None:
    server = start_sshd(force_command="sleep 90")
    options = by_ssh(server, known(server), timeout=60.0)
    code = (
        "import sys, msgspec; from pathlib import Path; from vnicheck.guest.ssh.openssh import OpenSshRunner; "
        "from vnicheck.guest.ssh.options import SshOptions, SshTarget; "
        "given = msgspec.convert(msgspec.json.decode(sys.argv[1]), SshOptions, dec_hook=lambda kind, it: kind(it)); "
        "OpenSshRunner(given).collect(SshTarget(name='web-1', address='127.0.0.1', id='web-1'))"
    )
    given = msgspec.json.encode(options, enc_hook=str).decode()
    program = subprocess.Popen([sys.executable, "-c", code, given])
    mine = f"-p\0{server.port}\0".encode()

    def running() -> list[Path]:
        return [place for place in Path("/proc").glob("[0-9]*/cmdline") if mine in _read(place)]

    assert _eventually(lambda: bool(running()) and server.sessions() == 1)
    program.kill()
    program.wait(10)
    assert _eventually(lambda: not running())


def _eventually(so: Callable[[], bool], seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while not so() and time.monotonic() < end:
        time.sleep(0.1)
    return so()


def _read(place: Path) -> bytes:
    """A file of /proc; nothing where the process has ended."""
    try:
        return place.read_bytes()
    except OSError:
        return b""


def test_a_connection_that_is_shared_is_used_and_none_is_left_behind(
    start_sshd: Start, known: Known, tmp_path: Path
) -> None:
    """As where a login asks for a one-time code: it is opened by hand, and afterwards no key is taken any more."""
    server = start_sshd()
    config, socket_path = tmp_path / "config", Path("/tmp") / f"vt-{os.getpid()}-{server.port}"
    config.write_text(
        f"Host web-1\n  HostName 127.0.0.1\n  Port {server.port}\n  User {server.user}\n"
        f"  IdentityFile {server.client_key}\n  UserKnownHostsFile {known(server)}\n"
        f"  ControlPath {socket_path}\n  ControlMaster auto\n  ControlPersist 60\n"
    )
    options = SshOptions(openssh=True, config_file=config, timeout=20.0)
    assert collected(options)
    assert not socket_path.exists()
    subprocess.run(["ssh", "-F", str(config), "-MNf", "web-1"], check=True, timeout=20, stderr=subprocess.DEVNULL)
    try:
        server.authorized_keys.write_text("")
        assert collected(options)
        assert socket_path.exists()
        assert server.connections() == 2
    finally:
        subprocess.run(["ssh", "-F", str(config), "-O", "exit", "web-1"], check=True, timeout=20, capture_output=True)
    assert refused(options).code == "ssh_auth"


def test_files_whose_names_ssh_would_read_otherwise(start_sshd: Start, tmp_path: Path) -> None:
    folder = tmp_path / "a b%h"
    folder.mkdir()
    server = start_sshd()
    (folder / "known hosts").write_text(server.known_hosts_line())
    key = folder / "key %u"
    shutil.copy(server.client_key, key)
    assert collected(by_ssh(server, folder / "known hosts", identities=(key,)))
    error = refused(by_ssh(server, Path('a"b')))
    assert (error.code, "rename it" in error.message) == ("ssh_config", True)


def test_without_ssh_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CollectionError, match="there is no program ssh here"):
        make_runner(SshOptions(openssh=True))
    assert os.environ["PATH"] == "/nowhere"


def test_the_host_key_of_a_jump_host_is_checked_as_the_servers_is(
    start_sshd: Start, known: Known, tmp_path: Path
) -> None:
    """By itself ssh asks the configuration alone, which may say not to check; nor are its keys written down."""
    server, jump = start_sshd(), start_sshd("jump")
    config, written = tmp_path / "config", tmp_path / "written"
    lax = f"Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile {written}\n"
    login = f"  User {jump.user}\n  IdentityFile {jump.client_key}\n"
    config.write_text(f"Host bastion\n  HostName 127.0.0.1\n  Port {jump.port}\n{login}{lax}")
    options = by_ssh(server, known(server), config_file=config, jump="bastion")
    assert refused(options).code == "ssh_host_key_unknown"
    assert not written.exists()
    assert server.connections() == 0
    config.write_text(config.read_text().replace("Host *\n", "Host web-1\n  ProxyJump bastion\nHost *\n", 1))
    assert refused(by_ssh(server, known(server), config_file=config)).code == "ssh_host_key_unknown"
    assert not written.exists()
    assert collected(by_ssh(server, known(server, jump), config_file=config))


def test_a_path_made_of_the_name_makes_no_entry_of_its_own(tmp_path: Path) -> None:
    """ssh -G puts names into ControlPath: that alone is no reason to leave the address's own entry aside."""
    config = tmp_path / "config"
    config.write_text(f"Host 10.*\n  User jumper\nHost *\n  ControlPath {tmp_path}/cm-%C\n")
    runner = OpenSshRunner(SshOptions(openssh=True, config_file=config))
    words, hop = runner._destination(SshTarget(name="web-1", address="10.0.0.4", id="web-1"))
    assert (words[-1], hop.user) == ("10.0.0.4", "jumper")


@pytest.mark.parametrize("jump", ["-oProxyCommand=x", "a b", "x;id", "$(id)", "u`id`@h", "a,b,-c"])
def test_a_jump_host_is_no_option_and_no_command(jump: str, tmp_path: Path) -> None:
    error = refused(SshOptions(openssh=True, config_file=NONE, jump=jump))
    assert error.code == "ssh_config"
