"""What the next boot of a server sets, as its configuration files say."""

from msgspec import Struct


class BootValue(Struct, frozen=True, kw_only=True):
    """What the next boot sets a sysctl to. `value` None: several programs set it, and which comes last is not known."""

    value: int | None
    source: str
    """The file and line, `/etc/sysctl.d/99-vni.conf:3`, or why it is not known."""
    inherited: bool = False
    """Taken from `net.ipv4.conf.default` when the interface appears."""

    @property
    def file(self) -> str | None:
        """The file that sets it, where one alone does."""
        return None if self.value is None else self.source.rpartition(":")[0]


class BootRule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A policy rule that a file configures. `priority` None: the manager chooses one."""

    source: str
    table: int
    src: str | None = None
    dst: str | None = None
    priority: int | None = None


class BootRoute(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A route that a file configures in a table. `prefix` None: whatever the interface learns (DHCP) goes there."""

    source: str
    table: int
    prefix: str | None = None


class BootConfig(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the server's own configuration says of the next boot, as far as it could be read.

    `unknown` names the parts of which something is not known, with the reason: `sysctls`, `routing`. What is told of
    such a part is configured, but another file may say more, or otherwise.
    """

    sysctls: dict[str, BootValue] = {}
    """By path below /proc/sys, for `net/ipv4/conf/*/*` but `forwarding`. Absent: no file sets it."""
    rules: tuple[BootRule, ...] = ()
    routes: tuple[BootRoute, ...] = ()
    unknown: dict[str, str] = {}
