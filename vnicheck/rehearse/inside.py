"""The program inside the sandbox: process 1 of namespaces of its own, which end with it.

It sees the machine's files read-only, and what may be written (/etc, /run, /tmp, ...) as copies in memory; no socket,
no process and no network of the machine.
"""

import ctypes
import os
import platform
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from io import BufferedRWPair
from pathlib import Path
from socket import socket
from tempfile import TemporaryFile
from typing import IO

import msgspec

from vnicheck.model.words import one_line
from vnicheck.rehearse.guest import RebuiltServer
from vnicheck.rehearse.namespaces import RehearsalError
from vnicheck.rehearse.network import NetworkError
from vnicheck.rehearse.packets import Tried, died_at, is_answered_inside, send
from vnicheck.rehearse.requests import (
    Build,
    Built,
    Done,
    Failed,
    Fate,
    Patch,
    Ran,
    Reply,
    Request,
    Run,
    Send,
    Sent,
    Shell,
    requests,
)
from vnicheck.rehearse.terminal import take_terminal

LIFETIME = 3600.0
"""Seconds after which the sandbox ends, whatever its user does."""
_MAX_OUTPUT = 4 << 20
_LAST_WORDS = 0.5
"""Seconds in which what a script has written is read, where something that it has left running may write more."""
_WRITABLE = ("/proc/sys/net", "/proc/1")
_DEVICES = ("full", "null", "random", "tty", "urandom", "zero", "net/tun")
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000  # linux/sched.h
_libc = ctypes.CDLL(None, use_errno=True)
_EMPTIED = ("/run", "/tmp", "/var", "/home", "/root", "/dev/shm")  # noqa: S108 - covered, not written to


def main(number: int) -> None:
    """Serves what comes over the socket `number` until its other end closes."""
    with socket(fileno=number) as connection, connection.makefile("rwb") as lines:
        try:
            hide_machine()
            lock_mounts()
            threading.Thread(target=_end_in_time, args=(connection,), daemon=True).start()
            _answer(lines, Done())
            _serve(lines)
        except (RehearsalError, OSError) as error:
            _answer(lines, Failed(message=one_line(str(error), 300)))


def _end_in_time(connection: socket) -> None:
    """Also while a script runs: the kernel ends all of this sandbox with its process 1."""
    watch = select.poll()
    watch.register(connection, select.POLLRDHUP)
    watch.poll(LIFETIME * 1000)
    os._exit(1)


def _serve(lines: BufferedRWPair) -> None:
    with ExitStack() as stack:
        server: RebuiltServer | None = None
        for line in lines:
            try:
                request = requests.decode(line)
                if isinstance(request, Build):
                    stack.close()  # one server at a time
                    server = stack.enter_context(RebuiltServer(request.network, request.guest))
                    _answer(lines, Built(told=tuple(server.told), kernel=platform.release()))
                elif server is None:
                    raise RehearsalError("nothing is built yet")
                else:
                    _answer(lines, _done(server, request))
            except subprocess.TimeoutExpired as error:
                _answer(lines, Failed(message=f"a script did not end within {error.timeout:g} s"))
            except (RehearsalError, NetworkError) as error:
                _answer(lines, Failed(message=one_line(str(error), 300)))


def _done(server: RebuiltServer, request: Request) -> Reply:
    match request:
        case Send(flows=flows, timeouts=timeouts):
            return _send(server, flows, timeouts)
        case Run(script=script, seconds=seconds):
            return _ran([*server.target.prefix("/"), "sh", "-s"], script, seconds)
        case Patch(vni=vni, changes=changes):
            server.set_vni(vni, **changes)
        case Shell():
            # our own standard error is a pipe, for the last word of a sandbox that fails
            command = [*server.target.prefix("/"), "sh", "-i"]
            subprocess.run(command, stderr=sys.stdout, check=False, preexec_fn=_take_terminal)
    return Done()


def _take_terminal() -> None:
    """In the shell's process, before it starts: Ctrl-C there is for it and its programs, not for us and who waits."""
    os.setpgid(0, 0)
    take_terminal()


