"""What the caller says of the SSH connections."""

from pathlib import Path

from msgspec import Struct


class SshTarget(Struct, frozen=True, kw_only=True):
    """A server to connect to: the instance's `name`, the `address` to reach it at; `id` tells it from its namesakes.

    `login_hint`: what to say where a login is refused.
    """

    name: str
    address: str
    id: str = ""
    login_hint: str = ""

    @property
    def key(self) -> str:
        """What results are filed under: the id, or the name where there is none."""
        return self.id or self.name


class SshOptions(Struct, frozen=True, kw_only=True):
    """Options of the command line; None or empty leaves it to the SSH configuration, then to OpenSSH's defaults.

    Times are seconds: `connect_timeout` bounds TCP, banner and key exchange together, `timeout` the whole of one host.
    `max_output` is in bytes. `config_file` "none" reads no configuration. `openssh`: the system's own ssh connects.
    """

    openssh: bool = False
    user: str | None = None
    port: int | None = None
    identities: tuple[Path, ...] = ()
    config_file: Path | None = None
    known_hosts: tuple[Path, ...] = ()
    accept_new_host_keys: bool = False
    jump: str | None = None
    connect_timeout: float = 10.0
    timeout: float = 60.0
    max_output: int = 8 << 20
