"""A guest's kernel with its firewall: routing says where packets go, netfilter's rules whether they get there."""

from collections.abc import Hashable, Iterator, Sequence
from functools import partial

import msgspec

from vnicheck.kernel.contradicted import Contradiction
from vnicheck.kernel.filters import Filters, Judged, Led, Rulings
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.packet import Packet
from vnicheck.kernel.receive import Received
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Unknown
from vnicheck.kernel.worlds import ByPort, Outcome, Several
from vnicheck.model.address import Range
from vnicheck.model.address_map import AddressMap, zipped
from vnicheck.model.guest import Examined, Guest


class Translated(Unknown, frozen=True):
    """What becomes of packets that netfilter leads, or may lead, to another address."""

    led: Led | None = None


class FilteredKernel(Kernel):
    """As Kernel, where the guest's netfilter rules could be read: of a packet that they stop, or may stop, an answer
    says so beside what routing makes of it; what becomes of one that they lead elsewhere is not known.
    """

    def __init__(
        self, guest: Guest, like: Kernel | None = None, *, unmarked: bool = False, seen: Sequence[Contradiction] = ()
    ) -> None:
        super().__init__(guest, like, unmarked=unmarked, seen=seen)
        self.firewall_read = guest.firewall is not None and Examined.FIREWALL.value not in guest.unexamined
        filters = Filters(guest, guest.firewall) if guest.firewall is not None else None
        if isinstance(like, FilteredKernel) and like._filters is not None and like._filters.are_of(guest):
            filters = like._filters
        self._filters: Filters | None = filters if filters is not None and filters.matters else None
        self.reads_transport = self.reads_transport or self._filters is not None
        self._joint: dict[tuple[int, int, str | None], tuple[ByPort, Rulings, ByPort]] = {}

    def received(
        self, interface: str, local: int, proto: int, sports: Range, dports: Range, *, of_source: bool
    ) -> AddressMap[ByPort]:
        """As of Kernel; packets about whose source ports a flow is are answers to the server's own."""
        routed = super().received(interface, local, proto, sports, dports, of_source=of_source)
        if self._filters is None:
            return routed
        ruled = self._filters.incoming(interface, local, proto, sports, dports, answer=of_source)
        return self._known.once(
            ("filtered", id(routed), id(ruled)),  # both are kept, and so their ids
            lambda: self.shared(zipped([routed, ruled]).mapped(partial(self._joined, None))),
        )

    def sent(self, local: int, proto: int, sports: Range, dports: Range, *, of_source: bool) -> AddressMap[ByPort]:
        """As of Kernel; packets about whose source ports a flow is are the server's answers."""
        routed = super().sent(local, proto, sports, dports, of_source=of_source)
        if self._filters is None:
            return routed
        filters = self._filters

        def filtered() -> AddressMap[ByPort]:
            found = routed
            for interface in _interfaces(routed):
                ruled = filters.outgoing(interface, local, proto, sports, dports, answer=of_source)
                found = zipped([found, ruled]).mapped(partial(self._joined, interface))
            return self.shared(found)

        return self._known.once(("filtered", local, proto, sports, dports, of_source), filtered)

    def may_forward(self, interface: str) -> bool:
        """Whether the guest forwards what comes in by the interface, or that was not collected."""
        return self._guest.sysctls.get(f"net/ipv4/conf/{interface}/forwarding", 1) != 0

    def passed_on(
        self, iif: str, oif: str, packet: Packet, sports: Range, dports: Range, *, answer: bool
    ) -> Unknown | None:
        """What the firewall makes of a packet that the guest forwards; None: nothing, as far as it was read."""
        return (
            None if self._filters is None else self._filters.forwarded(iif, oif, packet, sports, dports, answer=answer)
        )

    def port_cuts(self) -> set[int]:
        """As of Kernel."""
        cuts = super().port_cuts()
        return cuts if self._filters is None else cuts | self._filters.port_cuts()

    def _ends(self) -> Iterator[AddressMap[Hashable]]:
        yield from super()._ends()
        if self._filters is not None:
            yield self._filters.named

    def _joined(self, by: str | None, both: tuple[ByPort, Rulings]) -> ByPort:
        """What becomes of packets that routing and rules judge; `by`: the interface whose rules these are."""
        routed, ruled = both
        if len(ruled.starts) == 1 and ruled.values[0] is None:
            return routed
        key = (id(routed), id(ruled), by)
        if key not in self._joint:
            joint = zipped([routed, ruled]).mapped(partial(_judged, by))
            joint = self._by_port.setdefault((*joint.starts, *joint.values), joint)
            self._joint[key] = (routed, ruled, joint)  # keeps the parts alive, and so their ids
        return self._joint[key][2]


def _interfaces(routed: AddressMap[ByPort]) -> list[str]:
    ways = (way for ports in routed.values for way in ports.values)
    worlds = (world for way in ways for world in (way.worlds if isinstance(way, Several) else (way,)))
    return sorted({world.interface for world in worlds if isinstance(world, Sent)})


def _judged(by: str | None, both: tuple[Outcome, Judged]) -> Outcome:
    routed, ruling = both
    if ruling is None:
        return routed
    if isinstance(ruling, Led):
        may = "leads" if ruling.surely else "may lead"
        whose = ruling.target or "the server's own port"
        way = "answers go by the way of that address"
        return Translated(f"netfilter {may} it to {whose}, and {way} ({ruling.rule})", ruling)
    if isinstance(routed, Several):
        return Several(routed.reason, tuple([_ruled(world, ruling, by) for world in routed.worlds]))
    return routed if isinstance(routed, Unknown) else _ruled(routed, ruling, by)


def _ruled(routed: Received | Sent | NotSent, ruling: Unknown, by: str | None) -> Received | Sent | NotSent:
    if isinstance(routed, Received) or (isinstance(routed, Sent) and routed.interface == by):
        return msgspec.structs.replace(routed, ruling=ruling)
    return routed
