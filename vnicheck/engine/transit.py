"""Flows in transit: from one remote to another through the server, for every VPC route whose next hop it is."""

from collections.abc import Hashable, Iterable, Iterator

import msgspec
from msgspec import UNSET, UnsetType

from vnicheck.engine.classes import Fate, fate_of, flow_of
from vnicheck.engine.partition import NO_PORTS, address_atoms, port_atoms, to_ports, to_prefixes
from vnicheck.engine.refinement import port_ranges
from vnicheck.engine.remotes import Place
from vnicheck.engine.server_view import ServerView
from vnicheck.engine.transit_path import transit_path
from vnicheck.engine.walk import Path, Walk
from vnicheck.fabric import network_acl, security_group, vpc_route
from vnicheck.fabric.public_range import extents_of, public_range
from vnicheck.fabric.remote_acl import home_of
from vnicheck.fabric.transit_route import TransitRoute, extents, is_led, onward, transit_routes
from vnicheck.model.address import Range, prefix_range
from vnicheck.model.address_map import AddressMap, membership
from vnicheck.model.flow import Direction, Flow, Protocol

Area = tuple[tuple[Fate, tuple[str, ...], tuple[Range, ...]], ...]
"""What becomes of the openers towards some answerers: fates with their ports and openers."""

Piece = tuple[Fate, Path, Range]
"""Ports of one fate, with it and their path."""


def transit_flows(walk: Walk) -> Iterator[Flow]:
    """The classes of flows through the server, route by route."""
    view = walk.view
    routes = transit_routes(view.fabric, view.server.vpc.id, view.server.id, view.server.vnis)
    if routes:
        yield from _Transit(walk, routes).flows()


def transit_flow(view: ServerView, protocol: Protocol, opener: int, answerer: int, port: int) -> Flow | None:
    """One flow through the server alone; None where no VPC route leads it there."""
    for flow in transit_flows(Walk(view)):
        local = () if isinstance(flow.local_prefixes, UnsetType) else flow.local_prefixes
        ports = [(port, port)] if protocol is Protocol.ICMP else port_ranges(flow)
        ends = _in(opener, map(prefix_range, flow.remote)) and _in(answerer, map(prefix_range, local))
        if flow.protocol is protocol and ends and _in(port, ports):
            return msgspec.structs.replace(
                flow,
                remote=to_prefixes([(opener, opener)]),
                local_prefixes=to_prefixes([(answerer, answerer)]),
                ports=UNSET if protocol is Protocol.ICMP else to_ports([(port, port)]),
            )
    return None


def _in(number: int, ranges: Iterable[Range]) -> bool:
    return any(first <= number <= last for first, last in ranges)


