"""From a target and the user's SSH configuration to the hops of the connection.

paramiko.SSHConfig reads the values, of lines that `ssh_config_lines` has prepared.
"""

import getpass
import os
import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.config_lines import ConfigReader, read_config, words
from vnicheck.guest.ssh.options import SshOptions, SshTarget
from vnicheck.model.words import one_line

SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
SYSTEM_KNOWN_HOSTS = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))
DEFAULT_IDENTITIES = ("id_ed25519", "id_ecdsa", "id_rsa")
MAX_JUMPS = 8

_SAFE_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,254}(%[A-Za-z0-9._-]{1,15})?", re.ASCII)
_SAFE_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,99}\$?", re.ASCII)
JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@,/]+)@)?(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^@:,/\[\]]+))(?::(?P<port>\d{1,5}))?/?"
)


class SshHop(Struct, frozen=True, kw_only=True):
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
    certificates: tuple[Path, ...] = ()
    """Of CertificateFile; those beside the identities are found without it."""
    agent: str | None = None
    """The agent's socket; None: that of SSH_AUTH_SOCK, "none": no agent."""
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
        self._notes: dict[str, None] = {}
        self._home = Path.home()
        self._given = tuple(path.expanduser() for path in options.identities)
        self._known = tuple(path.expanduser() for path in options.known_hosts)
        if options.config_file is None:
            for path in (Path.home() / ".ssh/config", SYSTEM_CONFIG):
                if path.exists():
                    self._texts.append((read_config(path), path))
        elif str(options.config_file) != "none":
            self._texts.append((read_config(options.config_file), options.config_file))

    def hops(self, target: SshTarget) -> tuple[SshHop, ...]:
        """The connections to make, the jump hosts first and the target last.

        Raises CollectionError `ssh_config` where the configuration cannot be read or leads in a circle, or where an
        address or name holds characters that must not reach a command.
        """
        require_safe_host(target.address)
        _require_own_name()
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

    def _jump_hops(self, text: str, depth: int) -> tuple[SshHop, ...]:
        """The hops of `[user@]host[:port],...`; the first of them may have jump hosts of its own, as with ssh."""
        specs = [spec.strip() for spec in text.split(",")]
        if depth > MAX_JUMPS or len(specs) > MAX_JUMPS:
            raise CollectionError("ssh_config", f"more than {MAX_JUMPS} jump hosts; does ProxyJump lead in a circle?")
        hops: list[SshHop] = []
        for number, spec in enumerate(specs):
            match = JUMP.fullmatch(spec)
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

    def _hop(self, name: str, values: dict[str, Any], user: str, port: int) -> SshHop:
        host = values.get("hostname", "")
        require_safe_host(host)
        configured = tuple(Path(path).expanduser() for path in values.get("identityfile", ()) if path != "none")
        given = self._given
        defaults = () if given or configured else tuple(self._home / ".ssh" / name for name in DEFAULT_IDENTITIES)
        return SshHop(
            name=name,
            host=host,
            port=port,
            user=user,
            identities=tuple(dict.fromkeys((*given, *configured, *defaults))),
            required=given,
            certificates=tuple(
                Path(path).expanduser() for path in values.get("certificatefile", "").split("|") if path
            ),
            agent=self._agent(values),
            identities_only=str(values.get("identitiesonly", "no")).lower() == "yes",
            known_hosts=self._known_hosts(values),
            host_key_alias=values.get("hostkeyalias"),
            accept_new=self.options.accept_new_host_keys or values.get("stricthostkeychecking") == "accept-new",
        )

    def _known_hosts(self, values: dict[str, Any]) -> tuple[Path, ...]:
        if self._known:
            return self._known
        configured = values.get("userknownhostsfile")
        own: tuple[Path, ...]
        if configured is None:
            own = (self._home / ".ssh/known_hosts", self._home / ".ssh/known_hosts2")
        else:
            own = tuple(Path(path).expanduser() for path in words(configured) if path != "none")
        system = values.get("globalknownhostsfile")
        others = SYSTEM_KNOWN_HOSTS if system is None else tuple(Path(path) for path in words(system) if path != "none")
        return (*own, *others)

    def _agent(self, values: dict[str, Any]) -> str | None:
        """IdentityAgent: a path, a variable that holds one, or `none`; None where SSH_AUTH_SOCK decides."""
        configured: str | None = values.get("identityagent")
        if configured is None or configured == "SSH_AUTH_SOCK":
            return None
        if configured.startswith("$"):
            return os.environ.get(configured[1:].strip("{}"), "none")
        return os.path.expanduser(configured)

    @property
    def files(self) -> tuple[Path, ...]:
        """Those that were read."""
        return tuple(path for _, path in self._texts)

    def notes(self) -> tuple[str, ...]:
        """What of the configuration was left out, and why: a line each."""
        return tuple(self._notes)

    def _lookup(self, candidates: tuple[str, ...], host: str) -> dict[str, Any]:
        import vnicheck.guest.ssh.light_paramiko  # noqa: F401, I001 - before paramiko
        from paramiko import SSHConfig
        from paramiko.ssh_exception import SSHException

        if not self._texts:
            return {"hostname": host}
        reader = ConfigReader(candidates, host, self.options.user)
        for text, path in self._texts:
            reader.read(text, path)
        if reader.has_final:
            reader.start_final()
            for text, path in self._texts:
                reader.read(text, path)
        self._notes.update(dict.fromkeys(reader.notes))
        try:
            return dict(SSHConfig.from_text("\n".join(reader.lines)).lookup(host))
        except (SSHException, ValueError, KeyError, OSError) as error:
            raise CollectionError(
                "ssh_config", f"the SSH configuration cannot be read: {one_line(str(error))}; fix it or use -F none"
            ) from error
        except Exception as error:
            if type(error).__module__.startswith(("paramiko", "invoke")):
                raise CollectionError(
                    "ssh_config", f"the SSH configuration cannot be read: {one_line(str(error))}; use -F none"
                ) from error
            raise


def is_safe_host(host: str) -> bool:
    """Whether `host` can be no option, no shell syntax, no second word."""
    return _SAFE_HOST.fullmatch(host) is not None


def is_safe_user(user: str) -> bool:
    """The same of a user's name."""
    return _SAFE_USER.fullmatch(user) is not None


def _require_own_name() -> None:
    """Raises CollectionError `ssh_config` in a container whose user has no name: SSH's defaults are made of it."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        raise CollectionError(
            "ssh_config", f"uid {os.getuid()} has no name on this machine; set the variable USER to the login name"
        ) from None


def require_safe_host(host: str) -> None:
    """Raises CollectionError `ssh_config` unless `host` can be no option, no shell syntax, no second word."""
    if not is_safe_host(host):
        raise CollectionError("ssh_config", f"{one_line(host, 80)!r} is neither an address nor a host name")


def _with_command(hop: SshHop, command: str, name: str) -> SshHop:
    """The hop with its ProxyCommand. paramiko has put in %h, %p and %r; %n is left."""
    words = [hop.host]
    if "%n" in command:
        words.append(name)
        command = command.replace("%n", name)
    if not is_safe_user(hop.user) or any(_SAFE_HOST.fullmatch(word) is None for word in words):
        raise CollectionError(
            "ssh_config", f"{one_line(name, 80)!r}: its name, address or user must not reach a ProxyCommand"
        )
    return msgspec.structs.replace(hop, proxy_command=command)


def _port(values: dict[str, Any]) -> int:
    text = str(values.get("port", "22"))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise CollectionError("ssh_config", f"{one_line(text, 20)!r} is no port; fix the SSH configuration")
    return int(text)
