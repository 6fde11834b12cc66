"""Run one script on a server over SSH: one connection (jump hosts are shared by all servers of a run) and one exec."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from types import TracebackType
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.frames import is_complete
from vnicheck.guest.ssh.config import SshConfig, SshHop
from vnicheck.guest.ssh.deadline import Deadline
from vnicheck.guest.ssh.errors import session_error, timed_out
from vnicheck.guest.ssh.keys import AskPassphrase, AskPassword, KeyRing
from vnicheck.guest.ssh.known_hosts import KnownHosts
from vnicheck.guest.ssh.options import SshOptions, SshTarget
from vnicheck.guest.ssh.transport import connect
from vnicheck.guest.talk import Talk
from vnicheck.model.words import one_line

if TYPE_CHECKING:
    from paramiko import Channel

    from vnicheck.guest.ssh.client import Client

COMMAND = "sh -s"


@cache
def collect_script_text() -> str:
    """The POSIX sh script that the collector runs on a guest."""
    return files("vnicheck.guest").joinpath("collect.sh").read_text("utf-8")


class CommandOutput(Struct, frozen=True):
    """What a remote command came to: its exit status, and its stdout; `hint` is the first line of its stderr, `banner`
    what the SSH server calls itself.
    """

    status: int
    stdout: bytes
    hint: str = ""
    banner: str = ""


class _Jump:
    """A jump host's connection, made by the first who needs it; who fails, fails for all."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.transport: Client | None = None
        self.error: CollectionError | None = None


class SshRunner:
    """The connections of a run: configuration, known hosts and keys are read once, jump hosts are connected to once.

    Safe to use from several threads. Use as a context: leaving it closes the jump hosts' connections.
    """

    def __init__(
        self,
        options: SshOptions,
        ask_passphrase: AskPassphrase | None = None,
        ask_password: AskPassword | None = None,
    ) -> None:
        self.options = options
        self._config = SshConfig(options)
        self._known_hosts = KnownHosts()
        self._keys = KeyRing(ask_passphrase, ask_password)
        self._jumps: dict[tuple[SshHop, ...], _Jump] = {}
        self._lock = threading.Lock()
        self._active: set[Deadline] = set()
        self.closed = False

    def run(
        self, target: SshTarget, command: str, stdin: bytes, *, timeout: float | None = None, talk: Talk | None = None
    ) -> CommandOutput:
        """Run `command` on the target in one session, with `stdin` as its standard input, and what `talk` sends.

        `timeout` replaces that of the options. Raises CollectionError with an `ssh_` code.
        """
        hops = self._config.hops(target)
        seconds = self.options.timeout if timeout is None else timeout
        through = self._through(hops[:-1])
        with self._deadline(seconds) as deadline:
            transport = self._connect(hops[-1], through, seconds, deadline)
            label = hops[-1].label
            try:
                return _execute(transport, command, stdin, label, self.options.max_output, deadline, talk)
            except CollectionError:
                raise
            except Exception as error:
                # paramiko hands on whatever its thread met while it read a hostile peer's packets
                if deadline.expired:
                    raise timed_out(label, seconds, "the command still ran") from error
                raise session_error(label, error) from error

    def notes(self) -> tuple[str, ...]:
        """What of the SSH configuration was left out, as far as it was read."""
        return self._config.notes()

    def collect(self, target: SshTarget) -> bytes:
        """The collect script's output from the target, complete. Raises CollectionError, also `guest_...`."""
        output = self.run(target, COMMAND, collect_script_text().encode())
        if output.status != 0 or not is_complete(output.stdout):
            raise _no_collection(f"{one_line(target.name, 80)} ({target.address})", output)
        return output.stdout

    def forget_failures(self) -> None:
        """Try jump hosts again that could not be reached: one who must get through asks again."""
        with self._lock:
            for jumps, jump in list(self._jumps.items()):
                if jump.error is not None:
                    del self._jumps[jumps]

    def _through(self, jumps: tuple[SshHop, ...]) -> "Client | None":
        """The connection to the last of the jump hosts; None where there are none."""
        if not jumps:
            return None
        before = self._through(jumps[:-1])
        with self._lock:
            jump = self._jumps.setdefault(jumps, _Jump())
        with jump.lock:
            if jump.error is not None:
                raise jump.error
            if jump.transport is None or not jump.transport.is_active():
                jump.transport = None
                try:
                    jump.transport = self._connect_jump(jumps[-1], before)
                except CollectionError as error:
                    jump.error = CollectionError(error.code, f"jump host {error.message}")
                    raise jump.error from error
            return jump.transport

    def _connect_jump(self, hop: SshHop, before: "Client | None") -> "Client":
        """A connection that outlives the deadline within which it is made."""
        with self._deadline(self.options.timeout) as deadline:
            transport = self._connect(hop, before, self.options.timeout, deadline)
            deadline.release()
        if self.closed:
            transport.close()
        return transport

    def _connect(self, hop: SshHop, through: "Client | None", seconds: float, deadline: Deadline) -> "Client":
        return connect(
            hop,
            through=through,
            keys=self._keys,
            known_hosts=self._known_hosts,
            connect_timeout=self.options.connect_timeout,
            total=seconds,
            deadline=deadline,
        )

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[Deadline]:
        """A deadline that `close` brings forward."""
        with Deadline(seconds) as deadline:
            with self._lock:
                self._active.add(deadline)
            try:
                if self.closed:
                    deadline.expire()
                yield deadline
            finally:
                with self._lock:
                    self._active.discard(deadline)

    def close(self) -> None:
        """End what still runs in other threads, and the jump hosts' connections, the outermost last."""
        self.closed = True
        with self._lock:
            active = list(self._active)
        for deadline in active:
            deadline.expire()
        with self._lock:
            jumps = sorted(self._jumps.items(), key=lambda item: -len(item[0]))
        for _, jump in jumps:
            if jump.transport is not None:
                jump.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _execute(
    client: "Client",
    command: str,
    stdin: bytes,
    label: str,
    max_output: int,
    deadline: Deadline,
    talk: Talk | None = None,
) -> CommandOutput:
    channel, intake = client.take_in(max_output, deadline.remaining())
    if talk is not None:
        intake.heard = talk.hear
    deadline.closes(channel.close)
    channel.settimeout(deadline.remaining())
    _start(client, channel, command, label)
    _send(channel, stdin, talk)
    intake.over.wait(deadline.remaining())
    if intake.overflow:
        raise CollectionError(
            "ssh_output_limit", f"{label}: more than {max_output} bytes of output; is this a router's full table?"
        )
    if deadline.expired:
        raise TimeoutError
    if not channel.status_event.is_set() or channel.exit_status == -1:
        raise CollectionError("ssh_closed", f"{label}: the session ended before the command did; collect again")
    return CommandOutput(
        channel.exit_status,
        b"".join(intake.chunks),
        one_line(intake.errors.decode("utf-8", "replace").strip(), 120),
        one_line(client.remote_version, 60),
    )


