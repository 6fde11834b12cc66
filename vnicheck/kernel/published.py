"""Published ports: what becomes of packets that netfilter's rules surely lead to a container behind one of the guest's
own devices, and of what answers them from there.

The answer comes in by that device with the container's address as its source, and is routed so, as any packet that the
guest forwards; only behind that is its source translated back (net/ipv4/ip_forward.c, nf_nat at postrouting). Rules for
the address that was asked do not see it.
"""

from collections.abc import Callable, Collection, Hashable, Sequence
from functools import partial
from typing import Any

import msgspec

from vnicheck.kernel.contradicted import Contradiction
from vnicheck.kernel.filtered import FilteredKernel, Translated
from vnicheck.kernel.filters import Judged, Led
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.packet import NO_PORTS, Transport
from vnicheck.kernel.receive import Received, Reception
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Unknown, or_unknown, worlds_of
from vnicheck.kernel.worlds import ByPort, Outcome, Several
from vnicheck.model.address import Range, format_address, prefix_range
from vnicheck.model.address_map import AddressMap, constant, zipped
from vnicheck.model.guest import MAIN_TABLE, Guest, Route, RouteType
from vnicheck.model.memo import Memo

_KINDS = {"bridge", "veth"}
"""Devices behind which a container is that answers by the same device."""
Way = Outcome | None
"""None: it cannot be told."""


class PublishingKernel(FilteredKernel):
    """As FilteredKernel, but that ports are followed which its rules publish."""

    def __init__(
        self,
        guest: Guest,
        like: Kernel | None = None,
        *,
        unmarked: bool = False,
        seen: Sequence[Contradiction] = (),
        inside: frozenset[str] = frozenset(),
    ) -> None:
        """`inside`: the devices by which the guest's own networks are reached."""
        super().__init__(guest, like, unmarked=unmarked, seen=seen)
        members = [link.master for link in guest.interfaces if self._sees_packets(link.name)]
        devices = {
            link.name
            for link in guest.interfaces
            if link.name in inside and link.kind in _KINDS and link.up and link.carrier and link.name not in members
        }
        self._devices = {
            prefix_range(route.prefix): _on_link(route, devices) for route in guest.routes if route.table == MAIN_TABLE
        }
        self.reads_transport = self.reads_transport or self._hooks.balance

    def received(self, interface: str, local: int, transport: Transport) -> AddressMap[ByPort]:
        """As of FilteredKernel; of what it leads to a container, that the guest forwards it there."""
        found = super().received(interface, local, transport)
        if transport.of_source:
            return found
        found = self._unless_balanced(found, local, transport)
        key = ("followed", interface, local, transport)
        return self._following(key, found, found, partial(self._there, interface, local, transport))

    def answered(self, interface: str, local: int, transport: Transport) -> AddressMap[ByPort]:
        """Where answers leave the guest to what came in by an interface for a local address, by the remote: as `sent`,
        but that those of containers are forwarded.
        """
        opening = transport.turned()
        asked = self._unless_balanced(super().received(interface, local, opening), local, opening)
        key = ("answered", interface, local, transport)
        return self._following(key, self.sent(local, transport), asked, partial(self._back, local, transport))

    def _unless_balanced(self, found: AddressMap[ByPort], local: int, transport: Transport) -> AddressMap[ByPort]:
        """What is found but for ports of virtual servers: of these it is not known who answers, and by which way."""
        if not self._hooks.balance:
            return found
        served = constant(self._hooks.balanced(local, transport.proto))
        return self._port_by_port([found, served], lambda at: at[0] if at[1] is None else Translated(at[1].reason))

    def _following(
        self,
        key: Hashable,
        found: AddressMap[ByPort],
        asked: AddressMap[ByPort],
        follow: Callable[[Led], AddressMap[Way]],
    ) -> AddressMap[ByPort]:
        """What is found, but where the opening packet (`asked`) is led on, what comes of following it."""
        outcomes = (outcome for ports in set(asked.values) for outcome in ports.values)
        led = dict.fromkeys(each.led for each in outcomes if isinstance(each, Translated))
        if not led:
            return found
        every = [each for each in led if each is not None]

        def followed(at: tuple[Any, ...]) -> Outcome:
            own: Outcome = at[0]
            opening: Outcome = at[1]
            if not isinstance(opening, Translated):
                return own
            way: Way = None if opening.led is None else at[2 + every.index(opening.led)]
            return opening if way is None else way

        return self._known.once(
            key, lambda: self._port_by_port([found, asked, *[_at_any_port(follow(each)) for each in every]], followed)
        )

    def _there(self, interface: str, local: int, transport: Transport, led: Led) -> AddressMap[Way]:
        """What becomes of packets that are led on, by their source."""
        place = self._place(led, local)
        if place is None or self._filters is None:
            return constant(None)
        address, ports, device = place
        found = Kernel.received(self, interface, address, transport.at(ports))
        ruled = self._filters.led_on(led, interface, device, local, transport)

        def taken(at: tuple[ByPort, AddressMap[Judged], Unknown | None]) -> Way:
            ways, rulings, ipsec = at
            return ipsec or _in_each(_alike(ways, ports), partial(_taken, led, device, _alike(rulings, led.ports)))

        return zipped([found, ruled, self._hooks.ipsec(local)]).mapped(taken)

    def _back(self, local: int, transport: Transport, led: Led) -> AddressMap[Way]:
        """Where what answers such packets leaves the guest, by its destination."""
        place = self._place(led, local)
        if place is None or self._filters is None:
            return constant(None)
        address, ports, device = place
        if device is None:
            own = self.sent(address, transport.at(ports), led=True)
            return own.mapped(lambda ways: _alike(ways, ports))
        found = self.returned(device, address, transport.at(ports))
        worlds = [world for ways in found.values for way in ways.values for world in worlds_of(way)]
        ways_out = sorted({name for each in worlds if isinstance(each, Received) for name in each.egress})
        ruled = [self._filters.led_back(led, device, name, local, transport) for name in ways_out]
        sender = format_address(address), device

        def leaves(at: tuple[Any, ...]) -> Way:
            ways, ipsec, fixed, *rulings = at
            by_way = {name: _alike(ruling, NO_PORTS) for name, ruling in zip(ways_out, rulings, strict=True)}

            def sent(way: Received) -> Way:
                passed = _passed(way, sender, by_way)
                return passed if isinstance(passed, NotSent) else self._undisturbed(passed, fixed)

            return ipsec or _in_each(_alike(ways, NO_PORTS), sent)

        return zipped([found, self._hooks.ipsec(local), self._neighbours.fixed, *ruled]).mapped(leaves)

    def _place(self, led: Led, local: int) -> tuple[int, Range, str | None] | None:
        """Where packets are led: to an address and ports behind a device (None: to the same address), if that is
        known.
        """
        if led.to is None:
            return None
        if any(each.local == local for each in self._seen):
            return None  # the running kernel does otherwise than the model, how is not known of such packets
        address, ports = led.to
        if address == local:
            return address, ports, None
        if or_unknown(lambda: self._hosts[0].is_local_source(address)) is not False:
            return None  # another one of the server's own
        covering = [(first, -last) for first, last in self._devices if first <= address <= last]
        narrowest = max(covering, default=(0, 0))
        device = self._devices.get((narrowest[0], -narrowest[1]))
        return None if device is None else (address, ports, device)

    def _sees_packets(self, interface: str) -> bool:
        """Whether a program looks at what crosses an interface."""
        return self._hooks.program(interface) is not None or self._hooks.program_out(interface) is not None


