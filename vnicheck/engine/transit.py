"""Flows in transit: from one remote to another through the server, for every VPC route whose next hop it is.

They have two free ends. Each is cut by the same maps of the stages, zipped, into sets of addresses that fare alike; a
path is walked for each pair of such sets.
"""

from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property, partial
from itertools import chain, product

from msgspec import Struct

from vnicheck.engine.classes import Fate, fate_of, flow_of
from vnicheck.engine.crossing import crossing_packet
from vnicheck.engine.partition import ALL_PORTS, NO_PORTS, never_remote, to_ports, to_prefixes
from vnicheck.engine.ports import PortMap, gathered, port_maps
from vnicheck.engine.remotes import Place, Remotes, StageMap
from vnicheck.engine.server_view import LocalAddress, ServerView
from vnicheck.engine.transit_path import Between, transit_path
from vnicheck.engine.walk import Opening, Path, Ranges, Walk
from vnicheck.fabric import network_acl, remote_acl, security_group, vpc_route
from vnicheck.fabric.check import unknown
from vnicheck.fabric.public_range import extents_of, public_range
from vnicheck.fabric.transit_route import TransitRoute, extents, is_led, onward, transit_routes
from vnicheck.model.address import LAST, Range, format_address, prefix_range
from vnicheck.model.address_map import AddressMap, choose, constant, membership, zipped
from vnicheck.model.flow import Direction, Flow, Leg, Protocol, Stage

MOST_PAIRS = 64
"""Pairs of ways to one fate whose lines are all told; of more, those of one end are beside the first of the other."""
MOST_MEETINGS = 2_000
"""Sorts of openers times sorts of answerers of a route whose flows are told apart; of more, nothing is known."""

_Area = tuple[Fate, tuple[str, ...], tuple[Range, ...]]
"""A fate with its ports and its openers."""


class _End(Struct, frozen=True, eq=False):
    """Addresses that fare alike as an end of flows. `samples`: one for each way in which stages decide about them."""

    ranges: list[Range]
    samples: dict[Hashable, int]

    @property
    def first(self) -> int:
        """One of them."""
        return self.ranges[0][0]


class _Piece(Struct, frozen=True, eq=False):
    """Flows from one set of addresses to another that are of one fate: the first of them, and its path."""

    opener: _End
    answerer: _End
    flow: Between
    path: Path

    def pairs(self) -> list[tuple[int, int]]:
        """An opener and an answerer for each way in which stages decide about them."""
        openers, answerers = list(self.opener.samples.values()), list(self.answerer.samples.values())
        if len(openers) * len(answerers) <= MOST_PAIRS:
            return list(product(openers, answerers))
        return [*product(openers, answerers[:1]), *product(openers[:1], answerers[1:])]


def transit_flows(walk: Walk) -> Iterator[Flow]:
    """The classes of flows through the server, route by route."""
    transit = _Transit(walk)
    for through in transit.routes:
        openers, answerers = transit.openers(through), transit.answerers(through)
        told_apart = len(openers) * len(answerers) <= MOST_MEETINGS
        for protocol in Protocol:
            ports = NO_PORTS if protocol is Protocol.ICMP else ALL_PORTS
            if told_apart:
                yield from transit.classes(through, protocol, ports, openers, answerers)
            else:
                yield from transit.too_many(through, protocol, ports, openers, answerers)


def transit_flow(view: ServerView, protocol: Protocol, opener: int, answerer: int, port: int) -> Flow | None:
    """One flow through the server alone; None where no VPC route leads it there."""
    transit = _Transit(Walk(view))
    ports = NO_PORTS if protocol is Protocol.ICMP else (port, port)
    excluded = never_remote(view.own_addresses())
    if opener == answerer or any(first <= end <= last for end in (opener, answerer) for first, last in excluded):
        return None
    one, other = (_End([(end, end)], {None: end}) for end in (opener, answerer))
    for through in transit.routes:
        first, last = prefix_range(through.route.destination)
        if first <= answerer <= last and transit.is_led(opener, through):
            for flow in transit.classes(through, protocol, ports, [one], [other]):
                return flow
    return None


