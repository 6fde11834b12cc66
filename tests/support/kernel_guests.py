"""Guests written as `ip` prints them, for tests that need no kernel."""

from typing import TypeVar

import msgspec

from tests.support.guest_parts import guest_from_parts, with_default_tables
from tests.support.packet import Packet
from vnicheck.kernel.host import HiddenState, Host
from vnicheck.model.address import parse_address
from vnicheck.model.guest import Guest, OperatingSystem

TOUCHED = HiddenState(custom_rules=True, custom_local_routes=True)
UNTOUCHED = HiddenState(custom_rules=False, custom_local_routes=False)
T = TypeVar("T", bound=msgspec.Struct)
KERNEL_RULES = ("0: from all lookup local", "32766: from all lookup main", "32767: from all lookup default")
KEYS = ("rp_filter", "accept_local", "src_valid_mark", "forwarding", "route_localnet", "send_redirects",
        "ignore_routes_with_linkdown", "bc_forwarding")  # fmt: skip
TCP, UDP, ICMP = 6, 17, 1


def make_guest(
    addresses: dict[str, tuple[str, ...]] | None = None,
    routes: str = "",
    rules: str = "",
    sysctls: dict[str, int] | None = None,
    release: str = "6.12.0",
    links: dict[str, str] | None = None,
) -> Guest:
    """A guest with eth0 10.0.0.11/24 and eth1 10.0.0.12/24 unless told otherwise.

    `routes`: lines of `ip route show table all` beside those of table local that Linux makes; `rules`: lines of
    `ip rule` beside the kernel's three; `sysctls`: `{"eth0.rp_filter": 1}`, all else 0; `links`: words between < and >
    of an interface (default up, with carrier).
    """
    addresses = {"eth0": ("10.0.0.11/24",), "eth1": ("10.0.0.12/24",)} if addresses is None else addresses
    lines = ["1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 group default", "    inet 127.0.0.1/8 scope host lo"]
    for index, (name, own) in enumerate(addresses.items(), 2):
        lines.append(f"{index}: {name}: <{(links or {}).get(name, 'BROADCAST,UP,LOWER_UP')}> mtu 1500 group default")
        lines += [f"    inet {address} scope global {name}" for address in own]
    given = dict.fromkeys([f"{place}.{key}" for place in ("all", "lo", *addresses) for key in KEYS], 0)
    given |= sysctls or {}
    guest = guest_from_parts(
        collected_at="2026-01-01T00:00:00Z",
        addresses_text="\n".join(lines),
        routes_text=_outdented(routes),
        rules_text="\n".join(sorted((*KERNEL_RULES, *_outdented(rules).splitlines()), key=_priority)),
        sysctl_text="\n".join(f"net/ipv4/conf/{key.replace('.', '/')}:{value}" for key, value in given.items()),
        main_only=True,
        os=OperatingSystem(kernel=release),
    )
    assert not guest.unmodelled, guest.unmodelled
    return with_default_tables(guest)


def _outdented(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines() if line.strip())


def _priority(rule: str) -> int:
    return int(rule.partition(":")[0])


def replaced(struct: T, **fields: object) -> T:
    """A guest, or a part of one, with some facts replaced."""
    return msgspec.structs.replace(struct, **fields)


def host(guest: Guest, state: HiddenState = TOUCHED) -> Host:
    """The guest in one hidden state."""
    return Host(guest, state)


def packet(source: str, destination: str, proto: int = TCP, **fields: int) -> Packet:
    """A packet between two addresses."""
    return Packet(parse_address(source), parse_address(destination), proto, **fields)
