"""The VPC routing table of a subnet: longest prefix, then the smaller priority; equals share the load.

The table decides for every destination that a route of it matches, also inside the VPC; the VPC's implicit table counts
where none matches, and where a route delegates to it. Source: IBM Cloud Docs, VPC: about-custom-routes, cr-intro,
cr-create-route, interconnectivity.
"""

from collections.abc import Iterable

from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.fabric.memory import remembered
from vnicheck.fabric.remote_acl import home_of
from vnicheck.model.address import Range, parse_prefix, prefix_range
from vnicheck.model.address_map import AddressMap, membership
from vnicheck.model.cloud import Fabric, Subnet, VpcRoute
from vnicheck.model.config import Assumptions
from vnicheck.model.flow import DropCode, Outcome, Scope, Stage

STAGE = Stage.VPC_ROUTE
NOT_SETTLED = "a VPC route is not stable: whether it counts yet is not known"
_DELEGATING = {"delegate", "delegate_vpc"}
_LEAST_NETWORK = 8
"""No private network has a shorter prefix."""


def vpc_route(
    fabric: Fabric,
    subnet: Subnet,
    assume: Assumptions,
    destination: int,
    scope: Scope,
    *,
    source: int | None = None,
    own: frozenset[str] = frozenset(),
    private_here: bool = True,
) -> Check:
    """Whether a packet that has left a VNI of the subnet goes on towards its destination.

    `source`: its source address, None where that is of the subnet; `own`: the addresses of the server that has sent it.
    `private_here`: False where the scope is `private` by the routes of another subnet alone.
    """
    first, last = prefix_range(subnet.cidr)
    if first <= destination <= last:
        return passes(STAGE, f"the destination is in subnet {subnet.name}")
    routes = routes_of(fabric, subnet)
    if routes is None:
        reason = fabric.missing.get("routing_tables", "not readable")
        return unknown(STAGE, f"the VPC routing table of subnet {subnet.name}: {reason}")
    best = best_routes(routes, destination)
    if not private_here and _with_internet(best):
        return _to_internet(subnet, best)
    if not best:
        return _implicit(fabric, subnet, assume, destination, scope)
    route = best[0]
    by = _lines(best)
    if len(best) > 1:
        return unknown(STAGE, "several VPC routes of one priority share the load", by=by)
    if any(not is_settled(each) for each in best):
        return unknown(STAGE, NOT_SETTLED, by=by)
    if route.action == "deliver" and route.next_hop in own:
        return drops(STAGE, DropCode.VPC_ROUTE, "a VPC route leads back to this server", by=by)
    if route.action == "drop":
        return drops(STAGE, DropCode.VPC_ROUTE, "a VPC route drops it", by=by)
    if route.action == "delegate_vpc" and scope is Scope.INTERNET:
        reason = "a VPC route delegates it to the VPC, from which nothing leaves to the internet"
        return drops(STAGE, DropCode.VPC_ROUTE, reason, by=by)
    if route.action in _DELEGATING:
        return _implicit(fabric, subnet, assume, destination, scope)
    if route.action == "deliver" and _is_of_vpn(route) and not _uses_table(fabric, subnet, source):
        reason = (
            "a VPC route hands it to a VPN, which carries only what is sent from subnets that use the route's table"
        )
        return drops(STAGE, DropCode.VPC_ROUTE, reason, "vpn-source", by)
    if route.action == "deliver" and scope is Scope.PRIVATE and private_here and not _is_unseen(route):
        beyond = _by_default(assume, destination, scope)
        if beyond.outcome is not Outcome.PASS:
            return beyond
        return passes(STAGE, f"a VPC route hands it to {_next_hop(route)}", "remote-reachable", by)
    return unknown(STAGE, "a VPC route leads where we cannot see", by=by)


def alike(fabric: Fabric, subnet: Subnet, assume: Assumptions) -> AddressMap[tuple[int, None]]:
    """Of each destination a first value: those of one such and of one scope fare alike, by the same routes."""
    reachable = assume.remote_reachable or ()

    def computed() -> AddressMap[tuple[int, None]]:
        routes = [*(routes_of(fabric, subnet) or ()), *_between_zones(fabric, subnet.vpc)]
        prefixes = [*(route.destination for route in routes), *reachable]
        held = membership([[prefix_range(prefix)] for prefix in dict.fromkeys(prefixes)])
        return held.mapped(lambda sets: (sets, None))

    return remembered(fabric, (STAGE, subnet, reachable), computed)


def _implicit(fabric: Fabric, subnet: Subnet, assume: Assumptions, destination: int, scope: Scope) -> Check:
    """What the VPC does by itself: a packet to a subnet of another zone meets the routes for what comes from there."""
    home = home_of(fabric, subnet.vpc, None, destination) if scope is Scope.VPC else None
    if home is None or home.zone == subnet.zone:
        return _by_default(assume, destination, scope)
    met = [route for route in _between_zones(fabric, subnet.vpc) if counts_in(route, home.zone)]
    best = best_routes(met, destination)
    by = _lines(best)
    if best and all(each.action == "drop" and is_settled(each) for each in best):
        reason = "a VPC route for what comes from other zones drops it"
        return drops(Stage.INGRESS_ROUTE, DropCode.VPC_ROUTE, reason, by=by)
    if not all(each.action in _DELEGATING and is_settled(each) for each in best):
        return unknown(Stage.INGRESS_ROUTE, "VPC routes for what comes from other zones may lead it elsewhere", by=by)
    return _by_default(assume, destination, scope)