class _Transit:
    """The flows through one server."""

    def __init__(self, walk: Walk) -> None:
        view = walk.view
        self._walk, self._view, self._vpc = walk, view, view.server.vpc.id
        self.routes = transit_routes(view.fabric, self._vpc, view.server.id, view.server.vnis)
        inside = [subnet for subnet in view.fabric.subnets.values() if subnet.vpc == self._vpc]
        self._subnets = membership([[prefix_range(subnet.cidr)] for subnet in inside])

    def openers(self, through: TransitRoute) -> list[_End]:
        """Whoever's packets meet the route's table."""
        return [end for end in self._ends(0, LAST) if self.is_led(end.first, through)]

    def answerers(self, through: TransitRoute) -> list[_End]:
        """Whoever is in the route's destination."""
        return self._ends(*prefix_range(through.route.destination))

    def is_led(self, opener: int, through: TransitRoute) -> bool:
        """Whether packets of an opener meet the route's table. Public address ranges are inside, wherever that is."""
        view, scope = self._view, self._view.scopes(through.vni).of(opener)
        led = is_led(view.fabric, self._vpc, opener, scope, through)
        return led and public_range(view.fabric, self._vpc, opener) is None

    def classes(
        self, through: TransitRoute, protocol: Protocol, ports: Range, openers: list[_End], answerers: list[_End]
    ) -> Iterator[Flow]:
        """Openers of one fate are a class, and so are the answerers towards whom all openers fare alike."""
        pieces: dict[Fate, list[_Piece]] = {}
        alike: dict[tuple[_Area, ...], list[Range]] = {}
        for answerer in answerers:
            area: dict[tuple[Fate, tuple[str, ...]], list[Range]] = {}
            for opener in openers:
                for fate, found in self._pieces(through, protocol, ports, opener, answerer).items():
                    pieces.setdefault(fate, []).extend(found)
                    told = to_ports(each for piece in found for each in piece.flow.opener.ports)
                    area.setdefault((fate, told), []).extend(opener.ranges)
            told_of_all = tuple((*kind, tuple(who)) for kind, who in area.items())
            alike.setdefault(told_of_all, []).extend(answerer.ranges)
        for area_of_all, whom in alike.items():
            for fate, told, who in area_of_all:
                yield flow_of(
                    Direction.TRANSIT,
                    protocol,
                    local=through.route.destination,
                    local_prefixes=to_prefixes(whom),
                    place=fate.place,
                    path=pieces[fate][0].path,
                    paths=partial(self._paths, through, pieces[fate]),
                    ports=told,
                    remote=to_prefixes(who),
                )

    def too_many(
        self, through: TransitRoute, protocol: Protocol, ports: Range, openers: list[_End], answerers: list[_End]
    ) -> Iterator[Flow]:
        """All flows of the route, by where their openers are."""
        reason = f"{len(openers)} sorts of openers and {len(answerers)} of answerers are more than are told apart"
        check = self._walk.once(("too many", reason), lambda: unknown(Stage.VPC_ROUTE, reason))
        path = Path((self._walk.section(Leg.REQUEST, self._view.at(through.vni), check),), None, None, None)
        of_place: dict[Place, list[Range]] = {}
        for opener in openers:
            place = Place(self._view.scopes(through.vni).of(opener.first), self._view.networks.of(opener.first))
            of_place.setdefault(place, []).extend(opener.ranges)
        for place, who in of_place.items():
            yield flow_of(
                Direction.TRANSIT,
                protocol,
                local=through.route.destination,
                local_prefixes=to_prefixes([each for answerer in answerers for each in answerer.ranges]),
                place=place,
                path=path,
                paths=lambda: [path],
                ports=to_ports([ports]),
                remote=to_prefixes(who),
            )

    def _pieces(
        self, through: TransitRoute, protocol: Protocol, ports: Range, opener: _End, answerer: _End
    ) -> dict[Fate, list[_Piece]]:
        """The flows from some remotes to others by their fate; none where another route leads these, or none does."""
        view, source, destination = self._view, opener.first, answerer.first
        if opener.ranges == answerer.ranges == [(source, source)]:
            return {}  # one address
        if self._subnets.at(source) & self._subnets.at(destination):
            return {}  # such packets do not meet VPC routes
        place = Place(view.scopes(through.vni).of(source), view.networks.of(source))
        way = onward(view.fabric, self._vpc, source, place.scope, destination, self.routes)
        if way != through and not isinstance(way, str):
            return {}
        flow = self._between(through, protocol, place, source, destination, (ports,))
        found: dict[Fate, list[_Piece]] = {}
        for alike in gathered((ports,), [] if protocol is Protocol.ICMP else list(self._by_port(flow))):
            part = flow.at(alike)
            path = transit_path(self._walk, self.routes, through, part)
            found.setdefault(fate_of(path, place), []).append(_Piece(opener, answerer, part, path))
        return found

    def _between(
        self, through: TransitRoute, protocol: Protocol, place: Place, source: int, destination: int, ports: Ranges
    ) -> Between:
        def seen(remote: int, local: int) -> Opening:
            here = LocalAddress(format_address(local), local, through.vni)
            there = Remotes(("transit", remote), place, ((remote, remote),), (remote,), (), (), by_port=False)
            return Opening(here, protocol, ports, there)

        return Between(seen(source, destination), seen(destination, source))

    def _paths(self, through: TransitRoute, pieces: Sequence[_Piece]) -> list[Path]:
        """The paths of all ways to a fate, in the order of their ends."""
        found = []
        for piece in pieces:
            known = piece.flow.opener
            for source, destination in piece.pairs():
                place, ports = known.remotes.place, known.ports
                flow = self._between(through, known.protocol, place, source, destination, ports)
                path = transit_path(self._walk, self.routes, through, flow)
                found.append((destination, source, ports, path))
        return [path for *_, path in sorted(found, key=lambda each: each[:3])]

    def _by_port(self, flow: Between) -> Iterator[PortMap]:
        """What the guest, the VNIs' rules and the ACLs at the ends' own subnets tell ports apart by."""
        view, walk = self._view, self._walk
        if view.kernel is not None:
            starts = sorted({0} | view.kernel.port_cuts())
            yield AddressMap(starts, starts)
        for vni in view.server.vnis:
            yield from port_maps(walk, vni, vni, Direction.INBOUND, flow.opener)
            yield from port_maps(walk, vni, vni, Direction.OUTBOUND, flow.answerer)
        for side, opens in ((flow.opener, True), (flow.answerer, False)):
            for answer in (False, True):
                packet = crossing_packet(walk, side, arriving=opens is answer, answer=answer)
                apart = remote_acl.by_port(view.fabric, self._vpc, None, packet, of_source=answer)
                if apart is not None:
                    yield apart

    def _ends(self, low: int, high: int) -> list[_End]:
        """The possible remotes in a range that fare alike, by their first address."""
        found: dict[Hashable, _End] = {}
        for first, last, told in self._apart.stretches(low, high):
            if told is not None:
                fates, values = tuple(fate for fate, _ in told), tuple(value for _, value in told)
                end = found.setdefault(fates, _End([], {}))
                end.ranges.append((first, last))
                end.samples.setdefault(values, first)
        return list(found.values())

    @cached_property
    def _apart(self) -> AddressMap[tuple[tuple[Hashable, Hashable], ...] | None]:
        """Of each possible remote what the stages tell of it, as whichever end."""
        stages = zipped(list(_stages(self._view)))
        return choose(never_remote(self._view.own_addresses()), constant(None), stages)


def _stages(view: ServerView) -> Iterator[StageMap]:
    """What each stage keeps apart."""
    fabric, vpc = view.fabric, view.server.vpc.id
    yield view.networks.alike
    for vni in view.server.vnis:
        yield view.scopes(vni).alike
        yield vpc_route.alike(fabric, view.subnet(vni), view.assume)
        yield from security_group.alike_ends(fabric, vni)
    exact = [membership([[extent] for extent in each]) for each in (extents(fabric, vpc), extents_of(fabric, vpc))]
    acls = {subnet.network_acl: subnet for subnet in fabric.subnets.values()}
    for each in chain(exact, *[network_acl.address_maps(fabric, subnet) for subnet in acls.values()]):
        yield each.mapped(lambda held: (held, None))
    if view.kernel is not None:
        yield view.kernel.ends
