"""known_hosts files: plain, hashed, `[host]:port`, wildcards with negation, @revoked, @cert-authority; read once.

paramiko's own reader is quadratic, fails as a whole on one odd line, and knows neither wildcards nor @revoked
(sshd(8), SSH_KNOWN_HOSTS FILE FORMAT, is the reference here).
"""

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
import threading
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from vnicheck.guest.errors import CollectionError
from vnicheck.model.words import one_line
from vnicheck.system.files import PIPE_SECONDS, FileTooLargeError, UnreadableError, read_file

MAX_FILE_BYTES = 32 << 20


class Trust(StrEnum):
    """What the files say of a key that a host has shown."""

    TRUSTED = "trusted"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


class KnownHost(Struct, frozen=True):
    """One line: `hosts` is its first field, `key` the base64 of its third."""

    marker: str
    hosts: str
    kind: str
    key: str


class _File:
    """The entries of a file, those of plain names by name."""

    def __init__(self, text: str) -> None:
        self.plain: dict[str, list[KnownHost]] = {}
        self.others: list[KnownHost] = []
        for line in text.split("\n"):
            entry = _parse_line(line)
            if entry is not None:
                self.add(entry)

    def add(self, entry: KnownHost) -> None:
        names = entry.hosts.split(",")
        if entry.hosts.startswith("|") or any(char in entry.hosts for char in "*?!"):
            self.others.append(entry)
            return
        for name in names:
            self.plain.setdefault(name.lower(), []).append(entry)

    def matching(self, name: str) -> list[KnownHost]:
        return [*self.plain.get(name, ()), *(entry for entry in self.others if _matches(entry.hosts, name))]


def _revokes(entries: list[KnownHost], key: str) -> bool:
    return any(entry.marker == "@revoked" and entry.key == key for entry in entries)


def _parse_line(line: str) -> KnownHost | None:
    words = line.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#") or marker not in {"", "@revoked", "@cert-authority"}:
        return None
    return KnownHost(marker, words[0], words[1], words[2])


def _matches(hosts: str, name: str) -> bool:
    if hosts.startswith("|1|"):
        parts = hosts.split("|")
        if len(parts) != 4:
            return False
        try:
            salt, digest = base64.b64decode(parts[2]), base64.b64decode(parts[3])
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)
    matched = False
    for pattern in hosts.split(","):
        negated = pattern.startswith("!")
        if _glob(pattern.removeprefix("!").lower(), name):
            if negated:
                return False
            matched = True
    return matched


def _glob(pattern: str, name: str) -> bool:
    """`*` and `?` only: in `[host]:port` the brackets are themselves."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def host_name(host: str, port: int) -> str:
    """The name under which a host's keys are filed."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def key_fingerprint(blob: bytes) -> str:
    """`SHA256:...`, as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


class KnownHosts:
    """The known_hosts files of a run. Safe to use from several threads."""

    def __init__(self) -> None:
        self._files: dict[Path, _File] = {}
        self._lock = threading.Lock()

    def _file(self, path: Path) -> _File:
        with self._lock:
            if path not in self._files:
                self._files[path] = _File(_read(path))
            return self._files[path]

    def entries(self, paths: tuple[Path, ...], name: str) -> list[KnownHost]:
        """All entries for a name (of `host_name`). Raises CollectionError `ssh_known_hosts` for an unreadable file."""
        return [entry for path in paths for entry in self._file(path).matching(name)]

    def kinds(self, paths: tuple[Path, ...], name: str) -> list[str]:
        """The key types known for a name, so that the client can ask the host for one of these."""
        return list(dict.fromkeys(entry.kind for entry in self.entries(paths, name) if not entry.marker))

    def judge(self, paths: tuple[Path, ...], name: str, blob: bytes) -> Trust:
        """What the files say of a key. Any other key known for the name makes it CHANGED, never merely unknown."""
        key = base64.b64encode(blob).decode()
        entries = self.entries(paths, name)
        if _revokes(entries, key):
            return Trust.REVOKED
        known = [entry for entry in entries if not entry.marker]
        if any(entry.key == key for entry in known):
            return Trust.TRUSTED
        return Trust.CHANGED if known else Trust.UNKNOWN

    def authorities(self, paths: tuple[Path, ...], name: str) -> set[str]:
        """The keys (base64) that may sign certificates for a name, with or without its port; revoked ones are none."""
        names = dict.fromkeys((name, name.rpartition("]:")[0].removeprefix("[") or name))
        entries = [entry for each in names for entry in self.entries(paths, each)]
        found = {entry.key for entry in entries if entry.marker == "@cert-authority"}
        return {key for key in found if not _revokes(entries, key)}

    def revoked(self, paths: tuple[Path, ...], name: str, blob: bytes) -> bool:
        """Whether a key or certificate is marked @revoked for a name."""
        return _revokes(self.entries(paths, name), base64.b64encode(blob).decode())

    def remember(self, path: Path, name: str, kind: str, blob: bytes) -> None:
        """Append a key to a file, which is made (mode 0600) if it does not exist.

        Raises CollectionError `ssh_known_hosts` where it cannot be written.
        """
        entry = KnownHost("", name, kind, base64.b64encode(blob).decode())
        known = self._file(path)
        with self._lock:
            try:
                _append(path, f"{entry.hosts} {entry.kind} {entry.key}\n")
            except OSError as error:
                raise CollectionError(
                    "ssh_known_hosts", f"cannot write {path}: {error.strerror}; name another with --known-hosts"
                ) from error
            known.add(entry)


def _read(path: Path) -> str:
    try:
        return read_file(path, MAX_FILE_BYTES, seconds=PIPE_SECONDS).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise CollectionError(
            "ssh_known_hosts", f"cannot read {path}: {error.strerror}; name another with --known-hosts"
        ) from error
    except FileTooLargeError as error:
        raise CollectionError(
            "ssh_known_hosts", f"{one_line(str(path))} is too large to be a known_hosts file"
        ) from error
    except UnreadableError as error:
        raise CollectionError("ssh_known_hosts", f"{error}; name another with --known-hosts") from error


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "rb+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size > 0:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                line = "\n" + line
        file.write(line.encode())
