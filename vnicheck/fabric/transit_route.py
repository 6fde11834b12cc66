"""VPC routes that lead through a server: whose traffic they take, and by which VNI it comes in.

Source: IBM Cloud Docs, VPC: about-custom-routes.
"""

from msgspec import Struct

from vnicheck.fabric.ingress_route import SOURCES
from vnicheck.fabric.load_balancer import forwards, has_others
from vnicheck.fabric.public_range import public_range
from vnicheck.fabric.scope import PRIVATE_PREFIXES
from vnicheck.fabric.vpc_route import NOT_SETTLED, best_routes, is_settled
from vnicheck.model.address import prefix_range
from vnicheck.model.cloud import Fabric, RoutingTable, Subnet, Vni, VpcRoute
from vnicheck.model.flow import Scope


class TransitRoute(Struct, frozen=True):
    """A VPC route whose next hop is an address of one of the server's VNIs, or of a load balancer in route mode that
    has the server as a member. `alone`: whether no other member forwards what it leads.
    """

    route: VpcRoute
    table: RoutingTable
    vni: Vni
    balancer: str | None = None
    alone: bool = True

    @property
    def name(self) -> str:
        """For reasons."""
        by = "" if self.balancer is None else f" (network load balancer {self.balancer})"
        return f"VPC route {self.route.name}: {self.route.destination} via {self.route.next_hop}{by}"


def transit_routes(fabric: Fabric, vpc: str, server: str, vnis: tuple[Vni, ...]) -> list[TransitRoute]:
    """The routes of the VPC that deliver to one of the VNIs of the server (an id), also by a load balancer."""
    found = []
    for table in fabric.routing_tables.values():
        for route in table.routes if table.vpc == vpc else ():
            for vni in vnis if route.action == "deliver" else ():
                if route.next_hop in vni.addresses:
                    found.append(TransitRoute(route, table, vni))
                elif (balancer := forwards(fabric, route.next_hop, server, vni)) is not None:
                    alone = not has_others(fabric, balancer)
                    found.append(TransitRoute(route, table, vni, balancer.name, alone))
    return found


def is_led(fabric: Fabric, vpc: str, source: int, scope: Scope, through: TransitRoute) -> bool:
    """Whether packets from an address meet the route's table. `scope` is where the address is."""
    return any(table.id == through.table.id for table in _tables_at(fabric, vpc, source, scope) or ())


def onward(
    fabric: Fabric, vpc: str, source: int, scope: Scope, destination: int, own: list[TransitRoute]
) -> TransitRoute | VpcRoute | str | None:
    """Where the VPC leads a packet: to the server by one of its routes, elsewhere by another route, or straight on.

    None: straight on. Text: why that is not known. `scope` is the source's.
    """
    tables = _tables_at(fabric, vpc, source, scope)
    if tables is None:
        return f"the VPC routing tables: {fabric.missing.get('routing_tables', 'not readable')}"
    zone = _zone_of(fabric, vpc, source) or _zone_of(fabric, vpc, destination)
    met = [route for table in tables for route in table.routes if zone is None or route.zone in {"", zone}]
    best = best_routes(met, destination)
    if any(not is_settled(route) for route in best):
        return NOT_SETTLED
    if not best or best[0].action in {"delegate", "delegate_vpc"}:
        return None
    if len(best) > 1:
        return "several VPC routes of one priority share the load"
    ids = {table.id for table in tables}
    return next((through for through in own if through.route == best[0] and through.table.id in ids), best[0])


def _tables_at(fabric: Fabric, vpc: str, address: int, scope: Scope) -> list[RoutingTable] | None:
    """The tables that packets from an address meet: its subnet's, or the ingress tables for where it is."""
    subnet = _subnet_of(fabric, vpc, address)
    if subnet is not None:
        table = fabric.routing_tables.get(subnet.routing_table) if subnet.routing_table is not None else None
        return None if table is None else [table]
    if "routing_tables" in fabric.missing:
        return None
    words = set(SOURCES.get(scope, ()))
    return [
        table for table in fabric.routing_tables.values() if table.vpc == vpc and not words.isdisjoint(table.ingress)
    ]


def _zone_of(fabric: Fabric, vpc: str, address: int) -> str | None:
    """The zone that packets from an address leave in, and those to it arrive in; None where that is not known."""
    within = _subnet_of(fabric, vpc, address) or public_range(fabric, vpc, address)
    return within.zone if within is not None else None


def _subnet_of(fabric: Fabric, vpc: str, address: int) -> Subnet | None:
    for subnet in fabric.subnets.values():
        if subnet.vpc == vpc and _holds(subnet.cidr, address):
            return subnet
    return None


def extents(fabric: Fabric, vpc: str) -> list[tuple[int, int]]:
    """The ranges of addresses within which the way of transit traffic is one."""
    prefixes = {subnet.cidr for subnet in fabric.subnets.values()} | set(PRIVATE_PREFIXES)
    if vpc in fabric.vpcs:
        prefixes.update(fabric.vpcs[vpc].prefixes)
    for table in fabric.routing_tables.values():
        if table.vpc == vpc:
            prefixes.update(route.destination for route in table.routes)
    return sorted(map(prefix_range, prefixes))


def _holds(prefix: str, address: int) -> bool:
    first, last = prefix_range(prefix)
    return first <= address <= last