def _on_link(route: Route, devices: Collection[str]) -> str | None:
    """The device by which a route leads to its destinations themselves."""
    hop = route.nexthops[0] if len(route.nexthops) == 1 else None
    if route.type is not RouteType.UNICAST or hop is None or hop.gateway is not None:
        return None
    return hop.interface if hop.interface in devices else None


def _at_any_port(ways: AddressMap[Way]) -> AddressMap[AddressMap[Way]]:
    known = Memo()
    return ways.mapped(lambda way: known.once(way, lambda: constant(way)))


def _alike(ways: AddressMap[Any], ports: Range) -> Any:
    """What becomes of packets with these ports, where it is the same for all."""
    found = list(dict.fromkeys(way for _, _, way in ways.stretches(*ports)))
    return found[0] if len(found) == 1 else Unknown("what netfilter leads on fares differently by its ports")


def _in_each(outcome: Outcome, become: Callable[[Received], Way]) -> Way:
    """What becomes of packets that come in, in each world."""
    if isinstance(outcome, Several):
        worlds = [become(world) for world in outcome.worlds]
        doubt = next((each for each in worlds if isinstance(each, Unknown)), None)
        return None if None in worlds else doubt or Several(outcome.reason, tuple(worlds))
    return become(outcome) if isinstance(outcome, Received) else outcome


def _taken(led: Led, device: str | None, ruling: Judged, received: Received) -> Way:
    if received.reception is Reception.FORWARDED and (received.egress, received.gateways) != ((device,), (None,)):
        return None
    stopped = ruling if isinstance(ruling, Unknown) else None
    where = f"netfilter leads it to {led.target or 'another port'} ({led.rule})"
    reason = where if device is None else f"{where}; {received.reason}"
    return msgspec.structs.replace(received, reason=reason, ruling=stopped, led=led.target or "another port")


def _passed(way: Received, sender: tuple[str, str], rulings: dict[str, Judged]) -> Sent | NotSent | Unknown:
    """A container's packet, as the guest sends it on."""
    if way.reception is Reception.FORWARDED:
        if len(way.egress) != 1 or len(way.gateways) != 1:
            return Unknown(f"several next hops of equal cost: {', '.join(way.egress)}")
        ruling = rulings.get(way.egress[0])
        stopped = ruling if isinstance(ruling, Unknown) else None
        return Sent(way.egress[0], way.gateways[0], way.by, ruling=stopped, sender=sender)
    address, device = sender
    lacking = way.reception is Reception.NOT_LOCAL
    why = f"the guest does not forward what comes in from {address}" if lacking else way.reason
    return NotSent(way.failure, why, way.by, refused_at=device, refusal=(way.failure or way.reception).value)
