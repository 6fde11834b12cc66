"""What the guest does with packets that come in by an interface (net/ipv4/route.c, ip_route_input_slow)."""

from collections.abc import Iterator
from typing import Any

from vnicheck.kernel.fib import Match
from vnicheck.kernel.host import Host
from vnicheck.kernel.open_fields import Box, Decision, Tree
from vnicheck.kernel.received import Received as Received
from vnicheck.kernel.received import Reception as Reception
from vnicheck.kernel.rules import LOOPBACK, Found
from vnicheck.kernel.send import NotSent, to_no_host
from vnicheck.kernel.undetermined import Undetermined, Unknown, or_unknown
from vnicheck.kernel.validate import SourceValidator, asked_in
from vnicheck.model.address import LAST, format_address
from vnicheck.model.address_map import AddressMap, constant, zipped
from vnicheck.model.flow import GuestLines
from vnicheck.model.guest import NextHop, RouteType
from vnicheck.model.memo import Memo

_UNICAST, _MARTIAN, _LOOPBACK = range(3)
_SOURCES = AddressMap(
    (0, 1, 127 << 24, 128 << 24, 224 << 24, 240 << 24, LAST),
    (_MARTIAN, _UNICAST, _LOOPBACK, _UNICAST, _MARTIAN, _UNICAST, _MARTIAN),
)
_NO_UNICAST = Received(Reception.MARTIAN_SOURCE, "the source is no unicast address")
_FROM_LOOPBACK = Unknown("packets from 127.0.0.0/8 are not modelled where route_localnet is on")
Outcome = Received | NotSent | Unknown
"""NotSent: of what a container sends alone, to an address of no host."""
Back = tuple[int, str]
"""The lookup of a way back: the source it names, and the interface that it takes to be the incoming one."""


def arrives(host: Host, interface: str) -> Received | None:
    """The drop of any packet on an interface that is down or without carrier; None where packets arrive."""
    link = host.interface(interface)
    if link.up and link.carrier:
        return None
    return Received(Reception.INTERFACE_DOWN, f"{interface} is down" if not link.up else f"{interface} has no carrier")


