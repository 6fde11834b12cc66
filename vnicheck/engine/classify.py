"""All flows of a server: for each direction, protocol and local address, the classes of remotes and ports."""

from collections.abc import Callable, Iterator
from functools import partial

from vnicheck.engine.classes import Fate, fate_of, flow_of
from vnicheck.engine.inbound import inbound_path
from vnicheck.engine.outbound import outbound_path
from vnicheck.engine.partition import ALL_PORTS, NO_PORTS, to_ports
from vnicheck.engine.remotes import Remotes, RemoteSets, Way
from vnicheck.engine.server_view import LocalAddress, ServerView
from vnicheck.engine.transit import transit_flows
from vnicheck.engine.walk import Opening, Path, Walk
from vnicheck.engine.worlds import paths_by_ports
from vnicheck.model.address import Range, parse_address, prefix_range
from vnicheck.model.flow import Direction, Flow, Protocol, Scope

PATHS: dict[Direction, Callable[[Walk, Opening], Path]] = {
    Direction.INBOUND: inbound_path,
    Direction.OUTBOUND: outbound_path,
}


def predict_flows(view: ServerView) -> tuple[Flow, ...]:
    """The server's flows, in the order of addresses, directions and protocols, then those in transit."""
    walk, sets = Walk(view), RemoteSets(view)
    own = [
        flow
        for local in local_addresses(view)
        for direction in PATHS
        for protocol in Protocol
        for flow in _known_classes(walk, sets, local, direction, protocol)
    ]
    return (*own, *transit_flows(walk))


def predict_flow(
    view: ServerView, direction: Direction, protocol: Protocol, local: LocalAddress, remote: int, port: int
) -> Flow:
    """One flow alone: a class of one remote and one port (no port for ICMP)."""
    sets = RemoteSets(view, only=remote)
    ports = NO_PORTS if protocol is Protocol.ICMP else (port, port)
    way = sets.way(local, protocol, ports, inbound=direction is Direction.INBOUND)
    (flow,) = _classes(Walk(view), sets, way, direction, protocol, ports)
    return flow


def local_addresses(view: ServerView) -> list[LocalAddress]:
    """The server's own addresses, VNI by VNI, without those that the VPC has not chosen yet (0.0.0.0), and those of
    public address ranges that it holds.
    """
    reserved = [
        LocalAddress(address, number, vni)
        for vni in view.server.vnis
        for address in vni.carried
        if (number := parse_address(address)) != 0
    ]
    public = [LocalAddress(address, parse_address(address), vni) for address, vni in view.public.items()]
    return [*reserved, *public]


def _known_classes(
    walk: Walk, sets: RemoteSets, local: LocalAddress, direction: Direction, protocol: Protocol
) -> tuple[Flow, ...]:
    """The classes of all ports, made once for a server and its changed copies for which they come out the same."""
    ports = NO_PORTS if protocol is Protocol.ICMP else ALL_PORTS
    way = sets.way(local, protocol, ports, inbound=direction is Direction.INBOUND)
    known, key = walk.view.classes, (direction, protocol, sets.origin(way, protocol))
    if key not in known:
        known[key] = tuple(_classes(walk, sets, way, direction, protocol, ports))
    return known[key]


def _classes(
    walk: Walk, sets: RemoteSets, way: Way, direction: Direction, protocol: Protocol, ports: Range
) -> Iterator[Flow]:
    """The classes of some destination ports."""
    path_of, inbound = PATHS[direction], direction is Direction.INBOUND
    paths: dict[Fate, list[tuple[int, int, Path]]] = {}
    ports_of: dict[Fate, dict[Remotes, list[Range]]] = {}
    for remotes in sets.of(way, inbound=inbound):
        place = remotes.place
        if inbound and place.scope is Scope.SERVICE and not sets.asked_for_one:
            continue  # services answer, they open nothing (IBM Cloud Docs, VPC: vpc-networking-concepts)
        whole = Opening(way.local, protocol, (ports,), remotes)
        for alike, path in paths_by_ports(walk, direction, whole, path_of):
            fate = fate_of(path, place)
            paths.setdefault(fate, []).append((alike[0][0], remotes.ranges[0][0], path))
            ports_of.setdefault(fate, {}).setdefault(remotes, []).extend(alike)
    classes = [
        flow_of(
            direction,
            protocol,
            local=way.local.address,
            place=fate.place,
            path=paths[fate][0][2],
            paths=partial(_in_order, paths[fate]),
            ports=ports_of_class,
            remote=sets.prefixes_of(who),
        )
        for fate, area in ports_of.items()
        for ports_of_class, who in _rectangles(area)
    ]
    yield from sorted(classes, key=lambda flow: (prefix_range(flow.remote[0]), flow.ports or ()))


def _in_order(paths: list[tuple[int, int, Path]]) -> list[Path]:
    """By their first port, then by their first remote."""
    return [path for *_, path in sorted(paths, key=lambda each: each[:2])]


def _rectangles(area: dict[Remotes, list[Range]]) -> Iterator[tuple[tuple[str, ...], tuple[Remotes, ...]]]:
    """The area of a fate as products of ports and remotes."""
    by_ports: dict[tuple[str, ...], list[Remotes]] = {}
    for remotes, ports in area.items():
        by_ports.setdefault(to_ports(ports), []).append(remotes)
    for ports_of_class, who in by_ports.items():
        yield ports_of_class, tuple(who)
