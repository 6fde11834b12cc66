"""What of a server decides which files are for which of its interfaces: the interfaces, its name, its programs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

from vnicheck.guest.parsers.boot.fate import Fate
from vnicheck.model.guest import Manager, Owner
from vnicheck.model.interface import Interface

_PLAIN = {None, "veth"}
"""Kinds of interfaces that a boot finds; the others something has to make."""
_DRIVERS = {"virtio": "virtio_net"}


class Machine(Struct, frozen=True):
    """The server as it is now; `managers`: the programs that run. `interfaces` None: they were not read."""

    interfaces: tuple[Interface, ...] | None
    managers: tuple[str, ...] = ()
    systemd: bool = False
    """Whether it told which units run."""
    hostname: str = ""
    os: tuple[str, str] = ("", "")
    """The distribution and its version."""
    owners: Mapping[str, Owner] = {}
    """Who configures each interface now."""
    profiles: Mapping[str, str] = {}
    """The files of NetworkManager's active connections, by UUID."""

    def owned(self, manager: Manager, handle: str) -> Iterator[str]:
        """The interfaces that the manager configures by what it calls `handle`."""
        for name, owner in self.owners.items():
            if (owner.manager, owner.handle) == (manager, handle):
                yield name

    def named(self, name: str) -> Interface | None:
        """The interface of that name, `eth1` also for the label `eth1:0`."""
        return next((link for link in self.interfaces or () if link.name == name.partition(":")[0]), None)


def is_found(link: Interface) -> bool:
    """Whether a boot finds the interface, where for others something has to make them."""
    return link.kind in _PLAIN


def has_mac(link: Interface, addresses: Sequence[str]) -> Fate:
    """Whether the interface has one of the addresses as it appears."""
    wanted = {plain_mac(address) for address in addresses}
    if link.mac is None:
        return f"the MAC address of {link.name} is not known"
    if (
        link.permanent_mac not in (None, link.mac)
        and {plain_mac(link.mac or ""), plain_mac(link.permanent_mac or "")} & wanted
    ):
        return f"{link.name} has another MAC address than its own"
    return plain_mac(link.mac or "") in wanted


def has_permanent_mac(link: Interface, addresses: Sequence[str]) -> Fate:
    """Whether that is its own address, whatever it was given since. Virtual ones have none."""
    if link.permanent_mac is None and (link.kind is not None or not link.kind_shown):
        return False if link.kind is not None else has_mac(link, addresses)
    own = link.permanent_mac or link.mac or ""
    return plain_mac(own) in {plain_mac(address) for address in addresses}


def plain_mac(text: str) -> str:
    """`0200000000ff` of `02:00:00:00:00:FF`, `02-00-...` and `0200.0000.00ff`."""
    return re.sub(r"[:.-]", "", text).lower()


def driver_of(link: Interface) -> str | None:
    """The driver's name, where it follows from what is known; lo has none."""
    if link.link_type == "loopback":
        return ""
    return link.kind if link.kind == "veth" else _DRIVERS.get(link.bus or "")


def is_ethernet(link: Interface) -> bool:
    """Whether it is a plain device with Ethernet's addresses."""
    return is_found(link) and link.link_type in (None, "ether") and link.name != "lo"


def globbed(pattern: str, name: str) -> bool:
    """fnmatch(3): `[^a]` is glibc's `[!a]`."""
    return fnmatchcase(name, pattern.replace("[^", "[!"))
