"""The packet that a lookup is made for."""

from msgspec import Struct

ICMP = 1


class Packet(Struct, frozen=True):
    """An IPv4 packet with TOS 0. Addresses are integers; ports are 0 for ICMP; `mark` is the fwmark it carries."""

    source: int
    destination: int
    proto: int
    sport: int = 0
    dport: int = 0
    mark: int = 0
