"""What flows a class, or a finding, is about, as ranges that can be subtracted from one another. Pure."""

from collections.abc import Iterable, Sequence

from msgspec import Struct, UnsetType

from vnicheck.engine.partition import parse_ports, to_ports, to_prefixes
from vnicheck.engine.refinement import difference, intersection, port_ranges, remote_ranges
from vnicheck.model.address import Range, merge_ranges, prefix_range
from vnicheck.model.baseline import Known
from vnicheck.model.flow import Flow
from vnicheck.model.grouped import grouped

_EVERY: list[Range] = [(0, 0)]
"""Stands for the local side of what is not in transit, and for the ports of what has none."""


class Extent(Struct, frozen=True):
    """Flows of one direction, protocol and local address: all remotes with all local ends with all ports."""

    remotes: Sequence[Range]
    locals: Sequence[Range]
    ports: Sequence[Range]

    @property
    def size(self) -> int:
        return size_of(self.remotes) * size_of(self.locals) * size_of(self.ports)

    def without(self, other: "Extent") -> "list[Extent]":
        """What is left, in up to three parts."""
        remotes = intersection(self.remotes, other.remotes)
        locals_ = intersection(self.locals, other.locals)
        parts = (
            Extent(difference(self.remotes, other.remotes), self.locals, self.ports),
            Extent(remotes, difference(self.locals, other.locals), self.ports),
            Extent(remotes, locals_, difference(self.ports, other.ports)),
        )
        return [part for part in parts if part.size]

    def beyond(self, others: "Iterable[Extent]") -> "list[Extent]":
        """What of it none of the others covers."""
        left = [self]
        for other in others:
            left = [part for each in left for part in each.without(other)]
        return left


def size_of(ranges: Iterable[Range]) -> int:
    """How many numbers are in them."""
    return sum(last - first + 1 for first, last in ranges)


def known_flows(flows: Iterable[Flow]) -> tuple[Known, ...]:
    """Flows as a baseline holds them: those alike but for their remotes together."""
    found: dict[tuple[object, ...], tuple[Flow, list[Range]]] = {}
    for flow in flows:
        _, remotes = found.setdefault((*_where(flow), tuple(port_ranges(flow))), (flow, []))
        remotes += remote_ranges(flow)
    return tuple(
        Known(
            direction=flow.direction,
            protocol=flow.protocol,
            local=flow.local,
            local_prefixes=() if isinstance(flow.local_prefixes, UnsetType) else flow.local_prefixes,
            ports=() if isinstance(flow.ports, UnsetType) else to_ports(port_ranges(flow)),
            remotes=to_prefixes(merge_ranges(remotes)),
        )
        for flow, remotes in found.values()
    )


def is_within(now: Iterable[Known], known: Iterable[Known]) -> bool:
    """Whether all flows of the one are among those of the other."""
    held = grouped((_where(each), _extent(each)) for each in known)
    return not any(_extent(each).beyond(held.get(_where(each), [])) for each in now)


def _where(each: Flow | Known) -> tuple[object, ...]:
    return each.direction, each.protocol, each.local


def _extent(each: Known) -> Extent:
    return Extent(
        merge_ranges(prefix_range(remote) for remote in each.remotes),
        merge_ranges(prefix_range(local) for local in each.local_prefixes) or _EVERY,
        merge_ranges(map(parse_ports, each.ports)) or _EVERY,
    )