def _start(client: "Client", channel: "Channel", command: str, label: str) -> None:
    """Have the command started. Raises CollectionError `ssh_exec_refused`."""
    from paramiko import SSHException

    try:
        channel.exec_command(command)
    except SSHException as error:
        if not client.is_active():
            raise
        raise CollectionError(
            "ssh_exec_refused",
            f"{label}: it opens a session, but runs no command in it: is this a file server or an appliance? Give the "
            "output of 'vnicheck collect-script' with --guest",
        ) from error


def _send(channel: "Channel", stdin: bytes, talk: Talk | None) -> None:
    """Send at once what the window takes; the rest, and what a talk sends, in a thread of its own, so that a command
    that does not read its input cannot keep us from its output.
    """

    def send() -> None:
        try:
            channel.sendall(stdin)
            for data in talk.sending() if talk is not None else ():
                channel.sendall(data)
            channel.shutdown_write()
        except OSError:
            return  # the command ended without reading: its status tells

    if talk is None and channel.out_window_size >= len(stdin):
        send()
    else:
        threading.Thread(target=send, daemon=True).start()


_NO_LOGIN = ("not available", "nologin", "account has expired", "account is disabled", "sftp connections only")
_NO_SHELL = ("not found", "not recognized", "restricted", "no such file", "permission denied")


def _no_collection(label: str, output: CommandOutput) -> CollectionError:
    """Why the output is not that of the script."""
    heard = one_line(output.stdout[:400].decode("utf-8", "replace").strip(), 60)
    said = (output.hint or heard).lower()
    shown = output.hint or heard
    because = f": {shown}" if shown else ""
    if "windows" in output.banner.lower() or "is not recognized as" in said:
        return CollectionError("guest_not_linux", f"{label}: this is a Windows server ({output.banner})")
    if b"vnicheck-guest/" in output.stdout and not is_complete(output.stdout):
        return CollectionError("guest_truncated", f"{label}: the collection is cut off; collect it again")
    if output.status == 1 and (not said or any(words in said for words in _NO_LOGIN)):
        return CollectionError(
            "ssh_nologin", f"{label}: the account may not run commands{because}; name another with --ssh-user"
        )
    if output.status in {126, 127} or any(words in said for words in _NO_SHELL if output.status):
        return CollectionError(
            "ssh_no_shell",
            f"{label}: the login shell cannot run `sh`{because}; name another account with --ssh-user",
        )
    if output.status != 0:
        return CollectionError(
            "ssh_exec", f"{label}: its shell ended with status {output.status}{because}; can the user run `sh` there?"
        )
    return CollectionError(
        "ssh_forced_command",
        f"{label}: it did not run the collect script ({heard or 'no output'}); is a command forced for this key, or is "
        "it no Linux server? Use another key, or 'vnicheck collect-script' with --guest",
    )
