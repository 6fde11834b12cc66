"""One packet, whole."""

from msgspec import Struct


class Packet(Struct, frozen=True):
    """An IPv4 packet. Addresses are integers; ports are 0 for ICMP; `mark` is the fwmark that it carries, `tos` its
    whole TOS byte, and `uid` the user of the socket that sends it (read on output only).
    """

    source: int
    destination: int
    proto: int
    sport: int = 0
    dport: int = 0
    mark: int = 0
    tos: int = 0
    uid: int = 0
