"""Next hops whose hardware address the guest does not ask for: what was set by hand may be wrong, and no dump tells."""

from vnicheck.kernel.send import Sent
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import parse_address
from vnicheck.model.address_map import AddressMap, choose, constant
from vnicheck.model.guest import Guest

_WITH_NEIGHBOURS = {"ether", None}
"""Link types whose devices have neighbours with addresses of their own; a tunnel has none."""
NOBODY: frozenset[str] = frozenset()


class Neighbours:
    """The permanent neighbours of a guest, and its interfaces that ask for none.

    `fixed`: of each address the interfaces by which it is a permanent neighbour.
    """

    def __init__(self, guest: Guest) -> None:
        self._mute = {
            link.name for link in guest.interfaces if not link.asks_neighbours and link.link_type in _WITH_NEIGHBOURS
        }
        self._entries = {(entry.interface, entry.address): entry for entry in guest.neighbours or ()}
        self.fixed: AddressMap[frozenset[str]] = constant(NOBODY)
        for address in {address for _, address in self._entries}:
            names = frozenset(interface for interface, other in self._entries if other == address)
            place = parse_address(address)
            self.fixed = choose([(place, place)], constant(names), self.fixed)

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
