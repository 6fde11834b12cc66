"""The server's own devices and the networks behind them: containers, pods, tunnels. No VNI leads there.

A device is known by what it is: its kind and link type, and where its other end is. Names count only where the dump
tells no kinds.
"""

import re
from collections.abc import Collection, Iterable, Iterator

from vnicheck.engine.refinement import difference, intersection
from vnicheck.fabric.scope import PRIVATE_PREFIXES
from vnicheck.model.address import Range, mask, merge_ranges, prefix_range, split_prefix
from vnicheck.model.guest import Guest, Interface, Route, RouteType
from vnicheck.model.snapshot import Server

_SHARING_MACS = {"ipvlan", "ipvtap"}
_KINDS = _SHARING_MACS | {
    "amt", "bareudp", "bridge", "dummy", "erspan", "geneve", "gre", "gretap", "gtp", "ifb", "ip6gre", "ip6gretap",
    "ip6tnl", "ipip", "l2tp", "macvlan", "macvtap", "netkit", "openvswitch", "ovpn", "ppp", "sit", "tun", "veth",
    "vti", "vti6", "vxlan", "wireguard", "xfrm",
}  # fmt: skip
"""IFLA_INFO_KIND of what software makes and no VNI is behind, unless it has a VNI's MAC or address."""
_LINK_TYPES = {"none", "ipip", "sit", "gre", "tunnel", "tunnel6", "gre6", "rawip", "ppp"}
"""Link types of tunnels (linux/if_arp.h), which every dump tells."""
_NAMES = re.compile(
    r"(cali|tunl|vxlan|cilium|lxc|veth|docker|br-|cni|flannel|tun|tap|podman|virbr|kube-|nodelocaldns|wg|tailscale)"
    r"[A-Za-z0-9_.-]*"
)
_REFUSING = {RouteType.BLACKHOLE, RouteType.UNREACHABLE, RouteType.PROHIBIT}
_SHORTEST = 8
"""Routes of shorter prefixes through a tunnel lead the world there, not a network of its own."""


def owner_of(interface: str) -> str | None:
    """What software begins the name of its own devices with, `cali` or `br-`; None for any other name."""
    match = _NAMES.fullmatch(interface)
    return None if match is None else match[1]


def own_devices(server: Server, matched: Collection[str]) -> frozenset[str]:
    """The names of the server's own devices; `matched`: those of interfaces that belong to VNIs."""
    guest = server.guest
    if guest is None:
        return frozenset()
    macs = {vni.mac for vni in server.vnis if vni.mac is not None}
    addresses = {address for vni in server.vnis for address in vni.carried}
    own = {
        link.name
        for link in guest.interfaces
        if link.name not in matched and not _may_carry_vni(link, macs, addresses) and _is_made_by_software(link)
    }
    members = [(link.name, link.master) for link in guest.interfaces if link.master is not None]
    while leading := {master for name, master in members if master in own and name not in own}:
        own -= leading  # a bridge that something else belongs to
    return frozenset(own)


def own_networks(guest: Guest, devices: Collection[str], elsewhere: Iterable[str]) -> tuple[Range, ...]:
    """The private networks that routes lead to the devices alone, and blocks that are refused but for such; sorted.
    `elsewhere`: prefixes of the VPC and of configured networks, of which only single addresses are the server's own.
    """
    tables: dict[int, list[Route]] = {}
    for route in guest.routes if devices else ():
        tables.setdefault(route.table, []).append(route)
    found = merge_ranges(each for routes in tables.values() for each in _in_table(routes, devices))
    single = [
        prefix_range(route.prefix)
        for route in guest.routes
        if _leads_to(route, devices) and split_prefix(route.prefix)[1] == 32
    ]
    private = merge_ranges(map(prefix_range, PRIVATE_PREFIXES))
    others = difference(intersection(found, private), merge_ranges(map(prefix_range, elsewhere)))
    return tuple(merge_ranges([*others, *intersection(merge_ranges(single), private)]))


def _in_table(routes: list[Route], devices: Collection[str]) -> Iterator[Range]:
    own = {split_prefix(route.prefix) for route in routes if _leads_to(route, devices)}
    own = {(network, length) for network, length in own if length >= _SHORTEST}
    if not own:
        return
    above = {(network & mask(shorter), shorter) for network, length in own for shorter in range(_SHORTEST, length)}
    blocks = {prefix for route in routes if route.type in _REFUSING and (prefix := split_prefix(route.prefix)) in above}
    inside = [
        prefix_range(route.prefix)
        for route in routes
        if route.type in {RouteType.UNICAST, RouteType.THROW}
        and not _leads_to(route, devices)
        and _is_within(*split_prefix(route.prefix), own | blocks)
    ]
    ranges = [(network, network | (~mask(length) & 0xFFFFFFFF)) for network, length in own | blocks]
    yield from difference(merge_ranges(ranges), merge_ranges(inside))


def _leads_to(route: Route, devices: Collection[str]) -> bool:
    hops = route.nexthops
    return route.type is RouteType.UNICAST and bool(hops) and all(hop.interface in devices for hop in hops)


def _is_within(network: int, length: int, prefixes: Collection[tuple[int, int]]) -> bool:
    return any((network & mask(shorter), shorter) in prefixes for shorter in range(_SHORTEST, length))


def _may_carry_vni(link: Interface, macs: set[str], addresses: set[str]) -> bool:
    """Whether it has a VNI's address, or its MAC where that is its own."""
    if any(address.address in addresses for address in link.addresses):
        return True
    return link.mac in macs and link.kind not in _SHARING_MACS


def _is_made_by_software(link: Interface) -> bool:
    if link.bus is not None or link.link_type == "loopback":
        return False
    if link.kind is not None:
        return link.kind in _KINDS
    if link.elsewhere or link.peer_index is not None or link.link_type in _LINK_TYPES:
        return True
    return not link.kind_shown and owner_of(link.name) is not None
