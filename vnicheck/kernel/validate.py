"""Source validation, of which rp_filter is a part (net/ipv4/fib_frontend.c, fib_validate_source)."""

from collections.abc import Hashable, Iterator

from vnicheck.kernel.fib import Match
from vnicheck.kernel.host import Host
from vnicheck.kernel.open_fields import MARK, PROTO, ZERO, Box, Tree, leaves, merged
from vnicheck.kernel.packet import ICMP
from vnicheck.kernel.received import Received, Reception
from vnicheck.kernel.release import QUICK_CHECK_OF_SOURCE, REVERSE_PORTS_SWAPPED, is_at_least
from vnicheck.kernel.rules import LOOPBACK, Found
from vnicheck.kernel.undetermined import Undetermined, Unknown, or_unknown
from vnicheck.model.flow import Decider, GuestLines
from vnicheck.model.guest import RouteType
from vnicheck.model.memo import Memo

STRICT = 1
_MODES = {0: "off", 1: "strict", 2: "loose"}
_SWAP = Unknown("it depends on whether the kernel swaps the ports when it looks up the way back (since 5.8)")


class SourceValidator:
    """Whether the guest accepts packets' sources on the interface where they come in.

    `egress` is the interface by which a forwarded packet would leave; None for local delivery. Raises Undetermined
    where a sysctl is not known.
    """

    def __init__(self, host: Host, interface: str, egress: str | None = None) -> None:
        self._host = host
        self._interface = interface
        self._rp_filter = host.conf.rp_filter(interface)
        self._mode = f"rp_filter is {_MODES[self._rp_filter]} on {interface}"
        self._accepted = Received(Reception.DELIVERED, self._mode)
        self._quick = (
            self._rp_filter == 0
            and not host.realms
            and (egress != interface or not host.conf.either(interface, "send_redirects"))
        )
        self._accept_local = self._quick and host.conf.either(interface, "accept_local")
        self._judged = Memo()

    def validate(self, back: Tree, box: Box, *, own: bool) -> Iterator[tuple[Box, Received | Unknown]]:
        """The packets of the box, from one source, part by part. `own`: the source is an address of an interface;
        `back`: what the lookup of the way back finds (addresses swapped, as if a packet were routed out of loopback).
        An accepted source is DELIVERED; the reasons are without the packet's addresses.
        """
        state = self._host.state
        if self._accept_local:
            yield box, self._accepted
        elif self._quick and not state.custom_rules and not state.custom_local_routes:
            yield box, or_unknown(self._own_source) if own else self._accepted
        else:
            for part, found in self._ways_back(back, box):
                yield part, self._judge(found)

    def _own_source(self) -> Received:
        return self._martian("the source is one of the guest's own addresses")

    def _ways_back(self, back: Tree, box: Box) -> Iterator[tuple[Box, Found | Unknown]]:
        host = self._host
        unmarked = box[MARK] == ZERO or not host.conf.either(self._interface, "src_valid_mark")
        swaps = is_at_least(host.release, REVERSE_PORTS_SWAPPED)
        for part, found in merged(_asked(host, back, box, swapped=True, unmarked=unmarked), _sense):
            if swaps or not host.reads_ports or part[PROTO] == 1 << ICMP or isinstance(found, Unknown):
                yield part, found
                continue
            for smaller, other in merged(_asked(host, back, part, swapped=False, unmarked=unmarked), _sense):
                alike = isinstance(other, Found) and other.match == found.match
                yield smaller, found if alike else other if isinstance(other, Unknown) else _SWAP

    def _judge(self, found: Found | Unknown) -> Received | Unknown:
        if isinstance(found, Unknown):
            return found
        return self._judged.once(found, lambda: or_unknown(lambda: self._judgement(found)))

    def _judgement(self, found: Found) -> Received:
        host, interface, mode, rp_filter = self._host, self._interface, self._mode, self._rp_filter
        if not isinstance(found.match, Match):
            if rp_filter == 0:
                return self._accepted
            return Received(Reception.RP_FILTER, f"{mode} and no route leads back", found.match.by)
        route = found.match.route
        by = GuestLines(route=route.text)
        own = route.type is RouteType.LOCAL and host.conf.either(interface, "accept_local")
        if route.type is not RouteType.UNICAST and not own:
            return self._martian(f"the source is a {route.type} address to the guest", by)
        devices = list(dict.fromkeys(nexthop.interface for nexthop in route.nexthops))
        if interface in devices:
            return Received(Reception.DELIVERED, f"the way back leaves by {interface} too", by)
        if rp_filter == 0 or (route.type is RouteType.LOCAL and interface == LOOPBACK):
            return self._accepted
        way = f"the way back leaves by {' or '.join(device or '?' for device in devices)}"
        if not host.interface(interface).addresses:
            return Received(Reception.RP_FILTER, f"{mode}, {interface} has no IPv4 address, and {way}", by)
        if rp_filter == STRICT:
            return Received(Reception.RP_FILTER, f"{mode} and {way}", by)
        return Received(Reception.DELIVERED, f"{mode}, and {way}", by)

    def _martian(self, reason: str, by: Decider = "") -> Received:
        if self._quick and not is_at_least(self._host.release, QUICK_CHECK_OF_SOURCE):
            raise Undetermined(f"{reason}, which kernels before 4.15 accept where rp_filter is off")
        return Received(Reception.MARTIAN_SOURCE, reason, by)


def _sense(found: Found | Unknown) -> Hashable:
    """All that counts of a way back: whichever rule leads there."""
    return found if isinstance(found, Unknown) else id(found.match)


def asked_in(host: Host, into: Tree, box: Box) -> Iterator[tuple[Box, Found | Unknown]]:
    """What the lookup of the destination of packets that come in finds, part by part."""
    return _asked(host, into, box, swapped=False, unmarked=False)


def _asked(host: Host, tree: Tree, box: Box, *, swapped: bool, unmarked: bool) -> Iterator[tuple[Box, Found | Unknown]]:
    """A lookup for packets that come in: protocol and ports are 0 unless some rule makes the kernel fill them in.

    `swapped`: with the ports of the way back. `unmarked`: without the mark.
    """
    proto, sport, dport, mark, tos, uid = box
    if not host.reads_ports:
        asked = Box(ZERO, ZERO, ZERO, ZERO if unmarked else mark, tos, uid)
    else:
        ports = (dport, sport) if swapped else (sport, dport)
        asked = Box(proto, *ports, ZERO if unmarked else mark, tos, uid)
    for part, found in leaves(tree, asked, host.effort):
        if part is asked:
            yield box, found
            continue
        _, one, other, marks, classes, _ = part
        if not host.reads_ports:
            one, other = sport, dport
        elif swapped:
            one, other = other, one
        yield Box(proto, one, other, mark if unmarked else marks, classes, uid), found
