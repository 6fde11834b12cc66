"""From a target and the user's SSH configuration to the hops of the connection.

paramiko.SSHConfig reads the values. It matches one host name only, and knows no Include; so the text is prepared first:
included files are put in place, and each Host line is decided here, since an entry applies when its pattern matches
the instance's name or its address.
"""

import fnmatch
import getpass
import glob
import os
import re
import shlex
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh_options import SshOptions, SshTarget
from vnicheck.model.words import one_line

SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
SYSTEM_KNOWN_HOSTS = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))
DEFAULT_IDENTITIES = ("id_ed25519", "id_ecdsa", "id_rsa")
MAX_JUMPS = 8
MAX_INCLUDES = 16

_LINE = re.compile(r"(\w+)(?:\s*=\s*|\s+)(.+)")
_SAFE_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,254}(%[A-Za-z0-9._-]{1,15})?", re.ASCII)
_SAFE_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,99}\$?", re.ASCII)
_JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@,/]+)@)?(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^@:,/\[\]]+))(?::(?P<port>\d{1,5}))?/?"
)


class Hop(Struct, frozen=True, kw_only=True):
    """One SSH connection: to the server itself, or to a jump host before it."""

    name: str
    """As people know it: the instance's name, or the jump host as given."""
    host: str
    port: int
    user: str
    identities: tuple[Path, ...]
    """Given by the user or the configuration; they must be readable when given with -i (`required`)."""
    required: tuple[Path, ...] = ()
    identities_only: bool = False
    known_hosts: tuple[Path, ...] = ()
    host_key_alias: str | None = None
    accept_new: bool = False
    proxy_command: str | None = None

    @property
    def label(self) -> str:
        """For messages."""
        place = self.host if self.port == 22 else f"{self.host}:{self.port}"
        return place if self.name in {self.host, place} else f"{one_line(self.name, 80)} ({place})"


class SshConfig:
    """The configuration files' text, read once per run."""

    def __init__(self, options: SshOptions) -> None:
        self.options = options
        self._texts: list[tuple[str, Path]] = []
        if options.config_file is None:
            for path in (Path.home() / ".ssh/config", SYSTEM_CONFIG):
                if path.exists():
                    self._texts.append((_read(path), path))
        elif str(options.config_file) != "none":
            self._texts.append((_read(options.config_file), options.config_file))

    def hops(self, target: SshTarget) -> tuple[Hop, ...]:
        """The connections to make, the jump hosts first and the target last.

        Raises CollectionError `ssh_config` where the configuration cannot be read or leads in a circle, or where an
        address or name holds characters that must not reach a command.
        """
        require_safe_host(target.address)
        values = self._lookup((target.name, target.address), target.address)
        options = self.options
        user = options.user or values.get("user") or getpass.getuser()
        port = options.port if options.port is not None else _port(values)
        jump = options.jump if options.jump is not None else values.get("proxyjump")
        command = values.get("proxycommand") if options.jump is None else None
        hop = self._hop(target.name, values, user, port)
        if jump is not None and jump.lower() != "none":
            return (*self._jump_hops(jump, depth=0), hop)
        if command is not None:
            hop = _with_command(hop, command, target.name)
        return (hop,)

    def _jump_hops(self, text: str, depth: int) -> tuple[Hop, ...]:
        """The hops of `[user@]host[:port],...`; the first of them may have jump hosts of its own, as with ssh."""
        specs = [spec.strip() for spec in text.split(",")]
        if depth > MAX_JUMPS or len(specs) > MAX_JUMPS:
            raise CollectionError("ssh_config", f"more than {MAX_JUMPS} jump hosts; does ProxyJump lead in a circle?")
        hops: list[Hop] = []
        for number, spec in enumerate(specs):
            match = _JUMP.fullmatch(spec)
            if match is None:
                raise CollectionError("ssh_config", f"{one_line(spec, 80)!r} is no jump host; write [user@]host[:port]")
            host = match["v6"] or match["host"]
            require_safe_host(host)
            values = self._lookup((host,), host)
            user = match["user"] or values.get("user") or getpass.getuser()
            port = int(match["port"]) if match["port"] is not None else _port(values)
            hop = self._hop(host, values, user, port)
            own = values.get("proxyjump")
            if number == 0 and own is not None and own.lower() != "none":
                hops += self._jump_hops(own, depth + 1)
            elif number == 0 and values.get("proxycommand") is not None:
                hop = _with_command(hop, values["proxycommand"], host)
            hops.append(hop)
        return tuple(hops)

    def _hop(self, name: str, values: dict[str, Any], user: str, port: int) -> Hop:
        host = values.get("hostname", "")
        require_safe_host(host)
        configured = tuple(Path(path).expanduser() for path in values.get("identityfile", ()) if path != "none")
        given = tuple(path.expanduser() for path in self.options.identities)
        defaults = tuple(Path.home() / ".ssh" / path for path in DEFAULT_IDENTITIES)
        return Hop(
            name=name,
            host=host,
            port=port,
            user=user,
            identities=tuple(dict.fromkeys((*given, *(configured or (() if given else defaults))))),
            required=given,
            identities_only=str(values.get("identitiesonly", "no")).lower() == "yes",
            known_hosts=self._known_hosts(values),
            host_key_alias=values.get("hostkeyalias"),
            accept_new=self.options.accept_new_host_keys or values.get("stricthostkeychecking") == "accept-new",
        )

    def _known_hosts(self, values: dict[str, Any]) -> tuple[Path, ...]:
        if self.options.known_hosts:
            return tuple(path.expanduser() for path in self.options.known_hosts)
        configured = values.get("userknownhostsfile")
        own: tuple[Path, ...]
        if configured is None:
            own = (Path.home() / ".ssh/known_hosts", Path.home() / ".ssh/known_hosts2")
        else:
            own = tuple(Path(path).expanduser() for path in configured.split() if path != "none")
        return (*own, *SYSTEM_KNOWN_HOSTS)

    def _lookup(self, candidates: tuple[str, ...], host: str) -> dict[str, Any]:
        from paramiko import SSHConfig
        from paramiko.ssh_exception import SSHException

        lines: list[str] = []
        for text, path in self._texts:
            lines.append("Host *")
            _prepare(text, path, candidates, lines, depth=0)
        try:
            return dict(SSHConfig.from_text("\n".join(lines)).lookup(host))
        except (SSHException, ValueError, KeyError, OSError) as error:
            raise CollectionError(
                "ssh_config", f"the SSH configuration cannot be read: {one_line(str(error))}; mend it or use -F none"
            ) from error
        except Exception as error:
            if type(error).__module__.startswith(("paramiko", "invoke")):
                raise CollectionError(
                    "ssh_config", f"the SSH configuration cannot be read: {one_line(str(error))}; use -F none"
                ) from error
            raise


