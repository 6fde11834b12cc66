"""Pseudonyms of addresses that keep every prefix relation: who shares n leading bits before shares n after.

The map is a bijection that goes down the tree of prefixes and swaps the two halves of a prefix, or not, as a keyed hash
of the prefix says (the idea of J. Xu, J. Fan, M. Ammar, S. Moon: Prefix-Preserving IP Address Anonymization, 2002).
Where halves may not be swapped: on the way to a range with a meaning of its own, so that private addresses stay private
and the internet stays the internet; and along both edges of a subnet, so that its first address, which is its gateway,
and its last, the broadcast address, stay such.
"""

import hashlib
from collections.abc import Iterable

from vnicheck.model.address import format_address, format_prefix, mask, parse_prefix, split_prefix

OWN_MEANING = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
"""Ranges that stay where they are, with what is in them renamed: RFC 1918 and RFC 6598."""

UNTOUCHED = (
    "0.0.0.0/8",
    "127.0.0.0/8",
    "161.26.0.0/16",
    "166.8.0.0/14",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
"""Ranges of which every address is everyone's: this host, loopback, IBM Cloud services, link-local, multicast and the
reserved ones.
"""


class AddressPseudonyms:
    """The map for one key. `subnets`: the prefixes whose edges stay edges."""

    def __init__(self, key: bytes, subnets: Iterable[str]) -> None:
        self._key = key
        self._swaps: dict[tuple[int, int], int] = {}
        self._known: dict[int, int] = {}
        self._untouched = [parse_prefix(prefix) for prefix in UNTOUCHED]
        for prefix in (*OWN_MEANING, *UNTOUCHED):
            network, length = parse_prefix(prefix)
            self._pin(network, range(length))
        for subnet in subnets:
            address, length = split_prefix(subnet)
            first = address & mask(length)
            self._pin(first, range(length, 32))
            self._pin(first | ~mask(length) & 0xFFFFFFFF, range(length, 32))

    def number(self, address: int) -> int:
        """The pseudonym of an address."""
        known = self._known.get(address)
        if known is None:
            known = self._known[address] = self._compute(address)
        return known

    def address(self, text: str) -> str:
        """`"10.0.0.1"` under its pseudonym."""
        return format_address(self.number(split_prefix(text)[0]))

    def prefix(self, text: str) -> str:
        """`"10.0.0.0/24"` or `"10.0.0.12/24"`: where host bits are set, the host is renamed within its network."""
        address, length = split_prefix(text)
        network = address & mask(length)
        renamed = self.number(address)
        if address == network:  # all that the bits below say is that there are none
            renamed &= mask(length)
        return format_prefix(renamed, length)

    def _pin(self, address: int, depths: Iterable[int]) -> None:
        """No swap at these depths on the way to the address."""
        for depth in depths:
            self._swaps[depth, address & mask(depth)] = 0

    def _compute(self, address: int) -> int:
        if any(address & mask(length) == network for network, length in self._untouched):
            return address
        result = 0
        for depth in range(32):
            above = address & mask(depth)
            swap = self._swaps.get((depth, above))
            if swap is None:
                text = f"{depth}:{above}".encode()
                swap = self._swaps[depth, above] = hashlib.blake2b(text, key=self._key).digest()[0] & 1
            result = result << 1 | (address >> 31 - depth & 1) ^ swap
        return result
