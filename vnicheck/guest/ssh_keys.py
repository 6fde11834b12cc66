"""The user's keys: files, each loaded once per run, and the agent's. Passphrases come from a callback, once per key."""

import base64
import binascii
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from vnicheck.bounded import bounded
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh_config import Hop
from vnicheck.model.words import one_line

if TYPE_CHECKING:
    from paramiko import Agent, PKey

AskPassphrase = Callable[[Path], str | None]
"""Given the key's file, its passphrase, or None where nobody can be asked."""

MAX_KEY_BYTES = 1 << 20
AGENT_SECONDS = 5.0
_MAGIC = b"openssh-key-v1\0"


class KeyFile(Struct, frozen=True):
    """A private key file: whether it is encrypted, and its public key where that can be told without decrypting."""

    path: Path
    encrypted: bool
    public: bytes | None


class Candidate(Struct, frozen=True):
    """A key to offer, and its name for messages."""

    key: "PKey"
    origin: str


class KeyRing:
    """The keys of a run. Safe to use from several threads; one prompt at a time."""

    def __init__(self, ask_passphrase: AskPassphrase | None = None) -> None:
        self._ask = ask_passphrase
        self._loaded: dict[Path, PKey | CollectionError] = {}
        self._lock = threading.Lock()

    def candidates(self, hop: Hop, agent: "Agent | None") -> Iterator[Candidate | CollectionError]:
        """What to offer, in order: the hop's own keys (the agent's copy where it holds one), then the agent's others.

        A key that was asked for with -i and cannot be used raises CollectionError (`ssh_key_unreadable`,
        `ssh_key_encrypted`); another one is yielded as that error, to be reported should all others fail.
        """
        held = {} if agent is None else {key.asbytes(): key for key in agent.get_keys()}
        for path in hop.identities:
            required = path in hop.required
            try:
                file = read_key_file(path)
                if file.public is not None and file.public in held:
                    yield Candidate(held.pop(file.public), f"{path} (agent)")
                else:
                    yield Candidate(self._load(file), str(path))
            except CollectionError as error:
                if required:
                    raise
                if not isinstance(error.__cause__, FileNotFoundError):
                    yield error
        if not hop.identities_only:
            for key in held.values():
                yield Candidate(key, f"agent {one_line(getattr(key, 'comment', ''), 60)}".strip())

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


def open_agent() -> "Agent | None":
    """A connection to the agent of SSH_AUTH_SOCK; None where there is none or it does not answer."""
    from paramiko import Agent, SSHException

    try:
        return bounded(Agent, AGENT_SECONDS)
    except (SSHException, OSError, EOFError, TimeoutError, ValueError, struct.error):
        return None


def read_key_file(path: Path) -> KeyFile:
    """What a private key file says without its passphrase. Raises CollectionError `ssh_key_unreadable`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise CollectionError(
            "ssh_key_unreadable", f"cannot read the key {path}: {error.strerror}; name another with -i"
        ) from error
    text = data.decode("ascii", "replace")
    if "PRIVATE KEY-----" not in text:
        raise CollectionError("ssh_key_unreadable", f"{path} is not a private key; name one with -i")
    body = _openssh_body(text)
    if body is None:
        return KeyFile(path, "ENCRYPTED" in text, _public_beside(path))
    return KeyFile(path, body[0] != b"none", body[1])


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


def _public_beside(path: Path) -> bytes | None:
    try:
        words = path.with_name(path.name + ".pub").read_text("ascii", "replace")[:20000].split()
        return base64.b64decode(words[1]) if len(words) > 1 else None
    except (OSError, ValueError):
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