class Arrivals:
    """Packets to one unicast address that come in by an interface which is up, by their source.

    `situations`: of each source all that is looked up for it; `outcomes` says what comes of packets from there.
    Delivery does not ask on which interface the address is (weak host model).
    """

    def __init__(self, host: Host, interface: str, fixed: int) -> None:
        """`fixed`: the end that is not free, their destination."""
        self._host = host
        self._interface = interface
        self._fixed = fixed
        self._known = Memo()
        self._backs: list[Back] = []
        situations = or_unknown(self._situations)
        self.situations: AddressMap[Any] = constant(situations) if isinstance(situations, Unknown) else situations

    def outcomes(self, situation: Any, box: Box) -> list[tuple[Box, Outcome]]:
        """What comes of the packets of a box from sources in one situation, part by part."""
        if isinstance(situation, Unknown):
            return [(box, situation)]
        try:
            return list(self._outcomes(situation, box))
        except Undetermined as reason:
            return [(box, Unknown(str(reason)))]

    def _situations(self) -> AddressMap[Any]:
        host, destination = self._host, self._fixed
        host.require_facts()
        host.interface(self._interface)
        if _SOURCES.at(destination) != _UNICAST:
            raise Undetermined(f"packets to {format_address(destination)} are not modelled")
        into = host.lookups.by_source(destination, self._interface)
        self._backs = list(dict.fromkeys(back for tree in into.values for back in self._ways_back(tree)))
        backs = [host.lookups.by_destination(source, iif) for source, iif in self._backs]
        return zipped([_SOURCES, host.own, into, *backs])

    def _ways_back(self, into: Tree) -> Iterator[Back]:
        """The lookups of the way back that some packet may need."""
        waiting = [into]
        while waiting:
            tree = waiting.pop()
            if isinstance(tree, Decision):
                waiting += (tree.yes, tree.no)
            elif isinstance(tree, Found) and isinstance(tree.match, Match):
                kind = tree.match.route.type
                if kind is RouteType.LOCAL:
                    yield self._fixed, LOOPBACK
                elif kind is RouteType.BROADCAST:
                    yield 0, LOOPBACK
                elif kind is RouteType.UNICAST:
                    for hop in self._hops(tree.match):
                        yield self._fixed, hop.interface or ""

    def _outcomes(self, situation: tuple[Any, ...], box: Box) -> Iterator[tuple[Box, Outcome]]:
        kind, own, into, *backs = situation
        if kind != _UNICAST:
            local = kind == _LOOPBACK and self._host.conf.either(self._interface, "route_localnet")
            yield box, _FROM_LOOPBACK if local else _NO_UNICAST
            return
        for part, found in asked_in(self._host, into, box):
            if isinstance(found, Unknown):
                yield part, found
            else:
                yield from self._found(found, part, bool(own), dict(zip(self._backs, backs, strict=True)))

    def _found(self, found: Found, box: Box, own: bool, backs: dict[Back, Tree]) -> Iterator[tuple[Box, Outcome]]:
        host, destination = self._host, format_address(self._fixed)
        not_local = f"{destination} is not an address of the guest"
        if not isinstance(found.match, Match):
            yield box, Received(Reception.NOT_LOCAL, not_local, found.match.by, found.match.failure)
            return
        route = found.match.route
        if route.type is RouteType.LOCAL:
            yield from self._validator(None).validate(backs[self._fixed, LOOPBACK], box, own=own)
        elif route.type is RouteType.BROADCAST:
            if host.conf.both(self._interface, "bc_forwarding"):
                yield box, Unknown(f"the guest forwards packets to the broadcast address {destination}")
                return
            for part, validation in self._validator(None).validate(backs[0, LOOPBACK], box, own=own):
                yield part, self._as_broadcast(validation)
        elif route.type is not RouteType.UNICAST or not host.conf.forwarding(self._interface):
            yield box, Received(Reception.NOT_LOCAL, not_local, GuestLines(route=route.text))
        else:
            yield from self._forward(found.match, box, own, backs)

    def _forward(self, match: Match, box: Box, own: bool, backs: dict[Back, Tree]) -> Iterator[tuple[Box, Outcome]]:
        """The source is validated as if the packet that leads back came in by the interface where this one leaves."""
        hops = self._hops(match)
        egress = tuple(dict.fromkeys(hop.interface or "" for hop in hops))
        gateways = tuple(dict.fromkeys(hop.gateway for hop in hops))
        parts: list[tuple[Box, tuple[Received | Unknown, ...]]] = [(box, ())]
        for device in egress:
            validator, back = self._validator(device), backs[self._fixed, device]
            parts = [
                (smaller, (*so_far, validation))
                for part, so_far in parts
                for smaller, validation in validator.validate(back, part, own=own)
            ]
        reason = f"the guest forwards it by {' or '.join(egress)}"
        forwarded = Received(
            Reception.FORWARDED, reason, GuestLines(route=match.route.text), egress=egress, gateways=gateways
        )
        for part, validations in parts:
            doubt = next((each for each in validations if isinstance(each, Unknown)), None)
            fates = {each.reception for each in validations if isinstance(each, Received)}
            if doubt is not None:
                yield part, doubt
            elif len(fates) != 1:
                yield part, Unknown(f"the guest forwards the packet by one of {', '.join(egress)}")
            else:
                yield part, forwarded if fates == {Reception.DELIVERED} else validations[0]

    def _hops(self, match: Match) -> tuple[NextHop, ...]:
        """The nexthops that a forwarded packet may take."""
        hops = match.nexthops if len(match.route.nexthops) == 1 else match.route.nexthops
        return tuple([hop for hop in hops if len(hops) == 1 or self._host.may_carry(hop)])

    def _validator(self, egress: str | None) -> SourceValidator:
        return self._known.once(egress or "", lambda: SourceValidator(self._host, self._interface, egress))

    def _as_broadcast(self, validation: Received | Unknown) -> Received | Unknown:
        if isinstance(validation, Unknown) or validation.reception is not Reception.DELIVERED:
            return validation
        return Received(Reception.BROADCAST, validation.reason, validation.by)


class Returns(Arrivals):
    """Packets from one address, a container's, that come in by an interface, by their destination: what is fixed is
    their source.
    """

    def _situations(self) -> AddressMap[Any]:
        host, source = self._host, self._fixed
        host.require_facts()
        host.interface(self._interface)
        if _SOURCES.at(source) != _UNICAST:
            raise Undetermined(f"packets from {format_address(source)} are not modelled")
        into = host.lookups.by_destination(source, self._interface)
        self._backs = list(dict.fromkeys(back for tree in into.values for back in self._ways_back(tree)))
        backs = [host.lookups.by_source(source, iif) for _, iif in self._backs]
        return zipped([constant(_UNICAST), constant(host.own.at(source)), into, *backs])

    def _found(self, found: Found, box: Box, own: bool, backs: dict[Back, Tree]) -> Iterator[tuple[Box, Outcome]]:
        if not isinstance(found.match, Match) or found.match.route.type is RouteType.UNICAST:
            yield from super()._found(found, box, own, backs)
        elif found.match.route.type is RouteType.BROADCAST:
            yield box, to_no_host(found.match.route)
        else:
            yield box, Unknown(f"to the guest the remote is no other host ({found.match.route.text})")
