"""A guest's kernel with its firewall: routing says where packets go, netfilter's rules whether they get there."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from vnicheck.kernel.contradicted import Contradiction
from vnicheck.kernel.filters import Filters, Judged, Led, Rulings
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.packet import Transport
from vnicheck.kernel.receive import Received
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Unknown, worlds_of
from vnicheck.kernel.worlds import ByPort, Outcome, Several
from vnicheck.model.address_map import AddressMap
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
        filters = like._filters if isinstance(like, FilteredKernel) else None
        if filters is None or not filters.are_of(guest):
            filters = Filters(guest, guest.firewall) if guest.firewall is not None else None
        self._filters: Filters | None = filters if filters is not None and filters.matters else None
        self.reads_transport = self.reads_transport or self._filters is not None

    def received(self, interface: str, local: int, transport: Transport) -> AddressMap[ByPort]:
        """As of Kernel; packets about whose source ports a flow is are answers to the server's own."""
        routed = super().received(interface, local, transport)
        if self._filters is None:
            return routed
        ruled = self._filters.incoming(interface, local, transport)
        return self._known.once(
            ("filtered", interface, local, transport), lambda: self._filtered(routed, {None: ruled})
        )

    def sent(self, local: int, transport: Transport, *, led: bool = False) -> AddressMap[ByPort]:
        """As of Kernel; packets about whose source ports a flow is are the server's answers, to what netfilter led to
        these ports if `led`.
        """
        routed = super().sent(local, transport)
        if self._filters is None:
            return routed
        filters = self._filters

        def filtered() -> AddressMap[ByPort]:
            ruled: dict[str | None, AddressMap[Rulings]] = {
                name: filters.outgoing(name, local, transport, led=led) for name in _interfaces(routed)
            }
            return self._filtered(routed, ruled)

        return self._known.once(("filtered", local, transport, led), filtered)

    def may_forward(self, interface: str) -> bool:
        """Whether the guest forwards what comes in by the interface, or that was not collected."""
        return self._guest.sysctls.get(f"net/ipv4/conf/{interface}/forwarding", 1) != 0

    def passed_on(
        self, iif: str, oif: str, source: int, destination: int, transport: Transport, *, answered: bool = True
    ) -> Unknown | None:
        """What the firewall makes of packets that the guest forwards; None: nothing, as far as it was read. Not
        `answered`: what answers them goes past the guest.
        """
        filters = self._filters
        if filters is None:
            return None
        return filters.forwarded(iif, oif, source, destination, transport, answered=answered)

    def port_cuts(self) -> set[int]:
        """As of Kernel."""
        cuts = super().port_cuts()
        return cuts if self._filters is None else cuts | self._filters.port_cuts()

    def _ends(self) -> Iterator[AddressMap[Hashable]]:
        yield from super()._ends()
        if self._filters is not None:
            yield self._filters.named

    def _filtered(
        self, routed: AddressMap[ByPort], ruled: Mapping[str | None, AddressMap[Rulings]]
    ) -> AddressMap[ByPort]:
        """What becomes of packets that routing and rules judge; `ruled`: by the interface that packets leave by."""
        return self._port_by_port([routed, *ruled.values()], partial(_judged, tuple(ruled)))


def _interfaces(routed: AddressMap[ByPort]) -> list[str]:
    worlds = (world for ports in routed.values for way in ports.values for world in worlds_of(way))
    return sorted({world.interface for world in worlds if isinstance(world, Sent)})


def _judged(leaving: tuple[str | None, ...], at: tuple[Any, ...]) -> Outcome:
    outcome: Outcome = at[0]
    for by, ruling in zip(leaving, at[1:], strict=True):
        outcome = _with_ruling(outcome, ruling, by)
    return outcome


def _with_ruling(routed: Outcome, ruling: Judged, by: str | None) -> Outcome:
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
