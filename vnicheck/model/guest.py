"""What a server says of itself from inside: links, addresses, routes, policy rules, sysctls.

Everything here is as collected; nothing is derived. Text that a parser could not read is kept in an `unmodelled` field
next to the thing that it belongs to, so that the kernel model can say `unknown` for just the lookups that it may touch.
"""

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct

from vnicheck.model.address import parse_address, parse_prefix
from vnicheck.model.boot import BootConfig as BootConfig
from vnicheck.model.boot import BootRoute as BootRoute
from vnicheck.model.boot import BootRule as BootRule
from vnicheck.model.boot import BootValue as BootValue
from vnicheck.model.boot import NotAgain as NotAgain
from vnicheck.model.firewall import Firewall
from vnicheck.model.interface import Interface as Interface
from vnicheck.model.interface import InterfaceAddress as InterfaceAddress
from vnicheck.model.interface import Neighbour

MAIN_TABLE = 254
LOCAL_TABLE = 255
DEFAULT_TABLE = 253
DEFAULT_RULES = {0: LOCAL_TABLE, 32766: MAIN_TABLE, 32767: DEFAULT_TABLE}
"""The rules that every network namespace starts with: the table of each priority (fib_default_rules_init)."""
MAIN_PRIORITY = 32766


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

    @property
    def leads_all(self) -> bool:
        """Whether it leads every packet to its table, and does nothing else."""
        return self.table is not None and self == PolicyRule(priority=self.priority, table=self.table, text=self.text)

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
    """A filter on packets that come in by `interface`: eBPF or another of tc, tcx, netkit or XDP, which may drop,
    change or redirect them. In collections before it had a kind of its own, perhaps one on packets that go out."""
    EGRESS_PROGRAM = "egress_program"
    """The same on packets that go out by `interface`."""
    BPF_PROGRAM = "bpf_program"
    """A BPF program of no interface: on the packets or sockets of a control group (some programs of the server, or
    all), or at one of netfilter's hooks. `text` names it."""
    IPSEC = "ipsec"
    """An IPsec policy for packets from `src` to `dst`, or a default that lets none pass."""
    VIRTUAL_SERVER = "virtual_server"
    """A virtual server of IPVS: packets to `dst` and `port` of `protocol` go on to one of its real servers. Without
    them: any packets may (a service by mark, or those that could not be read)."""


class Examined(StrEnum):
    """What else judges packets and may be looked at, or not: the keys of `Guest.unexamined`."""

    TRAFFIC = "traffic"
    """tc's filters: hooks of kinds INGRESS_PROGRAM and EGRESS_PROGRAM (any user may ask; tc may be missing)."""
    FIREWALL = "firewall"
    """netfilter's rules: `Guest.firewall` (root); without it, hooks of kind SOURCE_MATCH."""
    IPSEC = "ipsec"
    """IPsec's policies and defaults: hooks of kind IPSEC (root)."""
    BPF = "bpf"
    """BPF programs that tc does not list, on tcx, netkit and control groups: hooks (root, and bpftool)."""


class Hook(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One such thing, as far as the collecting user could see it. `text` is its evidence, on one line."""

    kind: HookKind
    text: str
    interface: str | None = None
    src: str | None = None
    dst: str | None = None
    protocol: str | None = None
    port: int | None = None
    fwmark: int | None = None
    """Of an IPsec policy: the mark of the packets that it is for, in the bits of `fwmask`. None: of any."""
    fwmask: int = 0xFFFFFFFF

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
    sysctls: dict[str, Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]] = {}
    """By procfs path below /proc/sys: `{"net/ipv4/conf/eth0.100/rp_filter": 0}`. Absent means not collected."""
    counters: dict[str, int] = {}
    """`{"TcpExtIPReversePathFilter": 12}`, by the names of nstat."""
    network_managers: tuple[str, ...] = ()
    """Those that run: `NetworkManager`, `systemd-networkd`, `networking` (ifupdown), `wicked`, ..."""
    owners: dict[str, Owner] | None = None
    """By interface, where it could be told; None: not collected."""
    hooks: tuple[Hook, ...] = ()
    """What was seen beside routing. That none was seen proves something only of what is `examined`."""
    examined: tuple[Examined, ...] = ()
    """What was looked at, and wholly."""
    unexamined: dict[str, str] = {}
    """What was not, and why. What is in neither was not asked for (an older collection)."""
    firewall: Firewall | None = None
    """None: not read."""
    neighbours: tuple[Neighbour, ...] | None = None
    """The permanent entries for IPv4. None: not read."""
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
