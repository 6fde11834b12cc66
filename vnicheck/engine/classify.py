"""All flows of a server: for each direction, protocol and local address, the classes of remotes and ports."""

from collections.abc import Callable, Iterator

from vnicheck.engine.classes import Fate, Place, fate_of, flow_of
from vnicheck.engine.inbound import inbound_path
from vnicheck.engine.outbound import outbound_path
from vnicheck.engine.partition import NO_PORTS, Range, port_atoms, to_ports
from vnicheck.engine.path import Opening, Path, client_ports
from vnicheck.engine.regions import Regions, region_of
from vnicheck.engine.server_view import LocalAddress, ServerView
from vnicheck.engine.transit import transit_flows
from vnicheck.fabric import network_acl, security_group, vpc_route
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.flow import Direction, Flow, Protocol

PATHS: dict[Direction, Callable[[ServerView, Opening], Path]] = {
    Direction.INBOUND: inbound_path,
    Direction.OUTBOUND: outbound_path,
}


def predict_flows(view: ServerView) -> tuple[Flow, ...]:
    """The server's flows, in the order of addresses, directions and protocols, then those in transit."""
    address_cuts, port_cuts = _fabric_cuts(view)
    if view.kernel is not None:
        port_cuts |= view.kernel.port_cuts()
    regions = Regions(view, address_cuts)
    ports = port_atoms(port_cuts)
    own = [
        flow
        for local in local_addresses(view)
        for direction in PATHS
        for protocol in Protocol
        for flow in _classes(view, regions, local, direction, protocol, ports)
    ]
    return (*own, *transit_flows(view, address_cuts, port_cuts))


def predict_flow(
    view: ServerView, direction: Direction, protocol: Protocol, local: LocalAddress, remote: int, port: int
) -> Flow:
    """One flow alone: a class of one remote and one port (no port for ICMP)."""
    scope = view.scopes(local.vni).of(remote)
    client = client_ports(view, protocol)
    ports = NO_PORTS if protocol is Protocol.ICMP else (port, port)
    remote_ports, local_ports = (client, ports) if direction is Direction.INBOUND else (ports, client)
    region = region_of(view, local, protocol, remote, remote_ports, local_ports)
    path = PATHS[direction](view, Opening(local, protocol, ports, scope, region))
    return flow_of(
        direction,
        protocol,
        local=local.address,
        place=Place(scope, view.networks.of(remote)),
        paths=[path],
        ports=to_ports([ports]),
        remotes=[(remote, remote)],
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
    view: ServerView,
    regions: Regions,
    local: LocalAddress,
    direction: Direction,
    protocol: Protocol,
    ports: list[Range],
) -> Iterator[Flow]:
    path_of = PATHS[direction]
    scopes = view.scopes(local.vni)
    client = client_ports(view, protocol)
    paths: dict[Fate, list[Path]] = {}
    areas: dict[Fate, dict[tuple[Range, ...], list[Range]]] = {}
    for port in [NO_PORTS] if protocol is Protocol.ICMP else ports:
        remote_ports, local_ports = (client, port) if direction is Direction.INBOUND else (port, client)
        for region in regions.of(local, protocol, remote_ports, local_ports):
            scope = scopes.of(region.first)
            path = path_of(view, Opening(local, protocol, port, scope, region))
            fate = fate_of(path, Place(scope, view.networks.of(region.first)))
            paths.setdefault(fate, []).append(path)
            areas.setdefault(fate, {}).setdefault(region.remotes, []).append(port)
    classes = [
        flow_of(
            direction,
            protocol,
            local=local.address,
            place=fate.place,
            paths=paths[fate],
            ports=ports_of_class,
            remotes=remotes,
        )
        for fate, area in areas.items()
        for ports_of_class, remotes in _rectangles(area)
    ]
    yield from sorted(classes, key=lambda flow: (prefix_range(flow.remote[0]), flow.ports or ()))


def _rectangles(area: dict[tuple[Range, ...], list[Range]]) -> Iterator[tuple[tuple[str, ...], list[Range]]]:
    """The area of a fate as products of ports and remotes."""
    by_ports: dict[tuple[str, ...], list[Range]] = {}
    for remotes, ports in area.items():
        by_ports.setdefault(to_ports(ports), []).extend(remotes)
    yield from by_ports.items()


def _fabric_cuts(view: ServerView) -> tuple[set[int], set[int]]:
    addresses = view.networks.cuts()
    ports: set[int] = set()
    for vni in view.server.vnis:
        subnet = view.subnet(vni)
        for more_addresses, more_ports in (
            security_group.cuts(view.fabric, vni),
            network_acl.cuts(view.fabric, subnet),
            (vpc_route.cuts(view.fabric, subnet, view.assume), set()),
            (view.scopes(vni).cuts(), set()),
        ):
            addresses |= more_addresses
            ports |= more_ports
    return addresses, ports