def _between_zones(fabric: Fabric, vpc: str) -> list[VpcRoute]:
    """Those of the table for what comes from other zones of the VPC."""
    tables = (table for table in fabric.routing_tables.values() if table.vpc == vpc and "vpc_zone" in table.ingress)
    return [route for table in tables for route in table.routes]


def _by_default(assume: Assumptions, destination: int, scope: Scope) -> Check:
    match scope:
        case Scope.PRIVATE if assume.remote_reachable is not None:
            if any(first <= destination <= last for first, last in map(prefix_range, assume.remote_reachable)):
                return passes(STAGE, "towards private space beyond the VPC (as configured)", "remote-reachable")
            return unknown(STAGE, "remote-reachable does not list this private space", "remote-reachable")
        case Scope.PRIVATE:
            return passes(STAGE, "towards private space beyond the VPC", "remote-reachable")
        case Scope.SERVICE:
            return passes(STAGE, "towards IBM Cloud's service network", "remote-reachable")
        case _:
            return passes(STAGE, "no VPC route diverts it")


def _to_internet(subnet: Subnet, best: list[VpcRoute]) -> Check:
    """A packet for a private network outside the private address space, of which the subnet's table knows nothing."""
    reason = (
        f"it is for a private network with public addresses, which no route of subnet {subnet.name} delegates to the "
        "VPC: it goes to the internet"
    )
    return drops(STAGE, DropCode.VPC_ROUTE, reason, by=_lines(best))


def _lines(routes: list[VpcRoute]) -> tuple[str, ...]:
    return tuple(f"VPC route {each.name}: {_line(each)}" for each in routes)


def _line(route: VpcRoute) -> str:
    """`10.8.0.0/16 deliver to 10.0.0.5`."""
    whither = f" to {_next_hop(route)}" if route.action == "deliver" else ""
    return f"{route.destination} {route.action}{whither}"


def _next_hop(route: VpcRoute) -> str:
    return route.next_hop or ("what is not known" if _is_unseen(route) else "a gateway of the VPC")


def routes_of(fabric: Fabric, subnet: Subnet) -> list[VpcRoute] | None:
    """Those of the subnet's table that count in its zone; None where it was not read."""
    table = fabric.routing_tables.get(subnet.routing_table) if subnet.routing_table is not None else None
    if table is None:
        return None
    return [route for route in table.routes if counts_in(route, subnet.zone)]


def counts_in(route: VpcRoute, zone: str) -> bool:
    """Whether the route counts in a zone; where either has none it may."""
    return route.zone == zone or "" in {route.zone, zone}


def is_settled(route: VpcRoute) -> bool:
    """Whether the route surely counts; an old snapshot does not tell."""
    return route.lifecycle_state in {None, "stable"}


def _is_of_vpn(route: VpcRoute) -> bool:
    return route.next_hop_resource is not None and route.next_hop_resource.kind == "vpn_gateway_connection"


def _is_unseen(route: VpcRoute) -> bool:
    """Whether the next hop is of a kind that we do not know."""
    return route.next_hop_resource is not None and not _is_of_vpn(route)


def _uses_table(fabric: Fabric, subnet: Subnet, source: int | None) -> bool:
    """Whether the source is in a subnet that uses the same routing table."""
    if source is None:
        return True
    for other in fabric.subnets.values():
        first, last = prefix_range(other.cidr)
        if other.vpc == subnet.vpc and first <= source <= last:
            return other.routing_table == subnet.routing_table
    return False


def best_routes(routes: Iterable[VpcRoute], destination: int) -> list[VpcRoute]:
    """The routes that lead to a destination: longest prefix, then smallest priority; several share the load."""
    matching = []
    for route in routes:
        first, last = prefix_range(route.destination)
        if first <= destination <= last:
            matching.append((first - last, route.priority, route))
    if not matching:
        return []
    best = max(matching, key=lambda entry: (entry[0], -entry[1]))[:2]
    return [route for *key, route in matching if tuple(key) == best]


def private_by_route(fabric: Fabric, subnet: Subnet) -> list[Range]:
    """What routes delegate to the VPC: private networks, also outside the private address space. A route that is as
    good as the whole internet names none, and what a route that wins delegates with the internet is none.
    """
    routes = routes_of(fabric, subnet) or []
    named = [
        prefix_range(route.destination)
        for route in routes
        if route.action == "delegate_vpc" and parse_prefix(route.destination)[1] >= _LEAST_NETWORK
    ]
    cut = membership([named, *([prefix_range(route.destination)] for route in routes if route.action == "delegate")])
    return [
        (first, last)
        for first, last, held in cut.stretches()
        if held & 1 and not (held > 1 and _with_internet(best_routes(routes, first)))
    ]


def _with_internet(best: list[VpcRoute]) -> bool:
    """Whether the VPC's own routes decide, those to the internet too."""
    return all(route.action == "delegate" and is_settled(route) for route in best)
