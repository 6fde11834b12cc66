"""A real sshd for tests: own keys, own configuration, own port, on loopback or in a network namespace.

    with Sshd(tmp_path) as sshd:
        ...  # sshd.port, sshd.client_key, sshd.known_hosts_line(), sshd.sessions()

A command `prefix` (`["nsenter", "-t", PID, "-n"]`) starts it elsewhere; readiness is read from its log, so nothing
needs to connect to it from here. Stopping ends the daemon and its descendants, by process id.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

PRIVILEGE_SEPARATION_FOLDER = Path("/run/sshd")


def require(*programs: str) -> None:
    """Skip the test where a program is missing, but fail it in CI."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    for program in programs:
        if shutil.which(program, path=path) is None:
            message = f"{program} is not installed"
            if os.environ.get("CI") == "true":
                pytest.fail(message)
            pytest.skip(message)


def require_root() -> None:
    """Skip the test without root, but fail it in CI."""
    if os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("root is needed")
        pytest.skip("root is needed")


_held: list[socket.socket] = []


def refusing_port(host: str = "127.0.0.1") -> int:
    """A port that refuses connections, and that nobody else gets while the tests run: bound, and not listened on."""
    _held.append(socket.socket())
    _held[-1].bind((host, 0))
    return int(_held[-1].getsockname()[1])


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def generate_key(path: Path, *, passphrase: str = "", kind: str = "ed25519") -> Path:
    """A new key pair at `path` and `path.pub`. Returns `path`."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
    )
    return path


class Sshd:
    """One sshd in `folder` (made if missing). Attributes are set before it starts, so a client can be told of them.

    `config`: lines put before the defaults (sshd takes a keyword's first value), for example `("MaxStartups 50",)`.
    `client_key`: a private key that may log in; made in `folder` unless given.
    `port` 0 takes a free one of the root namespace; give it for a namespace of its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        prefix: Sequence[str] = (),
        config: Sequence[str] = (),
        client_key: Path | None = None,
        force_command: str | None = None,
    ) -> None:
        require("sshd", "ssh-keygen")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.address = address
        self.port = port or free_port()
        self.user = getpass.getuser()
        self.prefix = list(prefix)
        self.log_path = folder / "sshd.log"
        self.host_key = folder / "host_key"
        if not self.host_key.exists():
            generate_key(self.host_key)
        self.client_key = client_key or folder / "client_key"
        if not self.client_key.exists():
            generate_key(self.client_key)
        self.authorized_keys = folder / "authorized_keys"
        self.authorized_keys.write_text(self.client_key.with_name(self.client_key.name + ".pub").read_text())
        self.config_path = folder / "sshd_config"
        forced = [f"ForceCommand {force_command}"] if force_command is not None else []
        self.config_path.write_text("\n".join([*config, *forced, *self._defaults()]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def _defaults(self) -> list[str]:
        return [
            f"ListenAddress {self.address}:{self.port}",
            f"HostKey {self.host_key}",
            f"AuthorizedKeysFile {self.authorized_keys}",
            f"PidFile {self.folder / 'sshd.pid'}",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "PrintMotd no",
            "UseDNS no",
            "LogLevel VERBOSE",
        ]

    @property
    def pid(self) -> int:
        """The daemon's process id. Raises RuntimeError unless it runs."""
        if self._process is None:
            raise RuntimeError("sshd is not running")
        return self._process.pid

    def known_hosts_line(self, *names: str) -> str:
        """The line of a known_hosts file for this server, under `names` or its own `[address]:port`."""
        kind, blob = self.host_key.with_suffix(".pub").read_text().split()[:2]
        return f"{','.join(names) or f'[{self.address}]:{self.port}'} {kind} {blob}\n"

    def log(self) -> str:
        """What it logged until now."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def sessions(self) -> int:
        """How many sessions (exec or shell) clients have started."""
        return self.log().count("Starting session: ")

    def connections(self) -> int:
        """How many TCP connections clients have made."""
        return self.log().count("Connection from ")

    def start(self) -> Self:
        """Start it and wait until it listens. Raises RuntimeError with its log when it does not."""
        folder = [*self.prefix, "mkdir", "-p", "-m", "755", str(PRIVILEGE_SEPARATION_FOLDER)]
        subprocess.run(folder, check=False, stderr=subprocess.DEVNULL)  # only root's sshd wants it, and only root may
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.prefix, str(program), "-D", "-e", "-f", str(self.config_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 10
        while "Server listening on" not in self.log():
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = self.log()
                self.stop()
                raise RuntimeError(f"sshd did not start:\n{text}")
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """End the daemon and every process under it."""
        if self._process is None:
            return
        family = [*_descendants(self._process.pid), self._process.pid]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=3)
        self._process = None

    def let_wait(self) -> None:
        """From now on who connects waits, until `let_in`; sessions that are open go on."""
        os.kill(self.pid, signal.SIGSTOP)

    def let_in(self) -> None:
        """After `let_wait`."""
        os.kill(self.pid, signal.SIGCONT)

    def kill_sessions(self) -> None:
        """Kill every connection's processes, and leave the daemon."""
        for pid in _descendants(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [member for child in children for member in (*_descendants(child), child)]