class _Transit:
    """The atoms of the address space for flows in transit. Atoms of one kind are treated alike by every stage."""

    def __init__(self, walk: Walk, routes: list[TransitRoute]) -> None:
        view = walk.view
        self._walk = walk
        self._view = view
        self._routes = routes
        maps = list(_maps(view))
        self._atoms = address_atoms(view.own_addresses(), {start for each in maps for start in each.starts})
        self._kinds = {atom: tuple(each.at(atom[0]) for each in maps) for atom in self._atoms}
        subnets = [prefix_range(subnet.cidr) for subnet in view.fabric.subnets.values()]
        self._subnets = membership([[extent] for extent in subnets])

    def flows(self) -> Iterator[Flow]:
        """All of them."""
        view, vpc = self._view, self._view.server.vpc.id
        for through in self._routes:
            scopes = view.scopes(through.vni)
            openers = [
                atom
                for atom in self._atoms
                if is_led(view.fabric, vpc, atom[0], scopes.of(atom[0]), through)
                and public_range(view.fabric, vpc, atom[0]) is None  # such are inside, wherever that is
            ]
            low, high = prefix_range(through.route.destination)
            answerers = [(first, last) for first, last in self._atoms if low <= first and last <= high]
            for protocol in Protocol:
                yield from self._classes(through, protocol, openers, answerers)

    def _classes(
        self, through: TransitRoute, protocol: Protocol, openers: list[Range], answerers: list[Range]
    ) -> Iterator[Flow]:
        """Openers of one fate are a class, and so are the answerers towards whom all openers fare alike."""
        paths: dict[Fate, list[Path]] = {}
        alike: dict[Area, list[Range]] = {}
        known: dict[Hashable, list[Piece]] = {}
        for answerer in answerers:
            area: dict[Fate, dict[Range, list[Range]]] = {}
            for opener in openers:
                if opener == answerer or self._subnets.at(opener[0]) & self._subnets.at(answerer[0]):
                    continue  # such packets do not meet VPC routes
                kinds = (self._kinds[opener], self._kinds[answerer])
                if kinds not in known:
                    known[kinds] = list(self._pieces(through, protocol, opener[0], answerer[0]))
                    for fate, path, _ in known[kinds]:
                        paths.setdefault(fate, []).append(path)
                for fate, _, ports in known[kinds]:
                    area.setdefault(fate, {}).setdefault(opener, []).append(ports)
            alike.setdefault(_normal(area), []).append(answerer)
        for pieces, whom in alike.items():
            for fate, ports_of_class, who in pieces:
                yield flow_of(
                    Direction.TRANSIT,
                    protocol,
                    local=through.route.destination,
                    local_prefixes=to_prefixes(whom),
                    place=fate.place,
                    paths=paths[fate],
                    ports=ports_of_class,
                    remote=to_prefixes(who),
                )

    def _pieces(self, through: TransitRoute, protocol: Protocol, opener: int, answerer: int) -> Iterator[Piece]:
        """The ports of the flows from one remote to another; none where another route leads these, or none does."""
        view = self._view
        scope = view.scopes(through.vni).of(opener)
        way = onward(view.fabric, view.server.vpc.id, opener, scope, answerer, self._routes)
        if way != through and not isinstance(way, str):
            return
        place = Place(scope, view.networks.of(opener))
        for ports in self._ports(protocol, opener, answerer):
            path = transit_path(self._walk, self._routes, through, protocol, opener, answerer, ports)
            yield fate_of(path, place), path, ports

    def _ports(self, protocol: Protocol, opener: int, answerer: int) -> list[Range]:
        """The ports, cut wherever a stage's answer about these two remotes may change."""
        if protocol is Protocol.ICMP:
            return [NO_PORTS]
        view = self._view
        cuts = view.kernel.port_cuts() if view.kernel is not None else set()
        for vni in view.server.vnis:
            for one, other in ((opener, answerer), (answerer, opener)):
                cuts |= security_group.port_cuts_between(view.fabric, vni, protocol, one, other)
                cuts |= network_acl.port_cuts_between(view.fabric, view.subnet(vni), protocol, one, other)
        for one, other in ((opener, answerer), (answerer, opener)):
            home = home_of(view.fabric, view.server.vpc.id, None, one)
            if home is not None:
                cuts |= network_acl.port_cuts_between(view.fabric, home, protocol, one, other)
                cuts |= network_acl.port_cuts_between(view.fabric, home, protocol, other, one)
        return port_atoms(cuts)


def _maps(view: ServerView) -> Iterator[AddressMap[Hashable]]:
    """What the stages tell remotes apart by, whichever end of a flow they are."""
    yield view.networks.map
    for vni in view.server.vnis:
        subnet = view.subnet(vni)
        yield view.scopes(vni).map
        yield vpc_route.alike(view.fabric, subnet, view.assume)
        yield from security_group.address_maps(view.fabric, vni)
    acls = {subnet.network_acl: subnet for subnet in view.fabric.subnets.values()}
    for subnet in acls.values():
        yield from network_acl.address_maps(view.fabric, subnet)
    yield membership([[extent] for extent in extents(view.fabric, view.server.vpc.id)])
    yield membership([[extent] for extent in extents_of(view.fabric, view.server.vpc.id)])
    if view.kernel is not None:
        starts = sorted(view.kernel.address_cuts() | {0})
        yield AddressMap(starts, starts)


def _normal(area: dict[Fate, dict[Range, list[Range]]]) -> Area:
    """For each fate the openers that share it on the same ports."""
    pieces: dict[tuple[Fate, tuple[str, ...]], list[Range]] = {}
    for fate, by_opener in area.items():
        for opener, ports in by_opener.items():
            pieces.setdefault((fate, to_ports(ports)), []).append(opener)
    return tuple((fate, ports, tuple(openers)) for (fate, ports), openers in pieces.items())
