"""The packet that a lookup is made for."""

from typing import NamedTuple

from msgspec import Struct

from vnicheck.model.address import Range

ICMP = 1
TCP = 6
NO_PORTS: Range = (0, 0)


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


class Transport(NamedTuple):
    """What a flow's packets carry: their protocol, and any ports within the ranges ((0, 0) for ICMP).

    `of_source`: the flow is about their source ports, so they answer what the other side opened; else about their
    destination ports.
    """

    proto: int
    sports: Range
    dports: Range
    of_source: bool = False

    @property
    def ports(self) -> Range:
        """The ports that the flow is about."""
        return self.sports if self.of_source else self.dports

    def at(self, ports: Range) -> "Transport":
        """The same with some of these ports."""
        return self._replace(sports=ports) if self.of_source else self._replace(dports=ports)

    def opening(self) -> "Transport":
        """Of answers, what they answer."""
        return Transport(self.proto, self.dports, self.sports)
