"""The SSH collector against real sshds, and against peers that are none."""

import logging
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.patience import ends_in_time
from tests.support.ssh_client import WEB, collect, options_for
from tests.support.sshd import Sshd, free_port, generate_key, require, require_root
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.options import SshOptions, SshTarget
from vnicheck.guest.ssh.runner import SshRunner

Start = Callable[..., Sshd]
Known = Callable[..., Path]


def refused(options: SshOptions, target: SshTarget = WEB, **more: object) -> CollectionError:
    """The error of a collection that must fail; its message is one line that names the target."""
    with pytest.raises(CollectionError) as caught:
        collect(target, options, **more)  # type: ignore[arg-type]
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500
    return caught.value


@contextmanager
def tcp_server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on loopback that treats each connection with `answer`; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        answer(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_collects_in_one_session(start_sshd: Start, known: Known) -> None:
    server = start_sshd()
    data = collect(WEB, options_for(server, known(server)))
    guest = read_guest(data, via="ssh")
    assert {"lo"} <= {interface.name for interface in guest.interfaces}
    assert guest.missing == {}
    assert guest.sysctls["net/ipv4/conf/all/rp_filter"] >= 0
    assert server.sessions() == 1
    assert server.connections() == 1


def test_wrong_key(start_sshd: Start, known: Known, tmp_path: Path) -> None:
    server = start_sshd()
    other = generate_key(tmp_path / "other")
    error = refused(options_for(server, known(server), identities=(other,)))
    assert error.code == "ssh_auth"
    assert "-i" in error.message
    assert server.sessions() == 0


def test_too_many_keys(start_sshd: Start, known: Known, tmp_path: Path) -> None:
    server = start_sshd(config=("MaxAuthTries 2",))
    others = tuple(generate_key(tmp_path / f"key{number}") for number in range(4))
    error = refused(options_for(server, known(server), identities=(*others, server.client_key)))
    assert error.code == "ssh_auth_limit"
    assert "ended the connection" in error.message
    assert "-i" in error.message


def test_closing_ends_what_still_runs(start_sshd: Start, known: Known) -> None:
    server = start_sshd(force_command="sleep 90")
    runner = SshRunner(options_for(server, known(server)))
    timer = threading.Timer(0.5, runner.close)
    timer.start()
    with ends_in_time():
        with pytest.raises(CollectionError):
            runner.collect(WEB)
        timer.join()


def test_no_key_at_all(start_sshd: Start, known: Known) -> None:
    server = start_sshd()
    assert refused(options_for(server, known(server), identities=())).code == "ssh_auth"


def test_unknown_host_key_shows_the_way(start_sshd: Start, tmp_path: Path) -> None:
    server = start_sshd()
    error = refused(options_for(server, tmp_path / "none"))
    assert error.code == "ssh_host_key_unknown"
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(server.host_key) + ".pub"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split()[1] in error.message
    assert f"ssh-keyscan -p {server.port} 127.0.0.1" in error.message
    assert not (tmp_path / "none").exists()


def test_accept_new_writes_the_key_once(start_sshd: Start, tmp_path: Path) -> None:
    server = start_sshd()
    path = tmp_path / "made" / "known_hosts"
    collect(WEB, options_for(server, path, accept_new_host_keys=True))
    assert path.read_text() == server.known_hosts_line()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    collect(WEB, options_for(server, path, accept_new_host_keys=True))
    assert path.read_text() == server.known_hosts_line()
    collect(WEB, options_for(server, path))
    assert server.sessions() == 3


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_changed_host_key_is_never_accepted(start_sshd: Start, tmp_path: Path, kind: str) -> None:
    server = start_sshd()
    generate_key(tmp_path / "old", kind=kind)
    algorithm, blob = (tmp_path / "old.pub").read_text().split()[:2]
    path = tmp_path / "known_hosts"
    path.write_text(f"[127.0.0.1]:{server.port} {algorithm} {blob}\n")
    before = path.read_text()
    error = refused(options_for(server, path, accept_new_host_keys=True))
    assert error.code == "ssh_host_key_changed"
    assert "ssh-keygen -R" in error.message
    assert path.read_text() == before


def test_revoked_host_key(start_sshd: Start, tmp_path: Path) -> None:
    server = start_sshd()
    path = tmp_path / "known_hosts"
    path.write_text(server.known_hosts_line() + "@revoked * " + server.known_hosts_line().partition(" ")[2])
    assert refused(options_for(server, path, accept_new_host_keys=True)).code == "ssh_host_key_revoked"


def test_the_known_key_type_is_asked_for(start_sshd: Start, tmp_path: Path) -> None:
    generate_key(tmp_path / "second", kind="ecdsa")
    server = start_sshd(config=(f"HostKey {tmp_path / 'second'}",))
    kind, blob = (tmp_path / "second.pub").read_text().split()[:2]
    path = tmp_path / "known_hosts"
    path.write_text(f"[127.0.0.1]:{server.port} {kind} {blob}\n")
    assert collect(WEB, options_for(server, path))


class TestKeys:
    @pytest.fixture
    def encrypted(self, tmp_path: Path) -> Path:
        return generate_key(tmp_path / "encrypted", passphrase="open sesame")

    def test_passphrase_is_asked_for_once(self, start_sshd: Start, known: Known, encrypted: Path) -> None:
        server = start_sshd()
        server.authorized_keys.write_text((encrypted.parent / "encrypted.pub").read_text())
        asked: list[Path] = []

        def ask(path: Path) -> str:
            asked.append(path)
            return "open sesame"

        with SshRunner(options_for(server, known(server), identities=(encrypted,)), ask) as runner:
            assert runner.collect(WEB)
            assert runner.collect(WEB)
        assert asked == [encrypted]

    def test_nobody_to_ask(self, start_sshd: Start, known: Known, encrypted: Path) -> None:
        server = start_sshd()
        error = refused(options_for(server, known(server), identities=(encrypted,)))
        assert error.code == "ssh_key_encrypted"
        assert "ssh-add" in error.message

    def test_wrong_passphrase(self, start_sshd: Start, known: Known, encrypted: Path) -> None:
        server = start_sshd()
        error = refused(
            options_for(server, known(server), identities=(encrypted,)), ask_passphrase=lambda _: "hush-hush"
        )
        assert error.code == "ssh_key_encrypted"
        assert "hush" not in error.message

    def test_an_encrypted_default_key_does_not_stand_in_the_way(
        self, start_sshd: Start, known: Known, home: Path, encrypted: Path
    ) -> None:
        server = start_sshd()
        folder = home / ".ssh"
        folder.mkdir()
        (folder / "id_ed25519").write_bytes(encrypted.read_bytes())
        (folder / "id_rsa").write_bytes(server.client_key.read_bytes())
        assert collect(WEB, options_for(server, known(server), identities=()))
        (folder / "id_rsa").unlink()
        assert refused(options_for(server, known(server), identities=())).code == "ssh_key_encrypted"

    @pytest.mark.parametrize("content", [None, "", "not a key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
    def test_unreadable(self, start_sshd: Start, known: Known, tmp_path: Path, content: str | None) -> None:
        server = start_sshd()
        path = tmp_path / "broken"
        if content is not None:
            path.write_text(content)
        error = refused(options_for(server, known(server), identities=(path,)))
        assert error.code == "ssh_key_unreadable"
        assert str(path) in error.message

    def test_agent(
        self, start_sshd: Start, known: Known, tmp_path: Path, encrypted: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        require("ssh-agent", "ssh-add")
        server = start_sshd()
        path = str(tmp_path / "agent")
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
        try:
            for _ in range(200):
                if os.path.exists(path):
                    break
                time.sleep(0.01)
            monkeypatch.setenv("SSH_AUTH_SOCK", path)
            subprocess.run(["ssh-add", "-q", str(server.client_key)], check=True, stderr=subprocess.DEVNULL)
            assert collect(WEB, options_for(server, known(server), identities=()))
            # The agent's copy of a key is used, so a file that could not be decrypted is not even opened
            locked = tmp_path / "locked"
            locked.write_bytes(server.client_key.read_bytes())
            locked.chmod(0o600)
            subprocess.run(
                ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(locked)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            assert collect(WEB, options_for(server, known(server), identities=(locked,)))
        finally:
            agent.terminate()
            agent.wait()


class TestPeersThatFail:
    def test_refused(self, tmp_path: Path) -> None:
        error = refused(SshOptions(port=free_port(), known_hosts=(tmp_path / "k",)))
        assert error.code == "ssh_refused"

    def test_name_that_does_not_resolve(self, tmp_path: Path) -> None:
        target = SshTarget(name="web-1", address="no-such-host.invalid")
        assert refused(SshOptions(known_hosts=(tmp_path / "k",)), target).code == "ssh_dns"

    @pytest.mark.root
    def test_a_resolver_that_does_not_answer(self, tmp_path: Path) -> None:
        """It is not the server that does not answer, and no security group's fault."""
        require_root()
        (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        code = (
            "import socket\nsilent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nsilent.bind(('127.0.0.1', 53))\n"
            "from tests.support.ssh_client import collect\n"
            "from vnicheck.guest.ssh.options import SshOptions, SshTarget\n"
            "collect(SshTarget(name='web-1', address='web-1.example'), SshOptions(connect_timeout=0.5))"
        )
        script = f'ip link set lo up && mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec "$0" -c "$1"'
        command = ["unshare", "-n", "-m", "sh", "-c", script, sys.executable, code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert "web-1.example was not resolved within 0.5 s; check the resolver" in done.stderr

    def test_silent(self, tmp_path: Path) -> None:
        with tcp_server(lambda connection: time.sleep(90)) as port, ends_in_time():
            error = refused(SshOptions(port=port, known_hosts=(tmp_path / "k",), connect_timeout=0.6))
        assert error.code == "ssh_banner"

    def test_http(self, tmp_path: Path) -> None:
        def answer(connection: socket.socket) -> None:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

        with tcp_server(answer) as port:
            error = refused(SshOptions(port=port, known_hosts=(tmp_path / "k",), connect_timeout=3))
        assert error.code == "ssh_not_ssh"
        assert "HTTP/1.1 400" in error.message

    def test_banner_that_never_ends(self, tmp_path: Path) -> None:
        def answer(connection: socket.socket) -> None:
            for _ in range(900):
                connection.sendall(b"wait\r\n")
                time.sleep(0.1)

        with tcp_server(answer) as port, ends_in_time():
            error = refused(SshOptions(port=port, known_hosts=(tmp_path / "k",), connect_timeout=1.0))
        assert error.code == "ssh_banner_endless"

    def test_banner_and_then_silence(self, tmp_path: Path) -> None:
        def answer(connection: socket.socket) -> None:
            connection.sendall(b"SSH-2.0-Hung\r\n")
            time.sleep(4)

        with tcp_server(answer) as port:
            error = refused(SshOptions(port=port, known_hosts=(tmp_path / "k",), connect_timeout=0.6))
        assert error.code == "ssh_kex_timeout"

    def test_garbage_after_the_banner(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        def answer(connection: socket.socket) -> None:
            connection.sendall(b"SSH-2.0-Odd\r\n" + bytes(range(256)) * 40)

        with tcp_server(answer) as port:
            error = refused(SshOptions(port=port, known_hosts=(tmp_path / "k",), connect_timeout=2))
        assert error.code in {"ssh_protocol", "ssh_closed", "ssh_timeout"}
        assert capfd.readouterr().err == ""


class TestCommandsThatFail:
    def test_hangs(self, start_sshd: Start, known: Known) -> None:
        server = start_sshd(force_command="sleep 90")
        with ends_in_time():
            error = refused(options_for(server, known(server), timeout=1.0))
            assert error.code == "ssh_timeout"
            assert "--timeout" in error.message

    def test_one_line_a_second(self, start_sshd: Start, known: Known) -> None:
        server = start_sshd(force_command="while :; do echo tick; sleep 0.2; done")
        with ends_in_time():
            assert refused(options_for(server, known(server), timeout=1.0)).code == "ssh_timeout"

    def test_floods_stderr(self, start_sshd: Start, known: Known) -> None:
        server = start_sshd(force_command="yes >&2")
        assert refused(options_for(server, known(server), max_output=100_000)).code == "ssh_output_limit"

    def test_more_output_than_allowed(self, start_sshd: Start, known: Known) -> None:
        server = start_sshd(force_command="yes")
        assert refused(options_for(server, known(server), max_output=100_000)).code == "ssh_output_limit"

    def test_is_no_linux_shell(self, start_sshd: Start, known: Known) -> None:
        server = start_sshd(force_command="printf '%%Invalid input\\033[2J\\n'")
        error = refused(options_for(server, known(server)))
        assert error.code == "ssh_forced_command"
        assert "Invalid input" in error.message
        assert "\033" not in error.message

    def test_ends_with_a_status(self, start_sshd: Start, known: Known) -> None:
        server = start_sshd(force_command="echo This account is currently not available. >&2; exit 1")
        error = refused(options_for(server, known(server)))
        assert error.code == "ssh_nologin"
        assert "currently not available" in error.message

    def test_is_cut_off(self, start_sshd: Start, known: Known) -> None:
        server = start_sshd(force_command="sh -s | head -n 30")
        assert refused(options_for(server, known(server))).code == "guest_truncated"

    def test_is_killed_in_the_middle(self, start_sshd: Start, known: Known) -> None:
        server = start_sshd(force_command="echo; echo 'vnicheck-guest/1 begin'; sleep 30")
        timer = threading.Timer(0.7, server.kill_sessions)
        timer.start()
        try:
            error = refused(options_for(server, known(server), timeout=10.0))
        finally:
            timer.join()
        assert error.code == "ssh_closed"

    def test_noise_of_the_login_shell_is_harmless(self, start_sshd: Start, known: Known) -> None:
        server = start_sshd(force_command="echo Welcome; echo news >&2; sh -s; echo goodbye")
        assert read_guest(collect(WEB, options_for(server, known(server))), via="ssh").missing == {}


def refused_by(runner: SshRunner) -> str:
    with pytest.raises(CollectionError) as caught:
        runner.collect(WEB)
    return caught.value.code


class TestJumpHosts:
    def test_through_one(self, start_sshd: Start, known: Known) -> None:
        jump, server = start_sshd("jump"), start_sshd("server")
        jump_spec = f"{jump.user}@127.0.0.1:{jump.port}"
        options = options_for(server, known(jump, server), jump=jump_spec)
        with SshRunner(options) as runner:
            for _ in range(3):
                assert runner.collect(WEB)
        assert jump.connections() == 1
        assert jump.sessions() == 0
        assert server.sessions() == 3

    def test_chain_from_the_configuration(self, start_sshd: Start, known: Known, tmp_path: Path) -> None:
        first, second, server = start_sshd("first"), start_sshd("second"), start_sshd("server")
        config = tmp_path / "config"
        config.write_text(
            f"Host web-*\n  ProxyJump inner\nHost inner\n  HostName 127.0.0.1\n  Port {second.port}\n"
            f"  ProxyJump outer\nHost outer\n  HostName 127.0.0.1\n  Port {first.port}\n"
        )
        assert collect(WEB, options_for(server, known(first, second, server), config_file=config))
        assert (first.connections(), second.connections(), server.sessions()) == (1, 1, 1)

    def test_that_cannot_be_reached_fails_at_once_for_all(self, start_sshd: Start, known: Known) -> None:
        server = start_sshd()
        options = options_for(server, known(server), jump=f"127.0.0.1:{free_port()}")
        with SshRunner(options) as runner:
            for _ in range(2):
                with pytest.raises(CollectionError, match=r"^jump host ") as caught:
                    runner.collect(WEB)
                assert caught.value.code == "ssh_refused"

    def test_that_is_back_is_tried_again_by_one_who_must_get_through(
        self, start_sshd: Start, known: Known, tmp_path: Path
    ) -> None:
        server = start_sshd()
        jump = Sshd(tmp_path / "jump", client_key=server.client_key)
        options = options_for(server, known(jump, server), jump=f"{jump.user}@127.0.0.1:{jump.port}")
        with SshRunner(options) as runner:
            assert refused_by(runner) == "ssh_refused"
            with jump:
                assert refused_by(runner) == "ssh_refused"
                runner.forget_failures()
                assert runner.collect(WEB)

    def test_target_behind_it_is_down(self, start_sshd: Start, known: Known) -> None:
        jump = start_sshd("jump")
        options = options_for(jump, known(jump), jump=f"127.0.0.1:{jump.port}", port=free_port())
        assert refused(options).code == "ssh_unreachable"

    def test_proxy_command(self, start_sshd: Start, known: Known, tmp_path: Path) -> None:
        server = start_sshd()
        relay = (
            "import os,socket,sys,threading;s=socket.create_connection((sys.argv[1],int(sys.argv[2])));"
            "up=lambda:[s.sendall(d) for d in iter(lambda:os.read(0,9999),b'')];"
            "threading.Thread(target=up,daemon=True).start();"
            "[os.write(1,d) for d in iter(lambda:s.recv(9999),b'')]"
        )
        script = tmp_path / "relay.py"
        script.write_text(relay)
        config = tmp_path / "config"
        config.write_text(f"Host 127.0.0.*\n  ProxyCommand python3 {script} %h %p\n  Port {server.port}\n")
        assert collect(WEB, options_for(server, known(server), config_file=config, port=None))
        assert server.sessions() == 1


def test_nothing_of_paramiko_reaches_the_root_logger(
    start_sshd: Start, known: Known, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_sshd()
    with caplog.at_level(logging.DEBUG):
        collect(WEB, options_for(server, known(server)))
    assert [record for record in caplog.records if record.name.startswith("paramiko")] == []
