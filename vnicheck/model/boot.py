"""What the next boot of a server sets, as its configuration files say."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import force_setattr

_OLD = "an older version collected it, which took every file for one that boot carries out"


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


class NotAgain(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of an interface whose owner may not configure it again at the next boot. `how`: boot leaves it down until
    somebody brings it up (`by_hand`), what configures it now is not used for it (`not`), or that is `unknown`.
    """

    how: Literal["by_hand", "not", "unknown"]
    why: str = ""


class BootConfig(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the server's own configuration says of the next boot, as far as it could be read.

    `unknown` names the parts of which something is not known, with the reason: `sysctls`, `routing`. What is told of
    such a part is configured, but another file may say more, or otherwise.
    """

    sysctls: dict[str, BootValue] = {}
    """By path below /proc/sys, for `net/ipv4/conf/*/*` but `forwarding`. Absent: no file sets it."""
    rules: tuple[BootRule, ...] = ()
    routes: tuple[BootRoute, ...] = ()
    idle_tables: tuple[int, ...] = ()
    idle_priorities: tuple[int, ...] = ()
    """Numbers in files of which boot sets nothing: of other interfaces, or of those that it does not bring up."""
    not_again: dict[str, NotAgain] = {}
    """By interface. Absent: boot uses the configuration that it has now, and brings it up."""
    carried_out: bool = False
    """Whether rules and routes are those of files that boot carries out, and `not_again` is told; older versions told
    of all.
    """
    unknown: dict[str, str] = {}

    def __post_init__(self) -> None:
        if (self.rules or self.routes) and not self.carried_out:
            force_setattr(self, "unknown", {"routing": _OLD, **self.unknown})
