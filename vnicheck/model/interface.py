"""A server's links: interfaces, their addresses, and neighbours that were set by hand."""

import re
from collections.abc import Iterable

from msgspec import Struct

from vnicheck.model.address import parse_address, split_prefix

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


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
    permanent_mac: str | None = None
    """Its own, where that is not `mac`: what it was given replaces it until the next boot."""
    altnames: tuple[str, ...] = ()
    """Its other names."""
    kind: str | None = None
    """`vlan`, `macvlan`, `bridge`, `bond`, `vrf`, ... (IFLA_INFO_KIND); None for a plain device or where not shown."""
    master: str | None = None
    vrf_table: int | None = None
    """The routing table of a VRF device (`kind` is `vrf`)."""
    kind_shown: bool = False
    """Whether the dump tells kinds (`ip -d`; busybox tells none). Only then `kind` None means a device that no driver
    of virtual links made."""
    parent: str | None = None
    """The lower device of a VLAN or macvlan (`eth0` of `eth0.100@eth0`), where it is in the same network namespace."""
    peer: str | None = None
    """The other end of a veth pair, where it is in the same network namespace."""
    peer_index: int | None = None
    """The index of the other end, or of the lower device, in its own network namespace (5 of `eth0@if5`). 0: it is in
    another one, and gone or not told (`tunl0@NONE`). None: there is none, or it is here, by name."""
    elsewhere: bool = False
    """Whether the other end, or the lower device, is shown to be in another network namespace (`link-netnsid`)."""
    link_type: str | None = None
    """By the names of linux/if_arp.h: `ether`, `loopback`, `none` (tun, wireguard), `ipip`, ...; else `[NUMBER]`."""
    bus: str | None = None
    """Of a device that hardware or the hypervisor made: `virtio`, `pci`, ...; None: of no other, or not told."""
    vlan_id: int | None = None
    """Of a device of kind `vlan`."""
    group: int = 0
    mtu: int | None = None
    flags: tuple[str, ...] = ()
    addresses: tuple[InterfaceAddress, ...] = ()
    unmodelled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 64:
            raise ValueError(f"interface name {self.name[:40]!r} is empty or too long")
        for mac in (self.mac, self.permanent_mac):
            if mac is not None and not _MAC.fullmatch(mac):
                raise ValueError(f"interface {self.name[:40]!r}: {mac[:40]!r} is not a MAC address in lower case")
        if not 0 < self.index < 2**31:
            raise ValueError(f"interface {self.name[:40]!r}: {self.index} is not an interface's index")

    @property
    def asks_neighbours(self) -> bool:
        """Whether it finds its neighbours' addresses by ARP (no IFF_NOARP)."""
        return "NOARP" not in self.flags


def beneath(links: Iterable[Interface]) -> dict[str | None, tuple[str, ...]]:
    """Of each link the devices that its packets cross, itself first: `eth0.100`, `eth0`."""
    parents = {link.name: link.parent for link in links}
    found: dict[str | None, tuple[str, ...]] = {}
    for name in parents:
        crossed = dict.fromkeys([name])
        while (lower := parents.get(next(reversed(crossed)))) is not None and lower not in crossed:
            crossed[lower] = None
        found[name] = tuple(crossed)
    return found


class Neighbour(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A permanent entry of the neighbour table: packets for `address` by `interface` go to `mac`, right or wrong.

    `mac` None: the entry shows none.
    """

    address: str
    interface: str
    mac: str | None = None

    def __post_init__(self) -> None:
        parse_address(self.address)
        if self.mac is not None and not _MAC.fullmatch(self.mac):
            raise ValueError(f"neighbour {self.address}: {self.mac[:40]!r} is not a MAC address in lower case")
