"""All flows of a server: for each direction, protocol and local address, the classes of remotes and ports."""

from collections.abc import Callable, Iterator
from itertools import groupby

from msgspec import Struct

from vnicheck.engine.inbound import inbound_path
from vnicheck.engine.outbound import outbound_path
from vnicheck.engine.partition import Range, address_atoms, port_atoms, to_ports, to_prefixes
from vnicheck.engine.path import NO_PORTS, Opening, Path, Step
from vnicheck.engine.server_view import LocalAddress, ServerView
from vnicheck.fabric import network_acl, security_group, vpc_route
from vnicheck.model.address import parse_address
from vnicheck.model.flow import Direction, Drop, Flow, Hop, Outcome, Protocol, Scope, Verdict

PATHS: dict[Direction, Callable[[ServerView, Opening], Path]] = {
    Direction.INBOUND: inbound_path,
    Direction.OUTBOUND: outbound_path,
}


class Fate(Struct, frozen=True):
    """What makes two flows one class: everything of their path but the lines that decided it."""

    scope: Scope
    ingress: str | None
    egress: str | None
    steps: tuple[tuple[str, ...], ...]


def predict_flows(view: ServerView) -> tuple[Flow, ...]:
    """The server's flows, in the order of addresses, directions and protocols; classes by their first remote."""
    return tuple(
        flow
        for local in local_addresses(view)
        for direction in Direction
        for protocol in Protocol
        for flow in _classes(view, local, direction, protocol)
    )


def local_addresses(view: ServerView) -> list[LocalAddress]:
    """The server's reserved addresses, VNI by VNI."""
    return [LocalAddress(address, parse_address(address), vni) for vni in view.server.vnis for address in vni.addresses]


def _classes(view: ServerView, local: LocalAddress, direction: Direction, protocol: Protocol) -> Iterator[Flow]:
    address_cuts, port_cuts = _cuts(view)
    ports = [NO_PORTS] if protocol is Protocol.ICMP else port_atoms(port_cuts)
    scopes = view.scopes(local.vni)
    path_of = PATHS[direction]
    paths: dict[Fate, list[Path]] = {}
    regions: dict[Fate, dict[Range, list[Range]]] = {}
    for remote in address_atoms(view.own_addresses(), address_cuts | scopes.cuts()):
        scope = scopes.of(remote[0])
        for port in ports:
            path = path_of(view, Opening(local, protocol, remote[0], port, scope))
            fate = _fate(path, scope)
            paths.setdefault(fate, []).append(path)
            regions.setdefault(fate, {}).setdefault(remote, []).append(port)
    for fate, region in regions.items():
        for ports_of_class, remotes in _rectangles(region):
            yield _flow(direction, protocol, local, fate.scope, paths[fate], ports_of_class, remotes)


def _rectangles(region: dict[Range, list[Range]]) -> Iterator[tuple[tuple[str, ...], list[Range]]]:
    """The region of a fate as products of ports and remotes."""
    by_ports = sorted(((to_ports(ports), remote) for remote, ports in region.items()))
    for ports, group in groupby(by_ports, key=lambda entry: entry[0]):
        yield ports, [remote for _, remote in group]


def _cuts(view: ServerView) -> tuple[set[int], set[int]]:
    addresses = view.kernel.address_cuts() if view.kernel is not None else set()
    ports = view.kernel.port_cuts() if view.kernel is not None else set()
    for vni in view.server.vnis:
        subnet = view.subnet(vni)
        for more_addresses, more_ports in (
            security_group.cuts(view.fabric, vni),
            network_acl.cuts(view.fabric, subnet),
            (vpc_route.cuts(view.fabric, subnet), set()),
            (view.scopes(vni).cuts(), set()),
        ):
            addresses |= more_addresses
            ports |= more_ports
    return addresses, ports


def _fate(path: Path, scope: Scope) -> Fate:
    steps = tuple((step.leg, step.at, step.check.stage, step.check.outcome, step.check.reason) for step in path.steps)
    return Fate(scope, path.ingress, path.egress, steps)


def _flow(
    direction: Direction,
    protocol: Protocol,
    local: LocalAddress,
    scope: Scope,
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
        ports=None if protocol is Protocol.ICMP else ports,
        remote=to_prefixes(remotes),
        remote_scope=scope,
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
    deciders = list(dict.fromkeys(step.check.by for step in steps if step.check.by))
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
