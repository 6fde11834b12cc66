"""The user's keys: files, each loaded once per run, their certificates, and the agent's. Secrets come from callbacks,
once per key and once for the password.
"""

import base64
import binascii
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.certificates import certified_key, expired
from vnicheck.guest.ssh.config import SshHop
from vnicheck.model.words import one_line
from vnicheck.system.files import UnreadableError, read_file

if TYPE_CHECKING:
    from paramiko import PKey

AskPassphrase = Callable[[Path], str | None]
"""Given the key's file, its passphrase, or None where nobody can be asked."""
AskPassword = Callable[[], str | None]
"""The password for every server that wants one."""

MAX_KEY_BYTES = 1 << 20
AGENT_SECONDS = 5.0
SIGNING_SECONDS = 30.0
"""People confirm, or touch a token."""
_MAGIC = b"openssh-key-v1\0"


class KeyFile(Struct, frozen=True):
    """A private key file: whether it is encrypted, its public key where that can be told without decrypting, and the
    certificate beside it.
    """

    path: Path
    encrypted: bool
    public: bytes | None
    certificate: bytes | None = None


class Candidate(Struct, frozen=True):
    """A key to offer, and its name for messages."""

    key: "PKey"
    origin: str


class KeyRing:
    """The keys of a run. Safe to use from several threads; one prompt at a time."""

    def __init__(self, ask_passphrase: AskPassphrase | None = None, ask_password: AskPassword | None = None) -> None:
        self._ask = ask_passphrase
        self._ask_password = ask_password
        self._password: str | None = None
        self._files: dict[Path, KeyFile] = {}
        self._loaded: dict[Path, PKey | CollectionError] = {}
        self._lock = threading.Lock()

    def password(self) -> str | None:
        """The password, asked for once per run; None where there is nobody to ask, or no answer."""
        with self._lock:
            if self._ask_password is not None:
                self._password, self._ask_password = self._ask_password(), None
            return self._password

    def candidates(self, hop: SshHop, agent: "AgentKeys | None") -> Iterator[Candidate | CollectionError]:
        """What to offer, in order: the hop's own keys (the agent's copy where it holds one), each after its
        certificates, then the agent's others.

        A key that was asked for with -i and cannot be used raises CollectionError (`ssh_key_unreadable`,
        `ssh_key_encrypted`); another one is yielded as that error, to be reported should all others fail.
        """
        held = {} if agent is None else dict(agent.keys)
        certified = [] if agent is None else list(agent.certified)
        extra = [certificate for path in hop.certificates if (certificate := _blob_of(path)) is not None]
        for path in hop.identities:
            try:
                file = self._file(path)
                if file.public is not None and file.public in held:
                    key, origin = held.pop(file.public), f"{path} (agent)"
                else:
                    key, origin = self._load(file), str(path)
            except CollectionError as error:
                if path in hop.required:
                    raise
                if not isinstance(error.__cause__, FileNotFoundError):
                    yield error
                continue
            for blob in dict.fromkeys(([file.certificate] if file.certificate is not None else []) + extra):
                offer = _certified(key, blob, origin)
                if offer is not None:
                    yield offer
            for position, (public, other) in enumerate(certified):
                if public == key.asbytes():
                    yield Candidate(other, f"{origin}, the agent's certificate")
                    del certified[position]
                    break
            yield Candidate(key, origin)
        if not hop.identities_only:
            for key in (*(key for _, key in certified), *held.values()):
                yield Candidate(key, f"agent {one_line(getattr(key, 'comment', ''), 60)}".strip())

    def _file(self, path: Path) -> KeyFile:
        with self._lock:
            file = self._files.get(path)
        if file is None:
            file = read_key_file(path)
            with self._lock:
                self._files[path] = file
        return file

    def _load(self, file: KeyFile) -> "PKey":
        with self._lock:
            known = self._loaded.get(file.path)
            if known is None:
                try:
                    known = _load_key(file, self._passphrase(file) if file.encrypted else None)
                except CollectionError as error:
                    known = error
                self._loaded[file.path] = known
        if isinstance(known, CollectionError):
            raise CollectionError(known.code, known.message)
        return known

    def _passphrase(self, file: KeyFile) -> str:
        passphrase = None if self._ask is None else self._ask(file.path)
        if passphrase is None:
            raise CollectionError(
                "ssh_key_encrypted", f"{file.path} needs a passphrase: load it into an agent (ssh-add {file.path})"
            )
        return passphrase


class AgentKeys:
    """A connection to an agent, and what it holds: keys by their public part, and certificates beside theirs."""

    def __init__(self, path: str) -> None:
        from vnicheck.guest.ssh.paramiko_internals import agent_at

        self._stream = socket.socket(socket.AF_UNIX)
        try:
            self._stream.settimeout(AGENT_SECONDS)
            self._stream.connect(path)
            agent = agent_at(self._stream)
            self._stream.settimeout(SIGNING_SECONDS)
        except BaseException:
            self._stream.close()
            raise
        self.keys: dict[bytes, PKey] = {}
        self.certified: list[tuple[bytes, PKey]] = []
        for key in agent.get_keys():
            if key.get_name().endswith("-cert-v01@openssh.com"):
                # The agent knows it by the whole certificate, the server wants the whole certificate
                self.certified.append((certified_key(key.blob) or b"", _with_blob(key, key.blob, inner_key=None)))
            else:
                self.keys[key.asbytes()] = key

    def close(self) -> None:
        """End the connection."""
        self._stream.close()


