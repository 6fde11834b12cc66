"""VPC routes that lead through a server: whose traffic they take, and by which VNI it comes in.

Source: IBM Cloud Docs, VPC: about-custom-routes.
"""

from msgspec import Struct

from vnicheck.fabric.ingress_route import SOURCES
from vnicheck.fabric.scope import PRIVATE_PREFIXES
from vnicheck.model.address import parse_prefix, prefix_range
from vnicheck.model.cloud import Fabric, RoutingTable, Subnet, Vni, VpcRoute
from vnicheck.model.flow import Scope


class TransitRoute(Struct, frozen=True):
    """A VPC route whose next hop is an address of one of the server's VNIs."""

    route: VpcRoute
    table: RoutingTable
    vni: Vni

    @property
    def name(self) -> str:
        """For reasons."""
        return f"VPC route {self.route.name}: {self.route.destination} via {self.route.next_hop}"


def transit_routes(fabric: Fabric, vpc: str, vnis: tuple[Vni, ...]) -> list[TransitRoute]:
    """The routes of the VPC that deliver to one of the VNIs."""
    return [
        TransitRoute(route, table, vni)
        for table in fabric.routing_tables.values()
        if table.vpc == vpc
        for route in table.routes
        if route.action == "deliver"
        for vni in vnis
        if route.next_hop in vni.addresses
    ]


def meets(fabric: Fabric, through: TransitRoute, opener: int, scope: Scope) -> bool:
    """Whether packets from an address meet the route: from a subnet that uses its table, or from an outside that its
    table is for. `scope` is where the address is, seen from the route's VNI.
    """
    table = through.table
    if any(
        subnet.routing_table == table.id and through.route.zone in {"", subnet.zone} and _holds(subnet.cidr, opener)
        for subnet in fabric.subnets.values()
    ):
        return True
    return scope in {Scope.PRIVATE, Scope.INTERNET} and not SOURCES[scope].isdisjoint(table.ingress)


def way_back(
    fabric: Fabric, vpc: str, answerer: int, opener: int, scope: Scope, own: list[TransitRoute]
) -> TransitRoute | str | None:
    """By which of the server's routes an answer comes back to it.

    None: it goes to the opener without this server. Text: why that is not known. `scope` is the answerer's.
    """
    tables = _tables_at(fabric, vpc, answerer, scope)
    if tables is None:
        return "the VPC routing table of the answering side was not readable"
    best = _best(tables, opener, _zone_of(fabric, vpc, answerer))
    if not best:
        return None
    if len(best) > 1:
        return "several VPC routes lead the answer"
    table, route = best[0]
    if route.action in {"delegate", "delegate_vpc"}:
        return None
    known = [through for through in own if through.route == route and through.table.id == table.id]
    return known[0] if known else f"VPC route {route.name} leads the answer where we cannot see"


def _tables_at(fabric: Fabric, vpc: str, address: int, scope: Scope) -> list[RoutingTable] | None:
    """The tables that packets from an address meet: its subnet's, or the ingress tables for where it is."""
    subnet = _subnet_of(fabric, vpc, address)
    if subnet is not None:
        if subnet.routing_table is None:
            return []
        table = fabric.routing_tables.get(subnet.routing_table)
        return None if table is None else [table]
    if "routing_tables" in fabric.missing:
        return None
    words = SOURCES.get(scope, set())
    return [
        table for table in fabric.routing_tables.values() if table.vpc == vpc and not words.isdisjoint(table.ingress)
    ]


def _zone_of(fabric: Fabric, vpc: str, address: int) -> str | None:
    subnet = _subnet_of(fabric, vpc, address)
    return subnet.zone if subnet is not None else None


def _subnet_of(fabric: Fabric, vpc: str, address: int) -> Subnet | None:
    for subnet in fabric.subnets.values():
        if subnet.vpc == vpc and _holds(subnet.cidr, address):
            return subnet
    return None


def _best(tables: list[RoutingTable], address: int, zone: str | None) -> list[tuple[RoutingTable, VpcRoute]]:
    matching = [
        ((-parse_prefix(route.destination)[1], route.priority), table, route)
        for table in tables
        for route in table.routes
        if _holds(route.destination, address) and (zone is None or route.zone in {"", zone})
    ]
    if not matching:
        return []
    best = min(key for key, _, _ in matching)
    return [(table, route) for key, table, route in matching if key == best]


def cuts(fabric: Fabric, vpc: str) -> set[int]:
    """The addresses at which the way of transit traffic may change."""
    prefixes = {subnet.cidr for subnet in fabric.subnets.values() if subnet.vpc == vpc} | set(PRIVATE_PREFIXES)
    for table in fabric.routing_tables.values():
        if table.vpc == vpc:
            prefixes.update(route.destination for route in table.routes)
    return {cut for first, last in map(prefix_range, prefixes) for cut in (first, last + 1)}


def _holds(prefix: str, address: int) -> bool:
    first, last = prefix_range(prefix)
    return first <= address <= last
