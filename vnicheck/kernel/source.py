"""Which source address the kernel chooses for a packet whose program names none (net/ipv4/devinet.c, inet_select_addr).

The choice is the route's `src`; else an address of the nexthop's interface, best one in the gateway's subnet; else
one of any interface. An address whose scope is narrower than the route's is not chosen.
"""

from vnicheck.kernel.host import Host
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import mask, parse_address, split_prefix
from vnicheck.model.guest import InterfaceAddress, NextHop, Route

_SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}


def scope_number(scope: str) -> int:
    """`RT_SCOPE_*` of iproute2's name or number (linux/rtnetlink.h)."""
    return _SCOPES[scope] if scope in _SCOPES else int(scope)


def choose_source(host: Host, route: Route, nexthop: NextHop) -> str:
    """The source address of a packet by that route and nexthop. Raises Undetermined."""
    if route.source is not None:
        return route.source
    interface = host.interface(nexthop.interface or "")
    if route.nexthop_id is not None and any(address.scope != "global" for address in interface.addresses):
        raise Undetermined(f"the source chosen by a nexthop object is not modelled: {route.text}")
    scope = scope_number(route.scope)
    near = [address for address in _primary(interface.addresses) if scope_number(address.scope) <= scope]
    gateway = parse_address(nexthop.gateway) if nexthop.gateway is not None else None
    matching = [address for address in near if gateway is None or _holds(address, gateway)]
    far = [
        address
        for other in host.guest.interfaces
        for address in _primary(other.addresses)
        if address.scope != "link" and scope_number(address.scope) <= scope
    ]
    chosen = next(iter((*matching, *near, *far)), None)
    if chosen is None:
        raise Undetermined(f"no address of the guest suits the route: {route.text}")
    return chosen.address


def _primary(addresses: tuple[InterfaceAddress, ...]) -> list[InterfaceAddress]:
    return [address for address in addresses if not address.secondary]


def _holds(address: InterfaceAddress, gateway: int) -> bool:
    """Whether the gateway is in the subnet of the address, or in that of its far end where it has one."""
    network, length = split_prefix(address.peer if address.peer is not None else address.prefix)
    return (network ^ gateway) & mask(length) == 0