def open_agent(path: str | None) -> AgentKeys | None:
    """The agent at `path` (None: that of SSH_AUTH_SOCK, "none": none); None where none is named.

    Raises CollectionError `ssh_agent` where one is named and does not answer.
    """
    from paramiko import SSHException

    place = os.environ.get("SSH_AUTH_SOCK") if path is None else path
    if not place or place == "none":
        return None
    try:
        return AgentKeys(place)
    except (SSHException, OSError, EOFError, ValueError, struct.error) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CollectionError(
            "ssh_agent",
            f"the SSH agent at {one_line(place, 100)} does not answer ({one_line(reason, 60)}); start it anew and "
            "ssh-add the key, or unset SSH_AUTH_SOCK",
        ) from error


def _with_blob(key: "PKey", blob: bytes, **changes: Any) -> "PKey":
    """A copy of the key that is offered as the certificate `blob`."""
    from paramiko.message import Message
    from paramiko.pkey import PublicBlob

    certified = object.__new__(type(key))  # `copy` cannot take an agent's key
    vars(certified).update(vars(key) | changes | {"public_blob": PublicBlob.from_message(Message(blob))})
    return certified


def _certified(key: "PKey", blob: bytes, origin: str) -> Candidate | CollectionError | None:
    """The key with a certificate; None where that is another key's."""
    if certified_key(blob) != key.asbytes():
        return None
    day = expired(blob, time.time())
    if day is not None:
        return CollectionError("ssh_auth", f"the certificate of {origin} expired on {day}")
    return Candidate(_with_blob(key, blob), f"{origin}, its certificate")


def read_key_file(path: Path) -> KeyFile:
    """What a private key file says without its passphrase, and the certificate beside it.

    Raises CollectionError `ssh_key_unreadable`.
    """
    try:
        text = read_file(path, MAX_KEY_BYTES).decode("ascii", "replace")
    except OSError as error:
        raise CollectionError(
            "ssh_key_unreadable", f"cannot read the key {path}: {error.strerror}; name another with -i"
        ) from error
    except UnreadableError as error:
        raise CollectionError("ssh_key_unreadable", f"{error}; name another key with -i") from error
    if "PRIVATE KEY-----" not in text:
        raise CollectionError("ssh_key_unreadable", f"{path} is not a private key; name one with -i")
    body, certificate = _openssh_body(text), _blob_of(_beside(path, "-cert.pub"))
    if body is None:
        return KeyFile(path, "ENCRYPTED" in text, _blob_of(_beside(path, ".pub")), certificate)
    return KeyFile(path, body[0] != b"none", body[1], certificate)


def _openssh_body(text: str) -> tuple[bytes, bytes] | None:
    """Cipher name and public key of an OpenSSH key file (PROTOCOL.key): both stand before the encrypted part."""
    if "BEGIN OPENSSH PRIVATE KEY" not in text:
        return None
    lines = [line.strip() for line in text.split("\n") if line.strip() and not line.startswith("-----")]
    try:
        blob = base64.b64decode("".join(lines))
        if not blob.startswith(_MAGIC):
            return None
        cipher, rest = _string(blob[len(_MAGIC) :])
        _, rest = _string(rest)
        _, rest = _string(rest)
        public, _ = _string(rest[4:])
    except (binascii.Error, ValueError, struct.error):
        return None
    return cipher, public


def _string(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from(">I", data)
    return data[4 : 4 + length], data[4 + length :]


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _blob_of(path: Path) -> bytes | None:
    """The key or certificate of a `.pub` file; None where there is none."""
    try:
        words = read_file(path, MAX_KEY_BYTES).decode("ascii", "replace")[:50000].split()
        return base64.b64decode(words[1]) if len(words) > 1 else None
    except (OSError, UnreadableError, ValueError):
        return None


def _load_key(file: KeyFile, passphrase: str | None) -> "PKey":
    from paramiko import PKey, SSHException
    from paramiko.pkey import UnknownKeyType

    secret: Any = None if passphrase is None else passphrase.encode()  # annotated as str, but only bytes are taken
    try:
        return PKey.from_path(file.path, secret)
    except UnknownKeyType as error:
        raise CollectionError("ssh_key_unreadable", f"{file.path}: a key of a type that is not supported") from error
    except (SSHException, ValueError, TypeError, OSError) as error:
        if file.encrypted:
            raise CollectionError("ssh_key_encrypted", f"{file.path}: wrong passphrase") from error
        raise CollectionError("ssh_key_unreadable", f"{file.path} is damaged, or no private key") from error
    except Exception as error:
        if type(error).__module__.startswith("cryptography"):
            raise CollectionError("ssh_key_unreadable", f"{file.path}: its encryption is not supported") from error
        raise
