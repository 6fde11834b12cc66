"""Next hops whose hardware address the guest does not ask for: what was set by hand may be wrong, and no dump tells."""

from vnicheck.kernel.send import Sent
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import Range, parse_address
from vnicheck.model.address_map import AddressMap, membership
from vnicheck.model.guest import Guest

_WITH_NEIGHBOURS = {"ether", None}
"""Link types whose devices have neighbours with addresses of their own; a tunnel has none."""


class Neighbours:
    """The permanent neighbours of a guest, and its interfaces that ask for none.

    `fixed`: of each address the interfaces by which it is a permanent neighbour.
    """

    def __init__(self, guest: Guest) -> None:
        self._mute = {
            link.name for link in guest.interfaces if not link.asks_neighbours and link.link_type in _WITH_NEIGHBOURS
        }
        self._entries = {(entry.interface, entry.address): entry for entry in guest.neighbours or ()}
        places: dict[str, list[Range]] = {}
        for interface, address in self._entries:
            places.setdefault(interface, []).append((parse_address(address), parse_address(address)))
        names = list(places)
        self.fixed: AddressMap[frozenset[str]] = membership(list(places.values())).mapped(
            lambda held: frozenset(name for number, name in enumerate(names) if held >> number & 1)
        )

    def doubt(self, way: Sent, fixed: frozenset[str]) -> Unknown | None:
        """What the way depends on beside its route. `fixed`: of the packet's destination."""
        name = way.interface
        if way.gateway is None:
            if name in fixed:
                return Unknown(f"the remote is a permanent neighbour on {name}, at a MAC address that may be wrong")
        elif (entry := self._entries.get((name, way.gateway))) is not None:
            return Unknown(
                f"the gateway {way.gateway} is a permanent neighbour on {name}, "
                f"at {entry.mac or 'no MAC address'}, which may be wrong"
            )
        if name in self._mute:
            return Unknown(f"{name} asks for the MAC address of no neighbour (NOARP)")
        return None
