"""Becoming root by a real sudo, over a real sshd, on a server with users of its own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.require import require_lab
from tests.support.sshd import Sshd, require
from vnicheck.guest.ssh.options import SshOptions, SshTarget
from vnicheck.guest.ssh.runner import SshRunner
from vnicheck.guest.ssh.sudo import AskSudoPassword, Root, RootError, become_root, look
from vnicheck.rehearse.namespaces import Namespace

pytestmark = pytest.mark.root

PASSWORD = "correct horse; touch /etc/pwned"
TARGET = SshTarget(name="web-1", address="127.0.0.1")


class Host:
    """A namespace with a login `ops`, and an sshd in it."""

    def __init__(self, namespace: Namespace, sshd: Sshd, runner: SshRunner) -> None:
        self.namespace, self.sshd, self.runner = namespace, sshd, runner

    def allow(self, rule: str) -> None:
        self.namespace.run(["sh", "-c", "cat > /etc/sudoers.d/ops && chmod 440 /etc/sudoers.d/ops"], input=f"{rule}\n")

    def root(self, ask: AskSudoPassword | None = None) -> Root:
        return become_root(self.runner, TARGET, ask)

    def runs_as(self, root: Root) -> str:
        return self.runner.run(TARGET, root.command, root.lead + b"id -un\n").stdout.decode().strip()


@pytest.fixture
def host() -> Iterator[Host]:
    require_lab()
    require("sudo", "sshd", "ssh-keygen", "useradd", "chpasswd")
    with tempfile.TemporaryDirectory() as name, Namespace.create("sudo", copied=["/etc"], empty=["/run"]) as namespace:
        namespace.run(
            ["sh", "-euc", "mkdir /run/sshd; useradd -M -d / -s /bin/sh ops; chpasswd"], input=f"ops:{PASSWORD}\n"
        )
        folder = Path(name)
        folder.chmod(0o755)  # sshd reads the login's keys as the login
        with Sshd(folder / "sshd", port=2222, prefix=namespace.prefix()) as sshd:
            known = folder / "known_hosts"
            known.write_text(sshd.known_hosts_line())
            options = SshOptions(
                user="ops",
                port=2222,
                identities=(sshd.client_key,),
                known_hosts=(known,),
                config_file=Path("none"),
                timeout=20,
            )
            with namespace.call(lambda: SshRunner(options)) as runner:
                yield Host(namespace, sshd, _Inside(namespace, runner))  # type: ignore[arg-type]


class _Inside:
    """A runner whose connections start in a namespace."""

    def __init__(self, namespace: Namespace, runner: SshRunner) -> None:
        self._namespace, self._runner = namespace, runner

    def run(self, *args: Any, **more: Any) -> Any:
        return self._namespace.call(lambda: self._runner.run(*args, **more))


def no_prompt(name: str) -> str | None:
    raise AssertionError(f"asked for {name}")


def test_who_we_are(host: Host) -> None:
    login = look(host.runner, TARGET)
    assert login.uid != 0
    assert (login.client, login.server, login.port) == ("127.0.0.1", "127.0.0.1", 2222)


def test_without_a_password(host: Host) -> None:
    host.allow("ops ALL=(ALL) NOPASSWD: ALL")
    assert host.runs_as(host.root(no_prompt)) == "root"


def test_with_a_password_that_is_asked_for_once(host: Host) -> None:
    host.allow("ops ALL=(ALL) ALL")
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return PASSWORD

    root = host.root(ask)
    assert (host.runs_as(root), host.runs_as(root), asked) == ("root", "root", ["web-1"])
    assert PASSWORD not in repr(root)
    assert PASSWORD not in host.sshd.log()


@pytest.mark.parametrize("password", ["wrong", "", "a\nb", "touch /etc/pwned"])
def test_a_wrong_password(host: Host, password: str) -> None:
    host.allow("ops ALL=(ALL) ALL")
    with pytest.raises(RootError) as caught:
        host.root(lambda name: password)
    assert not password or "\n" in password or password not in caught.value.message
    assert not host.namespace.run(["ls", "/etc/pwned"], check=False).stdout


def test_nobody_can_be_asked(host: Host) -> None:
    host.allow("ops ALL=(ALL) ALL")
    with pytest.raises(RootError, match="sudo wants a password"):
        host.root()


def test_a_sudo_that_wants_a_terminal_is_given_no_password(host: Host) -> None:
    host.allow("Defaults requiretty\nops ALL=(ALL) NOPASSWD: ALL")
    with pytest.raises(RootError, match="!requiretty"):
        host.root(no_prompt)


def test_a_login_that_may_not(host: Host) -> None:
    with pytest.raises(RootError, match="sudo did not make us root"):
        host.root(lambda name: PASSWORD)


def test_a_password_is_never_run_as_a_command(host: Host) -> None:
    """Where sudo asks for none, though it had been given one: it is not handed to the shell."""
    host.allow("ops ALL=(ALL) NOPASSWD: ALL")
    host.root(lambda name: PASSWORD)
    assert not host.namespace.run(["ls", "/etc/pwned"], check=False).stdout


def test_a_server_without_sudo(host: Host) -> None:
    host.namespace.run(["mount", "--bind", "/dev/null", "/usr/bin/sudo"])
    with pytest.raises(RootError):
        host.root(lambda name: PASSWORD)
