"""What a flow's packets carry beside addresses."""

from typing import NamedTuple

from vnicheck.model.address import Range

ICMP = 1
TCP = 6
NO_PORTS: Range = (0, 0)


class Transport(NamedTuple):
    """Their protocol, and any ports within the ranges ((0, 0) for ICMP).

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

    def turned(self) -> "Transport":
        """Of the same connections the packets of the other direction."""
        return Transport(self.proto, self.dports, self.sports, not self.of_source)
