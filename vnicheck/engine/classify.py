"""All flows of a server: for each direction, protocol and local address, the classes of remotes and ports."""

from collections.abc import Callable, Iterator

from vnicheck.engine.classes import Fate, Place, fate_of, flow_of
from vnicheck.engine.inbound import inbound_path
from vnicheck.engine.outbound import outbound_path
from vnicheck.engine.partition import NO_PORTS, Range, port_atoms, to_ports, to_prefixes
from vnicheck.engine.ports import port_classes
from vnicheck.engine.regions import Region, Regions, region_of
from vnicheck.engine.server_view import LocalAddress, ServerView
from vnicheck.engine.transit import transit_flows
from vnicheck.engine.walk import Opening, Path, Walk, client_ports
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.flow import Direction, Flow, Protocol

PATHS: dict[Direction, Callable[[Walk, Opening], Path]] = {
    Direction.INBOUND: inbound_path,
    Direction.OUTBOUND: outbound_path,
}


def predict_flows(view: ServerView) -> tuple[Flow, ...]:
    """The server's flows, in the order of addresses, directions and protocols, then those in transit."""
    walk, regions = Walk(view), Regions(view)
    ports = port_atoms(view.kernel.port_cuts() if view.kernel is not None else ())
    own = [
        flow
        for local in local_addresses(view)
        for places in [dict[int, Place]()]
        for direction in PATHS
        for protocol in Protocol
        for flow in _classes(walk, regions, places, local, direction, protocol, ports)
    ]
    return (*own, *transit_flows(walk))


def predict_flow(
    view: ServerView, direction: Direction, protocol: Protocol, local: LocalAddress, remote: int, port: int
) -> Flow:
    """One flow alone: a class of one remote and one port (no port for ICMP)."""
    scope = view.scopes(local.vni).of(remote)
    client = client_ports(view, protocol)
    ports = NO_PORTS if protocol is Protocol.ICMP else (port, port)
    remote_ports, local_ports = (client, ports) if direction is Direction.INBOUND else (ports, client)
    region = region_of(view, local, protocol, remote, remote_ports, local_ports)
    path = PATHS[direction](Walk(view), Opening(local, protocol, (ports,), scope, region))
    return flow_of(
        direction,
        protocol,
        local=local.address,
        place=Place(scope, view.networks.of(remote)),
        paths=[path],
        ports=to_ports([ports]),
        remote=to_prefixes([(remote, remote)]),
    )


def local_addresses(view: ServerView) -> list[LocalAddress]:
    """The server's reserved addresses, VNI by VNI, without those that the VPC has not chosen yet (0.0.0.0)."""
    return [
        LocalAddress(address, number, vni)
        for vni in view.server.vnis
        for address in vni.addresses
        if (number := parse_address(address)) != 0
    ]


def _classes(
    walk: Walk,
    regions: Regions,
    places: dict[int, Place],
    local: LocalAddress,
    direction: Direction,
    protocol: Protocol,
    ports: list[Range],
) -> Iterator[Flow]:
    """Fates are found region by region; the first of a fate's paths is that of its first port, then remote."""
    view, path_of = walk.view, PATHS[direction]
    client = client_ports(view, protocol)
    paths: dict[Fate, list[tuple[int, int, Path]]] = {}
    areas: dict[Fate, dict[int, list[Range]]] = {}
    for atom in [NO_PORTS] if protocol is Protocol.ICMP else ports:
        remote_ports, local_ports = (client, atom) if direction is Direction.INBOUND else (atom, client)
        for region in regions.of(local, protocol, remote_ports, local_ports):
            place = places.get(region.number) or places.setdefault(region.number, _place(view, local, region))
            whole = Opening(local, protocol, (atom,), place.scope, region)
            for alike in port_classes(walk, direction, whole):
                path = path_of(walk, whole if alike == whole.ports else whole.at(alike))
                fate = fate_of(path, place)
                paths.setdefault(fate, []).append((alike[0][0], region.samples[0], path))
                area = areas.setdefault(fate, {})
                for part in region.parts:
                    area.setdefault(part, []).extend(alike)
    classes = [
        flow_of(
            direction,
            protocol,
            local=local.address,
            place=fate.place,
            paths=_in_order(paths[fate]),
            ports=ports_of_class,
            remote=regions.prefixes_of(parts),
        )
        for fate, area in areas.items()
        for ports_of_class, parts in _rectangles(area)
    ]
    yield from sorted(classes, key=lambda flow: (prefix_range(flow.remote[0]), flow.ports or ()))


def _place(view: ServerView, local: LocalAddress, region: Region) -> Place:
    return Place(view.scopes(local.vni).of(region.first), view.networks.of(region.first))


def _in_order(paths: list[tuple[int, int, Path]]) -> list[Path]:
    if len(paths) > 1:
        paths = sorted(paths, key=lambda each: each[:2])
    return [path for *_, path in paths]


def _rectangles(area: dict[int, list[Range]]) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """The area of a fate as products of ports and parts of regions."""
    by_ports: dict[tuple[str, ...], list[int]] = {}
    for part, ports in area.items():
        by_ports.setdefault(to_ports(ports), []).append(part)
    for ports_of_class, parts in by_ports.items():
        yield ports_of_class, tuple(parts)
