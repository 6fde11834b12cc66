"""paramiko's client with its gaps closed: no peer can hold us for ever or fill our memory, and why it ends is kept.

Three classes replace their namesakes of paramiko 3.5 to 5: `Wire` reads in large pieces and refuses oversized packets,
`Login` signs in the caller's thread and remembers which methods the server takes, `Client` bounds the banner and the
channels' buffers. Imported only where a connection is made: paramiko takes its time.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from paramiko import Channel, Message
from paramiko.common import cMSG_SERVICE_REQUEST, cMSG_USERAUTH_REQUEST
from paramiko.packet import NeedRekeyException, Packetizer
from paramiko.ssh_exception import AuthenticationException, SSHException

import vnicheck.guest.ssh.light_paramiko  # noqa: F401 - imported by ssh_config before paramiko
from vnicheck.guest.ssh.intake import MAX_PACKET, Intake, channel_handlers
from vnicheck.guest.ssh.paramiko_internals import HookedAuthHandler, HookedTransport
from vnicheck.model.words import one_line

if TYPE_CHECKING:
    from vnicheck.guest.ssh.paramiko_internals import Stream

MAX_BANNER_LINES = 100
MAX_BANNER_BYTES = 64 << 10
MAX_PROMPTS = 8
THROTTLED = (b"exceeded maxstartups", b"not allowed at this time", b"too many connections")
"""What sshd says before it drops a connection (sshd.c, drop_connection), before its banner."""

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
MACS = (
    "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512", "hmac-sha1",
)  # fmt: skip
"""OpenSSH's own default offer as far as paramiko knows it, the cheapest first: no CBC, no MD5."""
CERTIFICATE = "-cert-v01@openssh.com"


class BannerError(SSHException):
    """No SSH banner. `kind`: `silent`, `endless`, `other` (it speaks something else), `closed`, `throttled`."""

    def __init__(self, kind: str, heard: bytes = b"") -> None:
        super().__init__(kind)
        self.kind = kind
        self.heard = one_line(heard[:400].decode("utf-8", "replace").strip(), 80)


class AskedFurther(AuthenticationException):
    """The server asks something that a password does not answer."""


class Wire(Packetizer):
    """Reads ahead, so that a packet costs one system call instead of three, and never more than MAX_PACKET."""

    def __init__(self, stream: "Stream") -> None:
        super().__init__(stream)  # type: ignore[arg-type]
        self._stream = stream
        self._ahead = bytearray()
        self._handshake_end: float | None = None

    def close(self) -> None:
        """Close the stream; that of a jump host may have gone before."""
        with contextlib.suppress(OSError, EOFError, SSHException):
            super().close()

    def start_handshake(self, timeout: float) -> None:
        """From now on the handshake has `timeout` seconds; paramiko starts a thread for that."""
        self._handshake_end = time.monotonic() + timeout

    def handshake_timed_out(self) -> bool:
        return self._handshake_end is not None and time.monotonic() > self._handshake_end

    def complete_handshake(self) -> None:
        """Called after every message: the first of them ends the wait for a peer that is silent after its banner."""
        self._handshake_end = None

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """Exactly `n` bytes. Raises EOFError, SSHException, NeedRekeyException as paramiko's own."""
        if n > MAX_PACKET:
            raise SSHException("a packet larger than any SSH server sends")
        ahead = self._ahead
        while len(ahead) < n:
            if self.handshake_timed_out():
                raise EOFError
            if not self._fill() and check_rekey and not ahead and self.need_rekey():
                raise NeedRekeyException
        data = bytes(ahead[:n])
        del ahead[:n]
        return data

    def _fill(self) -> bool:
        """Read what there is; False where nothing came for a while."""
        try:
            data = self._stream.recv(65536)
        except TimeoutError:
            if self.closed:
                raise EOFError from None
            return False
        except OSError:
            if self.closed:
                raise EOFError from None
            raise
        if not data:
            raise EOFError
        self._ahead += data
        return True

    def banner(self, seconds: float) -> str:
        """The peer's `SSH-` line; what it sends before that is skipped. Raises BannerError."""
        start = time.monotonic()
        last, heard, lines, size = start, b"", 0, 0
        while True:
            line, newline, rest = self._ahead.partition(b"\n")
            if newline:
                self._ahead[:] = rest
                if line.startswith(b"SSH-"):
                    return bytes(line).rstrip(b"\r").decode("utf-8", "replace")
                heard = heard or bytes(line[:400])
                lines, size = lines + 1, size + len(line)
            if lines > MAX_BANNER_LINES or size + len(self._ahead) > MAX_BANNER_BYTES:
                raise BannerError("endless", heard or bytes(self._ahead[:400]))
            if newline:
                continue
            now = time.monotonic()
            if now - start >= seconds:
                heard = heard or bytes(self._ahead[:400])
                still = now - last < seconds / 4
                raise BannerError("silent" if not heard else "endless" if still else "other", heard)
            try:
                if self._fill():
                    last = time.monotonic()
            except (EOFError, OSError):
                heard = heard or bytes(self._ahead[:400])
                throttled = any(words in heard.lower() for words in THROTTLED)
                raise BannerError("throttled" if throttled else "other" if heard else "closed", heard) from None


