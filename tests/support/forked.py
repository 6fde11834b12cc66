"""The program, imported once and forked for each run: to start it anew takes longer than most of what it is asked.

Each run is still a process of its own, with the real command line, environment, folder and streams, from
`vnicheck/__main__.py` on; only Python's start and the imports are shared.
"""

import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
_ONE_SERVER = threading.Lock()


def run(arguments: Sequence[str], env: Mapping[str, str], folder: Path | None, timeout: float) -> tuple[int, str, str]:
    """Exit code (of a signal: below 0, as subprocess has it), stdout and stderr. Raises subprocess.TimeoutExpired."""
    job = {"arguments": list(arguments), "env": dict(env), "folder": str(folder or Path.cwd())}
    pipes = [os.pipe() for _ in range(3)]
    with _ONE_SERVER:
        socket.send_fds(_server(), [json.dumps(job).encode()], [write for _, write in pipes])
    for _, write in pipes:
        os.close(write)
    heard: dict[int, bytes] = {read: b"" for read, _ in pipes}
    try:
        _read(heard, time.monotonic() + timeout)
        stdout, stderr, status = (heard[read].decode() for read, _ in pipes)
    except TimeoutError:
        os.kill(int(heard[pipes[2][0]].split()[0]), signal.SIGKILL)
        raise subprocess.TimeoutExpired(["vnicheck", *arguments], timeout) from None
    finally:
        for read, _ in pipes:
            os.close(read)
    return int(status.split()[1]), stdout, stderr


def _read(heard: dict[int, bytes], until: float) -> None:
    """To the end of each pipe, or raises TimeoutError."""
    with selectors.DefaultSelector() as waiting:
        for end in heard:
            waiting.register(end, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(max(until - time.monotonic(), 0))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                heard[key.fd] += data
                if not data:
                    waiting.unregister(key.fd)


@cache
def _server() -> socket.socket:
    """The socket of a process that forks, one for each of our own. It ends with us: nobody else has our end."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    subprocess.Popen([sys.executable, "-m", __name__, str(its.fileno())], cwd=ROOT, pass_fds=[its.fileno()])
    its.close()
    return ours


def _serve(asked: socket.socket) -> None:
    for module in pkgutil.iter_modules(importlib.import_module("vnicheck.cli").__path__, "vnicheck.cli."):
        importlib.import_module(module.name)
    gc.collect()
    gc.freeze()
    while True:
        data, streams, _, _ = socket.recv_fds(asked, 1 << 20, 3)
        if not data:
            return
        if (between := os.fork()) == 0:
            asked.close()
            _run(json.loads(data), *streams)
        for stream in streams:
            os.close(stream)
        os.waitpid(between, 0)


def _run(job: dict[str, Any], stdout: int, stderr: int, status: int) -> NoReturn:
    """In a child: a child of its own that nobody waits for starts the program, and waits to say how it ended."""
    if os.fork():
        os._exit(0)
    if (child := os.fork()) == 0:
        os.close(status)
        _become(job, stdout, stderr)
    os.close(stdout)
    os.close(stderr)
    os.write(status, f"{child} ".encode())
    os.write(status, str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
    os._exit(0)


def _become(job: dict[str, Any], *streams: int) -> NoReturn:
    for number, stream in enumerate((os.open(os.devnull, os.O_RDONLY), *streams)):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(job["env"])
    os.chdir(job["folder"])
    sys.argv[1:] = job["arguments"]
    runpy.run_module("vnicheck", run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
