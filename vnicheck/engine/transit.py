"""Flows in transit: from one remote to another through the server, for every VPC route whose next hop it is."""

from collections.abc import Iterator

from vnicheck.engine.classes import Fate, Place, fate_of, flow_of
from vnicheck.engine.partition import NO_PORTS, Range, address_atoms, port_atoms, to_ports, to_prefixes
from vnicheck.engine.path import Path
from vnicheck.engine.server_view import ServerView
from vnicheck.engine.transit_path import transit_path
from vnicheck.fabric.transit_route import TransitRoute, cuts, is_led, onward, transit_routes
from vnicheck.model.address import prefix_range
from vnicheck.model.flow import Direction, Flow, Protocol

Area = tuple[tuple[Fate, tuple[str, ...], tuple[Range, ...]], ...]
"""What becomes of the openers towards some answerers: fates with their ports and openers."""


def transit_flows(view: ServerView, address_cuts: set[int], port_cuts: set[int]) -> Iterator[Flow]:
    """The classes of flows through the server, route by route. The cuts are the edges of all that stages read."""
    vpc = view.server.vpc.id
    routes = transit_routes(view.fabric, vpc, view.server.vnis)
    if not routes:
        return
    kernel_cuts = view.kernel.address_cuts() if view.kernel is not None else set()
    atoms = address_atoms(view.own_addresses(), address_cuts | kernel_cuts | cuts(view.fabric, vpc))
    for through in routes:
        scopes = view.scopes(through.vni)
        openers = [atom for atom in atoms if is_led(view.fabric, vpc, atom[0], scopes.of(atom[0]), through)]
        low, high = prefix_range(through.route.destination)
        answerers = [(first, last) for first, last in atoms if low <= first and last <= high]
        for protocol in Protocol:
            ports = [NO_PORTS] if protocol is Protocol.ICMP else port_atoms(port_cuts)
            yield from _classes(view, routes, through, protocol, openers, answerers, ports)


def _classes(
    view: ServerView,
    routes: list[TransitRoute],
    through: TransitRoute,
    protocol: Protocol,
    openers: list[Range],
    answerers: list[Range],
    ports: list[Range],
) -> Iterator[Flow]:
    """Openers of one fate are a class, and so are the answerers towards whom all openers fare alike."""
    paths: dict[Fate, list[Path]] = {}
    alike: dict[Area, list[Range]] = {}
    for answerer in answerers:
        area: dict[Fate, dict[Range, list[Range]]] = {}
        for opener in openers:
            if opener == answerer or _in_one_subnet(view, opener[0], answerer[0]):
                continue  # such packets do not meet VPC routes
            scope = view.scopes(through.vni).of(opener[0])
            way = onward(view.fabric, view.server.vpc.id, opener[0], scope, answerer[0], routes)
            if way != through and not isinstance(way, str):
                continue  # another route leads these, or none
            place = Place(scope, view.networks.of(opener[0]))
            for port in ports:
                path = transit_path(view, routes, through, protocol, opener[0], answerer[0], port)
                fate = fate_of(path, place)
                paths.setdefault(fate, []).append(path)
                area.setdefault(fate, {}).setdefault(opener, []).append(port)
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
                remotes=who,
            )


def _normal(area: dict[Fate, dict[Range, list[Range]]]) -> Area:
    """For each fate the openers that share it on the same ports."""
    pieces: dict[tuple[Fate, tuple[str, ...]], list[Range]] = {}
    for fate, by_opener in area.items():
        for opener, ports in by_opener.items():
            pieces.setdefault((fate, to_ports(ports)), []).append(opener)
    return tuple((fate, ports, tuple(openers)) for (fate, ports), openers in pieces.items())


def _in_one_subnet(view: ServerView, one: int, other: int) -> bool:
    extents = [prefix_range(subnet.cidr) for subnet in view.fabric.subnets.values()]
    return any(first <= one <= last and first <= other <= last for first, last in extents)