def _ran(command: Sequence[str], script: str, seconds: float) -> Ran:
    """A shell with a script, to its end; what it leaves running runs on, unheard. Raises TimeoutExpired."""
    with TemporaryFile() as text:
        text.write(script.encode())
        text.seek(0)
        process = subprocess.Popen(command, stdin=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    said = bytearray(), bytearray()
    readers = [
        threading.Thread(target=_read_beginning, args=each, daemon=True)
        for each in zip((process.stdout, process.stderr), said, strict=True)
    ]
    for reader in readers:
        reader.start()
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    for reader in readers:
        reader.join(_LAST_WORDS)
    return Ran(status=status, stdout=bytes(said[0]), stderr=bytes(said[1]))


def _read_beginning(stream: IO[bytes], beginning: bytearray) -> None:
    """All is read, so that nobody waits, and no more kept than is wanted."""
    with stream:
        while part := stream.read(65536):
            beginning += part[: _MAX_OUTPUT - len(beginning)]


def _send(server: RebuiltServer, flows: Sequence[Tried], timeouts: Sequence[float]) -> Sent:
    before = server.reverse_path_drops()
    server.forget_packets()
    server.introduce_gateways()
    tried = send(server, flows, timeouts=timeouts)
    seen = server.seen()
    fates = []
    for flow in tried:
        delivered = flow.delivered and not is_answered_inside(seen, flow)
        died = None if delivered else died_at(seen, flow)
        leg, at = died if died is not None else (None, None)
        fates.append(Fate(delivered=delivered, leg=leg, at=at))
    return Sent(fates=tuple(fates), rp_filter_drops=server.reverse_path_drops() - before)


def _answer(lines: BufferedRWPair, reply: Reply) -> None:
    lines.write(msgspec.json.encode(reply) + b"\n")
    lines.flush()


def hide_machine() -> None:
    """Makes the machine's files read-only here, those that may be written to copies in memory, and its sockets gone.
    Raises RehearsalError.
    """
    if os.getpid() != 1:
        raise RehearsalError("not in a sandbox of its own")
    # this network's sysctls are to be written; the machine's other ones are not, even where it is root who asks
    for point in _WRITABLE:
        _mount("--bind", point, point)
    for point in _mount_points():
        if Path(point).parts[:2] != ("/", "dev") and point not in _WRITABLE:
            _mount("-o", "remount,bind,ro", point, must=point in {"/", "/proc"})
    needed = _needed()
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/mnt")
    for number, folder in enumerate(needed):
        kept = f"/mnt/kept/{number}"
        os.makedirs(kept)
        _mount("--rbind", folder, kept)
    _make_devices("/mnt/dev")
    _mount("--rbind", "/mnt/dev", "/dev")
    shutil.copytree("/etc", "/mnt/etc", symlinks=True, ignore=_unreadable, dirs_exist_ok=True)
    for folder in _EMPTIED:
        if os.path.isdir(folder) and not os.path.islink(folder):
            _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", folder)
    for number, folder in enumerate(needed):
        os.makedirs(folder, exist_ok=True)
        _mount("--rbind", f"/mnt/kept/{number}", folder)
    _mount("--rbind", "/mnt/etc", "/etc")
    os.chdir("/")


def _make_devices(folder: str) -> None:
    """What every program needs of /dev; no disk, and no terminal of others."""
    for name in _DEVICES:
        if os.path.exists(f"/dev/{name}"):
            place = Path(folder, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
            _mount("--bind", f"/dev/{name}", str(place))
    for name in ("pts", "shm"):
        os.makedirs(f"{folder}/{name}")
    _mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", f"{folder}/pts", must=False)
    for name, target in {
        "ptmx": "pts/ptmx",
        "fd": "/proc/self/fd",
        "stdin": "fd/0",
        "stdout": "fd/1",
        "stderr": "fd/2",
    }.items():
        os.symlink(target, f"{folder}/{name}")


def lock_mounts() -> None:
    """From here on nobody in the sandbox, its root neither, makes writable or uncovers what `hide_machine` has hidden.

    Mounts that come from another user namespace are locked (mount_namespaces(7)): so this program, alone still, enters
    another one. Raises RehearsalError.
    """
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS) != 0:
        raise RehearsalError(
            f"no user namespace within another one ({os.strerror(ctypes.get_errno())}): not allowed by sysctl "
            "user.max_user_namespaces, kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns"
        )
    for name, text in (("setgroups", "deny"), ("gid_map", "0 0 1"), ("uid_map", "0 0 1")):
        Path(f"/proc/1/{name}").write_text(text)


def _needed() -> list[str]:
    """The folders that this program runs from and that would be covered."""
    folders = {sys.prefix, sys.base_prefix, *(path for path in sys.path if path)}
    covered = [Path(folder) for folder in folders if os.path.isdir(folder) and folder.startswith(_EMPTIED)]
    return sorted(str(path) for path in covered if not any(other in path.parents for other in covered))


def _mount_points() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4].encode().decode("unicode_escape") for line in lines]


def _mount(*words: str, must: bool = True) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if must and done.returncode != 0:
        raise RehearsalError(f"mount {' '.join(words)}: {one_line(done.stderr, 200)}")


def _unreadable(folder: str, names: list[str]) -> list[str]:
    """What of a folder cannot be copied: what this user may not read, and what is no file."""
    paths = [(name, os.path.join(folder, name)) for name in names]
    return [
        name
        for name, path in paths
        if not os.path.islink(path) and not (os.access(path, os.R_OK) and (os.path.isfile(path) or os.path.isdir(path)))
    ]
