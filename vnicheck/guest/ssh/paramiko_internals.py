"""All that we need of paramiko and it keeps to itself: its hooks by public names, for `client`, `intake` and `keys`.

Known of paramiko 3.5 to 5; a release that changes them breaks this module, and no other (the house rules see to that).
"""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paramiko import Channel, Message, Transport
from paramiko.agent import AgentSSH
from paramiko.auth_handler import AuthOnlyHandler
from paramiko.common import MSG_SERVICE_ACCEPT
from paramiko.packet import Packetizer

import vnicheck.guest.ssh.light_paramiko  # noqa: F401 - imported by ssh_config before paramiko

if TYPE_CHECKING:
    Stream = socket.socket | Channel

Handler = Callable[[Channel, Message], None]


class HookedTransport(Transport):
    """A transport that calls `on_...` where paramiko calls a method of its own, and looks twice a second whether it is
    to end. `packetizer` reads and writes its stream.
    """

    _active_check_timeout = 0.5

    def __init__(self, stream: "Stream", packetizer: type[Packetizer]) -> None:
        super().__init__(stream, packetizer_class=packetizer)
        self._handler_table[MSG_SERVICE_ACCEPT] = lambda _: self.on_service_accept()  # type: ignore[attr-defined]

    def on_service_accept(self) -> None:
        """The server takes our wish for a service."""

    def on_disconnect(self, m: Message) -> None:
        """The server ends the connection, and says why."""

    def on_banner(self) -> None:
        """The peer's first lines are to be read. Raises SSHException."""

    def send(self, message: Message) -> None:
        """Sends a message as it is."""
        self._send_message(message)  # type: ignore[attr-defined]

    def handle_channels(self, wrapped: Callable[[dict[int, Handler]], dict[int, Handler]]) -> None:
        """Replaces the handlers of channels' messages, by their numbers, with what is made of paramiko's own."""
        self._channel_handler_table = wrapped(Transport._channel_handler_table)  # type: ignore[attr-defined]

    def _parse_disconnect(self, m: Message) -> None:
        self.on_disconnect(m)

    def _parse_debug(self, _: Message) -> None:
        """Nothing: sshd tells of authorized_keys, at length."""

    def _check_banner(self) -> None:
        self.on_banner()

    def _log(self, level: int, msg: Any, *args: Any) -> None:
        """Nothing: every error reaches the caller."""


class HookedAuthHandler(AuthOnlyHandler):
    """Signing in; calls `on_...` before it takes in what the server says."""

    def on_failure(self, m: Message) -> None:
        """The server refuses, and says what it would take."""

    def on_questions(self, m: Message) -> None:
        """Message 60: questions, or to a password the wish for a new one. Raises AuthenticationException."""

    def _parse_userauth_failure(self, m: Message) -> None:
        self.on_failure(m)
        m.rewind()
        super()._parse_userauth_failure(m)  # type: ignore[misc]

    def _parse_userauth_info_request(self, m: Message) -> None:
        self.on_questions(m)
        m.rewind()
        super()._parse_userauth_info_request(m)  # type: ignore[misc]


def feed(channel: Channel, m: Message, *, errors: bool) -> None:
    """Puts what a message holds of stdout, or of stderr, into the channel's buffer."""
    if errors:
        channel._feed_extended(m)  # type: ignore[attr-defined]
    else:
        channel._feed(m)  # type: ignore[attr-defined]


def agent_at(stream: socket.socket) -> AgentSSH:
    """The agent at the other end of a stream, asked for its keys. Raises SSHException, OSError, EOFError."""
    agent = AgentSSH()
    agent._connect(stream)  # type: ignore[attr-defined]
    return agent
