"""All flows of a server: for each direction, protocol and local address, the classes of remotes and ports."""

from collections.abc import Callable, Iterator

from msgspec import UNSET, Struct

from vnicheck.engine.inbound import inbound_path
from vnicheck.engine.outbound import outbound_path
from vnicheck.engine.partition import NO_PORTS, Range, port_atoms, to_ports, to_prefixes
from vnicheck.engine.path import Opening, Path, Step, client_ports
from vnicheck.engine.regions import Regions, region_of
from vnicheck.engine.server_view import LocalAddress, ServerView
from vnicheck.fabric import network_acl, security_group, vpc_route
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.flow import Direction, Drop, Flow, Hop, Outcome, Protocol, Scope, Verdict

PATHS: dict[Direction, Callable[[ServerView, Opening], Path]] = {
    Direction.INBOUND: inbound_path,
    Direction.OUTBOUND: outbound_path,
}


class Place(Struct, frozen=True):
    """Where remotes are: their scope, and their network's name if the configuration gives it one."""

    scope: Scope
    network: str | None


class Fate(Struct, frozen=True):
    """What makes two flows one class: everything of their path but the lines that decided it."""

    place: Place
    ingress: str | None
    egress: str | None
    steps: tuple[tuple[str, ...], ...]


def predict_flows(view: ServerView) -> tuple[Flow, ...]:
    """The server's flows, in the order of addresses, directions and protocols; classes by their first remote."""
    address_cuts, port_cuts = _fabric_cuts(view)
    if view.kernel is not None:
        port_cuts |= view.kernel.port_cuts()
    regions = Regions(view, address_cuts)
    ports = port_atoms(port_cuts)
    return tuple(
        flow
        for local in local_addresses(view)
        for direction in Direction
        for protocol in Protocol
        for flow in _classes(view, regions, local, direction, protocol, ports)
    )


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
    return _flow(
        direction,
        protocol,
        local,
        Place(scope, view.networks.of(remote)),
        [path],
        to_ports([ports]),
        [(remote, remote)],
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
            fate = _fate(path, Place(scope, view.networks.of(region.first)))
            paths.setdefault(fate, []).append(path)
            areas.setdefault(fate, {}).setdefault(region.remotes, []).append(port)
    classes = [
        _flow(direction, protocol, local, fate.place, paths[fate], ports_of_class, remotes)
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


def _fate(path: Path, place: Place) -> Fate:
    steps = tuple((step.leg, step.at, step.check.stage, step.check.outcome, step.check.reason) for step in path.steps)
    return Fate(place, path.ingress, path.egress, steps)


def _flow(
    direction: Direction,
    protocol: Protocol,
    local: LocalAddress,
    place: Place,
    paths: list[Path],
    ports: tuple[str, ...],
    remotes: list[Range],
) -> Flow:
    path = paths[0]
    hops = tuple(_hop([other.steps[i] for other in paths]) for i in range(len(path.steps)))
    drops = tuple(Drop(by=hop.drop, leg=hop.leg, at=hop.at) for hop in hops if hop.drop is not None)
    known = path.ingress is not None and path.egress is not None
    return Flow(
        direction=direction,
        protocol=protocol,
        ports=UNSET if protocol is Protocol.ICMP else ports,
        remote=to_prefixes(remotes),
        remote_scope=place.scope,
        remote_network=UNSET if place.network is None else place.network,
        local=local.address,
        ingress=path.ingress,
        egress=path.egress,
        symmetric=path.ingress == path.egress if known else None,
        verdict=_verdict(hops),
        dropped_by=drops[0].by if drops else None,
        drops=drops,
        hops=hops,
    )


def _verdict(hops: tuple[Hop, ...]) -> Verdict:
    outcomes = {hop.outcome for hop in hops}
    if Outcome.DROP in outcomes:
        return Verdict.DROPPED
    return Verdict.UNKNOWN if Outcome.UNKNOWN in outcomes else Verdict.DELIVERED


def _hop(steps: list[Step]) -> Hop:
    """One hop for the steps, of one outcome and reason, at the same place of each path of a class."""
    first = steps[0]
    deciders = list(dict.fromkeys(decider for step in steps for decider in step.check.by))
    by = f" ({deciders[0]}{f' and {len(deciders) - 1} more' if len(deciders) > 1 else ''})" if deciders else ""
    return Hop(
        leg=first.leg,
        at=first.at,
        stage=first.check.stage,
        outcome=first.check.outcome,
        reason=first.check.reason + by,
        assumption=first.check.assumption,
        drop=first.check.drop,
    )
