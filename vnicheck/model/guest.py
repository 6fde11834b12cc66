"""What a server says of itself from inside: links, addresses, routes, policy rules, sysctls.

Everything here is as collected; nothing is derived. Text that a parser could not read is kept in an `unmodelled` field
next to the thing that it belongs to, so that the kernel model can say `unknown` for just the lookups that it may touch.
"""

import re
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from vnicheck.model.address import parse_address, parse_prefix, split_prefix

MAIN_TABLE = 254
LOCAL_TABLE = 255
DEFAULT_TABLE = 253

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class RouteType(StrEnum):
    """`rtm_type` of a route, by the names of iproute2 (linux/rtnetlink.h)."""

    UNICAST = "unicast"
    LOCAL = "local"
    BROADCAST = "broadcast"
    ANYCAST = "anycast"
    MULTICAST = "multicast"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"
    THROW = "throw"


class RuleAction(StrEnum):
    """What a policy rule does when it matches (linux/fib_rules.h)."""

    TABLE = "table"
    GOTO = "goto"
    NOP = "nop"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"


class InterfaceAddress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One IPv4 address of an interface, in dump order.

    `prefix` keeps host bits (`10.0.0.12/24`); `peer` is the far end of a point-to-point address (a prefix).
    """

    prefix: str
    scope: str = "global"
    secondary: bool = False
    dynamic: bool = False
    noprefixroute: bool = False
    broadcast: str | None = None
    peer: str | None = None

    def __post_init__(self) -> None:
        split_prefix(self.prefix)
        if self.peer is not None:
            split_prefix(self.peer)
        if self.broadcast is not None:
            parse_address(self.broadcast)

    @property
    def address(self) -> str:
        """The address without its length."""
        return self.prefix.partition("/")[0]


class Interface(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One link of the guest. `up` is IFF_UP (administratively), `carrier` is LOWER_UP."""

    name: str
    index: int
    up: bool
    carrier: bool
    mac: str | None = None
    kind: str | None = None
    """`vlan`, `macvlan`, `bridge`, `bond`, `vrf`, ... (IFLA_INFO_KIND); None for a plain device or where not shown."""
    master: str | None = None
    vrf_table: int | None = None
    """The routing table of a VRF device (`kind` is `vrf`)."""
    parent: str | None = None
    """The lower device of a VLAN or macvlan (`eth0` of `eth0.100@eth0`)."""
    group: int = 0
    mtu: int | None = None
    flags: tuple[str, ...] = ()
    addresses: tuple[InterfaceAddress, ...] = ()
    unmodelled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 64:
            raise ValueError(f"interface name {self.name[:40]!r} is empty or too long")
        if self.mac is not None and not _MAC.fullmatch(self.mac):
            raise ValueError(f"interface {self.name[:40]!r}: {self.mac[:40]!r} is not a MAC address in lower case")
        if not 0 < self.index < 2**31:
            raise ValueError(f"interface {self.name[:40]!r}: {self.index} is not an interface's index")


