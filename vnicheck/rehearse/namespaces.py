"""Anonymous network namespaces, each held by a child process, and commands that run inside them.

The machine's own namespace is refused: a `Namespace` cannot be made of it, so no interface can be created there.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

_T = TypeVar("_T")
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_libc = ctypes.CDLL(None, use_errno=True)

PROGRAMS = ("ip", "nft", "unshare", "nsenter", "sysctl", "mount")
"""What the machine has to have: of iproute2, nftables, util-linux and procps."""

_HOLD = """
mount -t sysfs -o ro sysfs /sys
ip link set lo up
while [ "$1" != -- ]; do
  mount -t tmpfs -o mode=755 tmpfs /mnt
  cp -a "$1/." /mnt
  mount --move /mnt "$1"
  shift
done
shift
for folder; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
echo ready
exec cat >/dev/null
"""
"""What the holder of a namespace runs; a copy is made aside, on a folder that every system has."""


class RehearsalError(RuntimeError):
    """A command failed; the message holds the command and what it said."""


class RootNamespaceError(RehearsalError):
    """Asked to work in the machine's own network namespace."""


def _network_of(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/net")


def _machine_networks() -> set[str]:
    """The namespaces of this process, its parent, and process 1; the last two may be hidden, even from root."""
    networks = {_network_of(os.getpid())}
    for pid in (os.getppid(), 1):
        try:
            networks.add(_network_of(pid))
        except OSError:
            continue
    return networks


class Namespace:
    """The network (and mount) namespace of the process `pid`.

    Raises RootNamespaceError where that is the network namespace of this process, its parent, or process 1.
    """

    def __init__(self, name: str, pid: int, holder: subprocess.Popen[str] | None = None) -> None:
        self.name = name
        self.pid = pid
        self._holder = holder
        self._network = _network_of(pid)
        if self._network in _machine_networks():
            raise RootNamespaceError(f"{name}: process {pid} is in the machine's own network namespace")

    @classmethod
    def create(cls, name: str, *, copied: Sequence[str] = (), empty: Sequence[str] = ()) -> Self:
        """A new namespace with `lo` up and a /sys of its own.

        Folders that are `copied` (`/etc`) or `empty` (`/run`) are its own too: what is written there stays in memory
        and ends with it. Its holder reads a pipe from this process and so ends with it, however it ends.
        """
        holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--", "sh", "-euc", _HOLD, "hold", *copied, "--", *empty],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            if _pipe(holder.stdout).readline() != "ready\n":
                raise RehearsalError(f"no namespace for {name}: {_pipe(holder.stderr).read().strip()}")
            return cls(name, holder.pid, holder)
        except BaseException:
            _end(holder)
            raise

    def prefix(self, cwd: str | os.PathLike[str] | None = None) -> list[str]:
        """The words to put before a command to run it here, in folder `cwd` (default: this process's)."""
        if not self._is_held():
            raise RehearsalError(f"{self.name}: the process that held the namespace has ended")
        return ["nsenter", "--target", str(self.pid), "--net", "--mount", f"--wd={Path(cwd or '.').resolve()}", "--"]

    def _is_held(self) -> bool:
        try:
            return _network_of(self.pid) == self._network
        except OSError:
            return False

    def run(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        input: str | None = None,  # noqa: A002
        cwd: str | os.PathLike[str] | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 30,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. With `check`, raises RehearsalError where it fails."""
        stdin = subprocess.DEVNULL if input is None else None
        done = subprocess.run(
            [*self.prefix(cwd), *command],
            input=input,
            stdin=stdin,
            capture_output=True,
            text=True,
            env=env,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            words = " ".join(str(word) for word in command)
            raise RehearsalError(
                f"{self.name}: {words}: status {done.returncode}: {(done.stderr or done.stdout).strip()}"
            )
        return done

    def popen(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        stdin: int | IO[str] | None = subprocess.DEVNULL,
        stdout: int | IO[str] | None = None,
        stderr: int | IO[str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: dict[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command (text pipes); whatever still runs here when the namespace is closed is ended then."""
        return subprocess.Popen(
            [*self.prefix(cwd), *command], stdin=stdin, stdout=stdout, stderr=stderr, env=env, text=True
        )

    def call(self, function: Callable[[], _T]) -> _T:
        """What `function` returns, run in a thread of this process that is in this network; its sockets stay there."""

        def inside() -> _T:
            with open(f"/proc/{self.pid}/ns/net") as network:
                if _libc.setns(network.fileno(), _CLONE_NEWNET) != 0:
                    raise RehearsalError(f"{self.name}: {os.strerror(ctypes.get_errno())}")
            return function()

        with ThreadPoolExecutor(1, thread_name_prefix=self.name) as pool:
            return pool.submit(inside).result()

    def ip(self, *lines: str) -> None:
        """Run lines of iproute2 without their leading `ip`, in one batch."""
        if lines:
            self.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n")

    def sysctl(self, **values: int | str) -> None:
        """Write sysctls below net.ipv4 (`conf__all__rp_filter=0`: a double underscore is a slash)."""
        words = [f"net/ipv4/{key.replace('__', '/')}={value}" for key, value in values.items()]
        self.run(["sysctl", "-q", "-w", *words])

    def processes(self) -> list[int]:
        """The processes in this namespace, its holder excepted."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != self.pid:
                try:
                    network = _network_of(int(entry))
                except OSError:
                    continue
                if network == self._network:
                    found.append(int(entry))
        return found

    def close(self) -> None:
        """End what runs here, then the holder; the kernel takes the interfaces with the last of them."""
        for kind, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0)):
            for pid in self.processes():
                _signal(pid, kind)
            deadline = time.monotonic() + patience
            while self._living() and time.monotonic() < deadline:
                time.sleep(0.01)
        if self._holder is not None:
            _end(self._holder)

    def _living(self) -> list[int]:
        return [pid for pid in self.processes() if not _is_zombie(pid)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RehearsalError("a process was started without its pipe")
    return stream


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _signal(pid: int, kind: signal.Signals) -> None:
    try:
        os.kill(pid, kind)
    except ProcessLookupError:
        return


def _end(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
