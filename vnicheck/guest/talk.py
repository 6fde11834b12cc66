"""What goes on with a command while it runs, over SSH or on this machine: lines to it, and lines from it."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from queue import Empty, SimpleQueue
from typing import IO

from vnicheck.guest.errors import CollectionError

MAX_HEARD = 4 << 20


class Talk:
    """A conversation. Whoever runs the command gives it what is printed (`hear`) and takes what is to be sent
    (`sending`), which ends when the command's input shall end; `close` is called when the command has ended.
    """

    def __init__(self) -> None:
        self._to_send: SimpleQueue[bytes | None] = SimpleQueue()
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._rest = b""
        self._problem: CollectionError | None = None
        self._size = 0

    def send(self, line: bytes) -> None:
        """A line more for the command's input."""
        self._to_send.put(line)

    def end(self) -> None:
        """The command's input shall end."""
        self._to_send.put(None)

    def line(self, seconds: float) -> bytes | None:
        """The next line that is not empty; None where the command ended, or none comes in time. Raises CollectionError
        where the connection failed.
        """
        try:
            line = self._lines.get(timeout=seconds)
        except Empty:
            return None
        if line is None:
            self._lines.put(None)
            if self._problem is not None:
                raise self._problem
        return line

    def hear(self, data: bytes) -> None:
        """Some of what the command prints."""
        self._size += len(data)
        if self._size > MAX_HEARD:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                self._lines.put(line)

    def sending(self) -> Iterator[bytes]:
        """What is to be sent, as it comes."""
        return iter(self._to_send.get, None)

    def close(self, problem: CollectionError | None = None) -> None:
        """The command has ended, or its connection (`problem`): nobody waits any longer."""
        self._problem = problem
        self._lines.put(None)
        self._to_send.put(None)


@contextmanager
def talking_here(stdin: bytes) -> Iterator[Talk]:
    """A shell script's conversation on this machine; the script ends with the context. Raises OSError."""
    talk = Talk()
    with subprocess.Popen(
        ["sh", "-s"],  # noqa: S607 - the shell of PATH, as a login would have it
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        for work in (partial(_send_to, process.stdin, stdin), partial(_hear_from, process.stdout)):
            threading.Thread(target=work, args=(talk,), daemon=True).start()
        try:
            yield talk
        finally:
            talk.end()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def _send_to(pipe: IO[bytes] | None, stdin: bytes, talk: Talk) -> None:
    if pipe is None:
        return
    with suppress(OSError):  # it ended: its silence tells
        for data in chain([stdin], talk.sending()):
            pipe.write(data)
            pipe.flush()
    with suppress(OSError):
        pipe.close()


def _hear_from(pipe: IO[bytes] | None, talk: Talk) -> None:
    for line in pipe or ():
        talk.hear(line)
    talk.close()
