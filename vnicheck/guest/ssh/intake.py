"""What a command prints, taken in by paramiko's reading thread: each piece would wake the waiting one otherwise."""

import threading
from collections.abc import Callable

from paramiko import Channel, Message
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_REQUEST,
)
from paramiko.ssh_exception import SSHException

from vnicheck.guest.ssh.paramiko_internals import Handler, feed

MAX_PACKET = 1 << 20
"""OpenSSH sends at most 256 KiB (PACKET_MAX_SIZE); a length field could claim 4 GiB."""


def channel_handlers(own: dict[int, Handler]) -> dict[int, Handler]:
    """paramiko's handlers of channel messages, those with data replaced."""
    looking = (MSG_CHANNEL_EOF, MSG_CHANNEL_REQUEST, MSG_CHANNEL_CLOSE)
    return {
        **own,
        MSG_CHANNEL_DATA: _feed,
        MSG_CHANNEL_EXTENDED_DATA: _feed_extended,
        **{kind: _then_look(own[kind]) for kind in looking},
    }


class Intake:
    """The output of the command in a channel; `over` is set at its end.

    `overflow`: more than `limit` bytes of stdout and stderr came, and the rest is left unread.
    """

    HINT = 2000

    def __init__(self, channel: Channel, limit: int) -> None:
        self.limit = limit
        self.chunks: list[bytes] = []
        self.errors = b""
        self.overflow = False
        self.over = threading.Event()
        self.heard: Callable[[bytes], None] = lambda _: None
        """Told of stdout as it comes, in the reading thread."""
        self._size = 0
        vars(channel)["intake"] = self

    def take(self, data: bytes, *, errors: bool) -> None:
        """Keep stdout, and the beginning of stderr."""
        self._size += len(data)
        if self._size > self.limit:
            self.overflow = True
            self.over.set()
        elif errors:
            self.errors += data[: self.HINT - len(self.errors)]
        else:
            self.chunks.append(data)
            self.heard(data)


def _intake(channel: Channel) -> Intake | None:
    return vars(channel).get("intake")


def _feed(channel: Channel, m: Message) -> None:
    intake = _intake(channel)
    if intake is not None:
        intake.take(m.get_binary(), errors=False)
        return
    feed(channel, m, errors=False)
    _refuse_excess(channel)


def _feed_extended(channel: Channel, m: Message) -> None:
    intake = _intake(channel)
    if intake is not None:
        m.get_int()
        intake.take(m.get_binary(), errors=True)
        return
    feed(channel, m, errors=True)
    _refuse_excess(channel)


def _refuse_excess(channel: Channel) -> None:
    """A peer that keeps to its window cannot have more than that on its way."""
    if len(channel.in_buffer) + len(channel.in_stderr_buffer) > channel.in_window_size + MAX_PACKET:
        raise SSHException("it sends more than its window allows")


def _then_look(handler: Handler) -> Handler:
    """The handler, and after it whether the command is over: its output has ended and its status is known."""

    def handle(channel: Channel, m: Message) -> None:
        handler(channel, m)
        intake = _intake(channel)
        if intake is not None and (channel.closed or (channel.eof_received and channel.status_event.is_set())):
            intake.over.set()

    return handle
