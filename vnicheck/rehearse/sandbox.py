"""Namespaces of their own for a rebuilt server: no network, no process and no file of the machine is touched.

Needs no root: user namespaces give the rights inside. Everything ends when this program ends, however it ends.
"""

import os
import shutil
import socket
import subprocess
import sys
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from vnicheck.model.words import one_line
from vnicheck.rehearse.namespaces import PROGRAMS, RehearsalError
from vnicheck.rehearse.requests import Done, Failed, Reply, Request, Shell, replies
from vnicheck.rehearse.terminal import take_terminal

T = TypeVar("T", bound=Reply)

_PACKAGES = {"ip": "iproute2", "nft": "nftables", "unshare": "util-linux", "nsenter": "util-linux"}
_PACKAGES |= {"sysctl": "procps", "mount": "mount"}
_SECONDS = 120.0
"""What one request may take."""


class Sandbox:
    """The program `inside`, for the length of a `with` block. Raises RehearsalError where the machine has no such
    namespaces for us, or lacks a program: one line that says what to do.
    """

    def __enter__(self) -> Self:
        missing = [program for program in PROGRAMS if shutil.which(program, path=_path()) is None]
        if missing:
            packages = dict.fromkeys(_PACKAGES[program] for program in missing)
            raise RehearsalError(f"{', '.join(missing)}: not found; install {', '.join(packages)} (Debian's names)")
        ours, theirs = socket.socketpair()
        self._ours = ours
        self._lines = ours.makefile("rwb")
        start = f"import sys; sys.path[:] = {sys.path!r}; from vnicheck.rehearse.inside import main; main({{number}})"
        with theirs:
            number = theirs.fileno()
            self._process = subprocess.Popen(
                [*_UNSHARE, sys.executable, "-I", "-B", "-c", start.format(number=number)],
                pass_fds=[number],
                stderr=subprocess.PIPE,
                env={**os.environ, "PATH": _path()},
            )
        try:
            self._read(Done)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def ask(self, request: Request, kind: type[T], *, seconds: float | None = _SECONDS) -> T:
        """What is answered within so many seconds (None: whenever it is). Raises RehearsalError."""
        self._ours.settimeout(seconds)
        try:
            self._lines.write(msgspec.json.encode(request) + b"\n")
            self._lines.flush()
        except OSError as error:
            raise RehearsalError(f"the sandbox has ended: {error.strerror}") from error
        return self._read(kind)

    def shell(self) -> None:
        """A shell on the terminal, to its end; then the terminal is ours again. Raises RehearsalError."""
        try:
            self.ask(Shell(), Done, seconds=None)
        finally:
            take_terminal()

    def _read(self, kind: type[T]) -> T:
        try:
            line = self._lines.readline()
        except TimeoutError as error:
            raise RehearsalError("the sandbox does not answer") from error
        except OSError as error:
            raise RehearsalError(f"the sandbox has ended: {error.strerror}") from error
        if not line:
            self._process.kill()
            said = self._process.stderr.read() if self._process.stderr is not None else b""
            raise RehearsalError(_why_not(one_line(said.decode(errors="replace"), 300)))
        reply = replies.decode(line)
        if isinstance(reply, Failed):
            raise RehearsalError(reply.message)
        if not isinstance(reply, kind):
            raise RehearsalError(f"the sandbox answers with {type(reply).__name__}")
        return reply

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The program inside ends as its socket does, and takes all with it."""
        for end in (self._lines, self._ours):
            try:
                end.close()
            except OSError:
                continue
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


_UNSHARE = (
    *("unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"),
    "--",
)


def _path() -> str:
    """Administrators' programs are not on every user's PATH."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _why_not(said: str) -> str:
    if said.startswith("unshare: ") and "failed to execute" not in said:
        return (
            f"this machine gives us no namespaces of our own ({said}): user namespaces are off (sysctl "
            "user.max_user_namespaces, kernel.unprivileged_userns_clone or "
            "kernel.apparmor_restrict_unprivileged_userns), or this is a container without them"
        )
    return f"the sandbox has ended: {said or 'it said nothing'}"
