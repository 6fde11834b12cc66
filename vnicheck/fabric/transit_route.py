"""VPC routes that lead through a server: whose traffic they take, and by which VNI it comes in.

Source: IBM Cloud Docs, VPC: about-custom-routes.
"""

from msgspec import Struct

from vnicheck.fabric.ingress_route import SOURCES
from vnicheck.fabric.load_balancer import forwards, has_others
from vnicheck.fabric.public_range import public_range
from vnicheck.fabric.remote_acl import home_of
from vnicheck.fabric.scope import PRIVATE_PREFIXES
from vnicheck.fabric.vpc_route import NOT_SETTLED, best_routes, counts_in, is_settled
from vnicheck.model.address import prefix_range
from vnicheck.model.cloud import Fabric, RoutingTable, Vni, VpcRoute
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
    """Whether packets from an address meet the route's table, if only those to another zone. `scope` is where the
    address is.
    """
    tables = _tables_at(fabric, vpc, source, scope) or []
    if home_of(fabric, vpc, None, source) is not None:
        tables = [*tables, *_ingress_tables(fabric, vpc, Scope.VPC)]
    return any(table.id == through.table.id for table in tables)


def onward(
    fabric: Fabric, vpc: str, source: int, scope: Scope, destination: int, own: list[TransitRoute]
) -> TransitRoute | VpcRoute | str | None:
    """Where the VPC leads a packet: to the server by one of its routes, elsewhere by another route, or straight on.

    None: straight on. Text: why that is not known. `scope` is the source's. What its subnet's table leaves to the VPC
    meets the ingress table for other zones, where it goes to a subnet of another zone.
    """
    unread = f"the VPC routing tables: {fabric.missing.get('routing_tables', 'not readable')}"
    tables = _tables_at(fabric, vpc, source, scope)
    if tables is None:
        return unread
    here, there = home_of(fabric, vpc, None, source), home_of(fabric, vpc, None, destination)
    within = here or there or public_range(fabric, vpc, source) or public_range(fabric, vpc, destination)
    led = _led(tables, None if within is None else within.zone, destination, own)
    if led is not None or here is None or there is None or here.zone == there.zone:
        return led
    if "routing_tables" in fabric.missing:
        return unread
    return _led(_ingress_tables(fabric, vpc, Scope.VPC), there.zone, destination, own)


def _led(
    tables: list[RoutingTable], zone: str | None, destination: int, own: list[TransitRoute]
) -> TransitRoute | VpcRoute | str | None:
    """Where the tables lead a packet that leaves, or comes in, in a zone (None: not known in which)."""
    met = [route for table in tables for route in table.routes if zone is None or counts_in(route, zone)]
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
    subnet = home_of(fabric, vpc, None, address)
    if subnet is not None:
        table = fabric.routing_tables.get(subnet.routing_table) if subnet.routing_table is not None else None
        return None if table is None else [table]
    return None if "routing_tables" in fabric.missing else _ingress_tables(fabric, vpc, scope)


def _ingress_tables(fabric: Fabric, vpc: str, scope: Scope) -> list[RoutingTable]:
    words = set(SOURCES.get(scope, ()))
    return [
        table for table in fabric.routing_tables.values() if table.vpc == vpc and not words.isdisjoint(table.ingress)
    ]


def extents(fabric: Fabric, vpc: str) -> list[tuple[int, int]]:
    """The ranges of addresses within which the way of transit traffic is one."""
    prefixes = {subnet.cidr for subnet in fabric.subnets.values()} | set(PRIVATE_PREFIXES)
    if vpc in fabric.vpcs:
        prefixes.update(fabric.vpcs[vpc].prefixes)
    for table in fabric.routing_tables.values():
        if table.vpc == vpc:
            prefixes.update(route.destination for route in table.routes)
    return sorted(map(prefix_range, prefixes))