class NextHop(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a route sends a packet: a device, with a gateway or on-link.

    `flags` are iproute2's (`onlink`, `dead`, `linkdown`, `pervasive`, ...).
    """

    interface: str | None = None
    gateway: str | None = None
    weight: int = 1
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.gateway is not None:
            parse_address(self.gateway)


class Route(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One FIB entry. Order within a table is the order of the dump: the kernel's own order among equals.

    `nexthops` of a route that uses a nexthop object (`nexthop_id`) are those that the dump shows.
    `text` is the line as collected (evidence).
    """

    prefix: str
    table: int = MAIN_TABLE
    type: RouteType = RouteType.UNICAST
    tos: int = 0
    metric: int = 0
    scope: str = "global"
    protocol: str = "boot"
    source: str | None = None
    nexthops: tuple[NextHop, ...] = ()
    nexthop_id: int | None = None
    realms: bool = False
    text: str = ""
    unmodelled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parse_prefix(self.prefix)
        if self.source is not None:
            parse_address(self.source)


class PolicyRule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One policy rule (`ip rule`), in dump order. None means that the selector is absent; 0 is a value."""

    priority: int
    action: RuleAction = RuleAction.TABLE
    table: int | None = None
    goto: int | None = None
    invert: bool = False
    src: str | None = None
    dst: str | None = None
    iif: str | None = None
    iif_detached: bool = False
    oif: str | None = None
    oif_detached: bool = False
    fwmark: int | None = None
    fwmask: int = 0xFFFFFFFF
    tos: int = 0
    dscp: int | None = None
    ipproto: int | None = None
    sport: tuple[int, int] | None = None
    dport: tuple[int, int] | None = None
    uid_range: tuple[int, int] | None = None
    l3mdev: bool = False
    suppress_prefixlength: int | None = None
    suppress_ifgroup: int | None = None
    realms: bool = False
    text: str = ""
    unmodelled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for prefix in (self.src, self.dst):
            if prefix is not None:
                parse_prefix(prefix)
        if self.action is RuleAction.TABLE and self.table is None and not self.l3mdev and not self.unmodelled:
            raise ValueError(f"policy rule {self.priority} names no table")
        if self.action is RuleAction.GOTO and self.goto is None:
            raise ValueError(f"policy rule {self.priority} is a goto without a target")


class HookKind(StrEnum):
    """What may decide a packet's fate beside rules, routes and sysctls."""

    SOURCE_MATCH = "source_match"
    """A netfilter rule that looks up the way back (`rpfilter`, `fib`)."""
    INGRESS_PROGRAM = "ingress_program"
    """A tc filter on packets that come in by `interface`: eBPF or another, which may drop, change or redirect them."""
    IPSEC = "ipsec"
    """An IPsec policy for packets from `src` to `dst`."""


class Hook(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One such thing, as far as the collecting user could see it. `text` is its evidence, on one line."""

    kind: HookKind
    text: str
    interface: str | None = None
    src: str | None = None
    dst: str | None = None

    def __post_init__(self) -> None:
        for prefix in (self.src, self.dst):
            if prefix is not None:
                parse_prefix(prefix)


class Unmodelled(Struct, frozen=True, kw_only=True):
    """A collected line that belongs to nothing we could parse: every verdict of this guest may depend on it."""

    section: str
    text: str


class OperatingSystem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From /etc/os-release and `uname`."""

    id: str = ""
    version: str = ""
    name: str = ""
    kernel: str = ""
    """`uname -r`, for example `6.1.0-25-amd64`."""
    hostname: str = ""


class BootValue(Struct, frozen=True, kw_only=True):
    """What the next boot sets a sysctl to. `value` None: several programs set it, and which comes last is not known."""

    value: int | None
    source: str
    """The file and line, `/etc/sysctl.d/99-vni.conf:3`, or why it is not known."""
    inherited: bool = False
    """Taken from `net.ipv4.conf.default` when the interface appears."""


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


NO_PROC = "/proc/sys cannot be read there; collect outside the container, or as a user who may read it"
"""The reason in `Guest.missing` where not one sysctl could be read."""


class Sockets(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`udp_everywhere`: UDP ports bound to every address. `half_open`: connections of which the guest has answered the
    SYN and has heard no more, by the guest's address.
    """

    udp_everywhere: tuple[int, ...] = ()
    half_open: dict[str, int] = {}


class Manager(StrEnum):
    """Programs that configure interfaces at boot, each from files of its own."""

    NETPLAN = "netplan"
    NETWORKD = "systemd-networkd"
    NETWORK_MANAGER = "NetworkManager"
    IFUPDOWN = "ifupdown"
    WICKED = "wicked"
    NETWORK_SCRIPTS = "network-scripts"


class Owner(Struct, frozen=True, kw_only=True):
    """Who configures an interface. `handle`: what its manager calls that configuration: netplan's id, the .network file
    of systemd-networkd, the UUID of NetworkManager's connection; for the others the interface's name.
    """

    manager: Manager
    handle: str


class Guest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A server's view of its own network at one moment (UTC, ISO 8601, `collected_at`).

    `missing` names facts that could not be collected, each with its reason: `{"rules": "ip: not found"}`. Keys:
    `interfaces`, `routes`, `rules`, `sysctls`, `hooks`, and `routes_local` where only the main table was collected. A
    fact that is not missing and empty was collected and is empty.
    """

    collected_at: str
    via: Literal["ssh", "file", "local"] = "ssh"
    clock_offset: int | None = None
    """Seconds by which the guest's clock, and so `collected_at`, was ahead of the collector's (behind: negative), where
    that was minutes; None: less, or not measured."""
    os: OperatingSystem = OperatingSystem()
    ip_version: str = ""
    """Of the `ip` that was asked: `6.1.0` (iproute2), `BusyBox v1.35.0`, or empty. Old ones hide selectors."""
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[PolicyRule, ...] = ()
    sysctls: dict[str, int] = {}
    """By procfs path below /proc/sys: `{"net/ipv4/conf/eth0.100/rp_filter": 0}`. Absent means not collected."""
    counters: dict[str, int] = {}
    """`{"TcpExtIPReversePathFilter": 12}`, by the names of nstat."""
    network_managers: tuple[str, ...] = ()
    """Those that run: `NetworkManager`, `systemd-networkd`, `networking` (ifupdown), `wicked`, ..."""
    owners: dict[str, Owner] | None = None
    """By interface, where it could be told; None: not collected."""
    hooks: tuple[Hook, ...] = ()
    """What was seen beside routing; that none was seen proves nothing where the collecting user was not root."""
    boot: BootConfig | None = None
    """What the next boot sets; None: not collected."""
    sockets: Sockets | None = None
    """None where they were not collected."""
    missing: dict[str, str] = {}
    unmodelled: tuple[Unmodelled, ...] = ()

    def __post_init__(self) -> None:
        names = [interface.name for interface in self.interfaces]
        if len(set(names)) != len(names):
            raise ValueError("two interfaces of one name")
