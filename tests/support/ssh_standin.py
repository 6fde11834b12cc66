"""An SSH server that misbehaves on purpose, for what a real sshd never does. One thread a connection."""

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_PARTIALLY_SUCCESSFUL, AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from paramiko.server import InteractiveQuery

from tests.support.sshd import generate_key

Behaviour = Callable[[paramiko.Channel], None]


class SshStandIn(paramiko.ServerInterface):
    """Listens on a free port of 127.0.0.1.

    `methods`: what logins it takes, as SSH lists them. `password`: the right one. `questions`: what
    keyboard-interactive asks. `run`: what becomes of a channel whose command it took; None: it takes none. `attempts`:
    logins by method.
    """

    def __init__(
        self,
        folder: Path,
        *,
        methods: str = "publickey",
        password: str = "",
        questions: tuple[tuple[str, bool], ...] = (("Password: ", False),),
        run: Behaviour | None = None,
        login_seconds: float = 0.0,
        key_then: str | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.host_key = generate_key(folder / "host_key")
        self.methods, self.password, self.questions, self.run = methods, password, questions, run
        self.login_seconds, self.key_then = login_seconds, key_then
        self.attempts: Counter[str] = Counter()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._transports: list[paramiko.Transport] = []

    def known_hosts_line(self) -> str:
        kind, blob = self.host_key.with_suffix(".pub").read_text().split()[:2]
        return f"[127.0.0.1]:{self.port} {kind} {blob}\n"

    def _serve(self) -> None:
        key = paramiko.Ed25519Key(filename=str(self.host_key))
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            self._transports.append(transport)
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(event=threading.Event(), server=self)

    def get_allowed_auths(self, username: str) -> str:
        return self.methods

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.attempts["publickey"] += 1
        time.sleep(self.login_seconds)
        if self.key_then is not None:
            self.methods = self.key_then
            return AUTH_PARTIALLY_SUCCESSFUL
        return AUTH_SUCCESSFUL if "publickey" in self.methods else AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        self.attempts["password"] += 1
        return AUTH_SUCCESSFUL if password == self.password else AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> InteractiveQuery:
        self.attempts["keyboard-interactive"] += 1
        return InteractiveQuery("", "", *self.questions)

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        return AUTH_SUCCESSFUL if responses == [self.password] else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if self.run is None:
            return False
        threading.Thread(target=self._run, args=(channel,), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel) -> None:
        assert self.run is not None
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            time.sleep(0.05)  # the answer to the request goes first
            self.run(channel)

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for transport in self._transports:
            transport.close()


def prints(data: bytes, status: int | None = 0) -> Behaviour:
    """Reads nothing, prints `data`, ends with `status` (None: without one)."""

    def run(channel: paramiko.Channel) -> None:
        channel.sendall(data)
        if status is not None:
            channel.send_exit_status(status)
        channel.close()

    return run


def cuts_off(data: bytes) -> Behaviour:
    """Prints, and ends the connection."""

    def run(channel: paramiko.Channel) -> None:
        channel.sendall(data)
        time.sleep(0.2)
        channel.get_transport().close()

    return run


def floods(channel: paramiko.Channel) -> None:
    """Prints without end, whatever the client's window."""
    while True:
        channel.out_window_size = 1 << 30
        channel.sendall(b"\xff" * 30000)


def hangs(channel: paramiko.Channel) -> None:
    """Prints nothing and does not end."""
    time.sleep(60)