class Login(HookedAuthHandler):
    """One attempt after the other on one connection; `allowed` is what the server said it takes, None before that."""

    transport: "Client"

    def __init__(self, transport: "Client") -> None:
        super().__init__(transport)
        self.allowed: tuple[str, ...] | None = None

    def send_auth_request(
        self, username: str, method: str, finish_message: Callable[[Message], None] | None = None
    ) -> list[str]:
        """As paramiko's, which misses an answer that comes before it has set its event."""
        self.auth_method = method
        self.username = username
        message = Message()
        message.add_byte(cMSG_USERAUTH_REQUEST)
        for text in (username, "ssh-connection", method):
            message.add_string(text)
        if finish_message is not None:
            finish_message(message)
        self.auth_event = event = threading.Event()
        with self.transport.lock:
            self.transport.send(message)
        return list(self.wait_for_response(event))

    def on_failure(self, m: Message) -> None:
        """Remembers what the server takes."""
        self.allowed = tuple(one_line(method, 40) for method in m.get_list()[:20])

    def on_questions(self, m: Message) -> None:
        """Refuses all but a few questions. Raises AskedFurther."""
        if self.auth_method != "keyboard-interactive":
            raise AskedFurther("it wants the password changed")
        for _ in ("title", "instructions", "language"):
            m.get_binary()
        count = m.get_int()
        if count > MAX_PROMPTS:
            raise AskedFurther(f"it asks {count} questions")


class Client(HookedTransport):
    """A connection to a server that is not trusted. `farewell` is what the server said when it ended it."""

    packetizer: Wire
    auth_handler: "Login | None"

    def __init__(self, stream: "Stream") -> None:
        self.farewell = ""
        self._ready = threading.Event()
        self._intakes: list[Intake] = []
        super().__init__(stream, Wire)
        self.daemon = True
        self.certificates_first = False
        security = self.get_security_options()
        security.ciphers = CIPHERS
        security.digests = MACS
        self.handle_channels(channel_handlers)

    @property
    def preferred_keys(self) -> Sequence[str]:
        """The host key algorithms offered: certificates first where only an authority is known for the host."""
        offered = super().preferred_keys
        if not self.certificates_first:
            return offered
        return tuple(sorted(offered, key=lambda kind: not kind.endswith(CERTIFICATE)))

    def run(self) -> None:
        """The reading thread; what it meets at its very end, when all is closed, is nobody's concern."""
        with contextlib.suppress(OSError, EOFError, SSHException):
            super().run()
        for intake in self._intakes:
            intake.over.set()

    def take_in(self, limit: int, seconds: float) -> tuple[Channel, Intake]:
        """A session whose output, up to `limit` bytes, is taken in. Its window is that large: no need to adjust it."""
        channel = self.open_session(window_size=limit + MAX_PACKET, timeout=seconds)
        intake = Intake(channel, limit)
        self._intakes.append(intake)
        if not self.is_active():  # it ended before it knew of the intake
            intake.over.set()
        return channel, intake

    def end(self) -> None:
        """Close at once: without the shutdown the reading thread would notice only at its next timeout."""
        with contextlib.suppress(OSError, EOFError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.close()

    def login(self, seconds: float) -> Login:
        """Ask for the authentication service; attempts follow on what is returned. Raises AuthenticationException."""
        self.auth_timeout = seconds
        message = Message()
        message.add_byte(cMSG_SERVICE_REQUEST)
        message.add_string("ssh-userauth")
        self.send(message)
        end = time.monotonic() + seconds
        while not self._ready.wait(0.1):
            if not self.is_active():
                raise AuthenticationException("Authentication failed: transport shut down or saw EOF")
            if time.monotonic() >= end:
                raise AuthenticationException("Authentication timeout.")
        self.auth_handler = login = Login(self)
        return login

    def on_service_accept(self) -> None:
        """Lets `login` go on."""
        self._ready.set()

    def on_disconnect(self, m: Message) -> None:
        """Keeps the farewell."""
        m.get_int()
        self.farewell = one_line(m.get_binary()[:400].decode("utf-8", "replace"), 120)

    def on_banner(self) -> None:
        """As paramiko's, which waits for lines without end, and for a line without end."""
        line = self.packetizer.banner(self.banner_timeout)
        self.remote_version = line
        if not line.startswith(("SSH-2.0-", "SSH-1.99-")):
            raise SSHException(f"it speaks {one_line(line, 40)}, not SSH 2")


def answers(password: str) -> Callable[[str, str, list[tuple[str, bool]]], list[str]]:
    """A handler for keyboard-interactive that knows one answer, to the first hidden question. Raises AskedFurther."""
    given: list[str] = []

    def handler(_title: str, _instructions: str, questions: list[tuple[str, bool]]) -> list[str]:
        if not questions:
            return []
        question, echoed = questions[0]
        if given or len(questions) > 1 or echoed:
            raise AskedFurther(f"it asks {one_line(questions[-1][0], 60)!r}")
        given.append(question)
        return [password]

    return handler