def require_safe_host(host: str) -> None:
    """Raises CollectionError `ssh_config` unless `host` can be no option, no shell syntax, no second word."""
    if _SAFE_HOST.fullmatch(host) is None:
        raise CollectionError("ssh_config", f"{one_line(host, 80)!r} is neither an address nor a host name")


def _with_command(hop: Hop, command: str, name: str) -> Hop:
    """The hop with its ProxyCommand. paramiko has put in %h, %p and %r; %n is left."""
    words = [hop.host]
    if "%n" in command:
        words.append(name)
        command = command.replace("%n", name)
    if _SAFE_USER.fullmatch(hop.user) is None or any(_SAFE_HOST.fullmatch(word) is None for word in words):
        raise CollectionError(
            "ssh_config", f"{one_line(name, 80)!r}: its name, address or user must not reach a ProxyCommand"
        )
    return msgspec.structs.replace(hop, proxy_command=command)


def _port(values: dict[str, Any]) -> int:
    text = str(values.get("port", "22"))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise CollectionError("ssh_config", f"{one_line(text, 20)!r} is no port; mend the SSH configuration")
    return int(text)


def _read(path: Path) -> str:
    try:
        return path.expanduser().read_text("utf-8", "replace")
    except OSError as error:
        raise CollectionError("ssh_config", f"cannot read {path}: {error.strerror}; name another with -F") from error


def _prepare(text: str, path: Path, candidates: tuple[str, ...], lines: list[str], depth: int) -> None:
    """Append the text with Include put in place, and each Host line turned into `Host *` or one that never matches."""
    block, applies = "Host *", True
    for line in text.split("\n"):
        match = _LINE.match(line.strip())
        keyword = match[1].lower() if match is not None else ""
        if match is None or keyword in {"canonicalizehostname", "canonicaldomains"}:
            if match is None and line.strip() and not line.lstrip().startswith("#"):
                lines.append(line)
        elif keyword == "host":
            applies = _applies(match[2], candidates)
            block = "Host *" if applies else "Host !*"
            lines.append(block)
        elif keyword == "match":
            block, applies = line.strip(), True
            lines.append(block)
        elif keyword == "include" and applies:
            if depth >= MAX_INCLUDES:
                raise CollectionError("ssh_config", f"{path}: Include is nested too deep")
            for included in _included(match[2], path):
                _prepare(_read(included), included, candidates, lines, depth + 1)
                lines.append(block)
        elif keyword != "include":
            lines.append(line)


def _included(patterns: str, path: Path) -> list[Path]:
    """The files that an Include names, relative to ~/.ssh, or to /etc/ssh in the system's file (ssh_config(5))."""
    base = path.parent if path.is_relative_to("/etc/ssh") else Path.home() / ".ssh"
    files: list[Path] = []
    for pattern in _words(patterns):
        files += [Path(name) for name in sorted(glob.glob(os.path.join(base, os.path.expanduser(pattern))))]
    return [file for file in files if file.is_file()]


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def _applies(patterns: str, candidates: tuple[str, ...]) -> bool:
    """Whether a Host line matches the name or the address; a negated pattern that matches either excludes both."""
    matched = False
    for pattern in _words(patterns):
        hit = any(fnmatch.fnmatchcase(name.lower(), pattern.lstrip("!").lower()) for name in candidates)
        if hit and pattern.startswith("!"):
            return False
        matched = matched or hit
    return matched
