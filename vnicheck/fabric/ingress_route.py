"""VPC routing tables that traffic from outside the zone meets on its way in: theirs may lead past the server.

Each traffic source has one such table at most; in it the longest prefix wins, of routes of the VNI's zone; `delegate`
is normal delivery. A packet of the internet is looked up by the public address that it is sent to. Traffic of the same
zone meets none. Source: IBM Cloud Docs, VPC: about-custom-routes, cr-intro, ingressroutes-ts-configuration.
"""

from collections.abc import Iterator

from vnicheck.fabric.check import Check, drops, unknown
from vnicheck.fabric.memory import remembered
from vnicheck.fabric.vpc_route import best_routes, is_settled
from vnicheck.model.address import format_address, parse_address, prefix_range
from vnicheck.model.address_map import AddressMap, membership
from vnicheck.model.cloud import Fabric, RoutingTable, Subnet, Vni, VpcRoute
from vnicheck.model.flow import DropCode, Scope, Stage

STAGE = Stage.INGRESS_ROUTE

SOURCES = {
    Scope.PRIVATE: ("transit_gateway", "direct_link"),
    Scope.INTERNET: ("internet",),
    Scope.VPC: ("vpc_zone",),
}
_FLOATING = "a floating IP that the VPC does not translate by ways that are told nowhere"
_DELEGATING = {"delegate", "delegate_vpc"}


def ingress_route(fabric: Fabric, subnet: Subnet, vni: Vni, local: int, scope: Scope, remote: int) -> tuple[Check, ...]:
    """What becomes of a packet from a remote to an address of the VNI, by the routes that win for it; nothing where it
    is delivered as without them. An appliance that it is led to is not seen. A table that was not read may have such.
    """
    floating = format_address(local) in vni.untranslated
    if floating and scope is not Scope.INTERNET:
        return (unknown(STAGE, f"remotes other than the internet reach {_FLOATING}"),)
    if scope is Scope.VPC and zone_of(fabric, subnet.vpc).at(remote) == subnet.zone:
        return ()
    address = local
    if scope is Scope.INTERNET and not floating:
        if not vni.floating_ips or local != parse_address(vni.primary_address):
            return ()
        address = parse_address(vni.floating_ips[0].address)
    winners = [
        best_routes([route for route in table.routes if route.zone in {"", subnet.zone}], address)
        for table in _tables(fabric, subnet, scope)
    ]
    diverting = [[route for route in won if not _is_normal(route, vni)] for won in winners]
    if not any(diverting):
        unread = fabric.missing.get("routing_tables") if len(winners) < len(SOURCES.get(scope, ())) else None
        return () if unread is None else (unknown(STAGE, f"the VPC routing tables for what comes in: {unread}"),)
    by = tuple(f"VPC route {route.name}: {route.destination} {route.action}" for won in diverting for route in won)
    where = format_address(address)
    if len(winners) == len(SOURCES[scope]) and all(
        won and all(r.action == "drop" and is_settled(r) for r in won) for won in winners
    ):
        return (drops(STAGE, DropCode.VPC_ROUTE, f"ingress routes drop what is sent to {where}", by=by),)
    return (unknown(STAGE, f"ingress routes may lead elsewhere what is sent to {where}", by=by),)


def zone_of(fabric: Fabric, vpc: str) -> AddressMap[str | None]:
    """The zone of each address in a subnet of the VPC."""

    def computed() -> AddressMap[str | None]:
        subnets = [subnet for subnet in fabric.subnets.values() if subnet.vpc == vpc]
        zones = sorted({subnet.zone for subnet in subnets})
        extents = [[prefix_range(each.cidr) for each in subnets if each.zone == zone] for zone in zones]
        return membership(extents).mapped(lambda held: zones[held.bit_length() - 1] if held else None)

    return remembered(fabric, (STAGE, "zones", vpc), computed)


def has_zone_table(fabric: Fabric, vpc: str) -> bool:
    """Whether traffic between the VPC's zones meets a table, or may."""
    return "routing_tables" in fabric.missing or any(
        table.vpc == vpc and "vpc_zone" in table.ingress for table in fabric.routing_tables.values()
    )


def _tables(fabric: Fabric, subnet: Subnet, scope: Scope) -> Iterator[RoutingTable]:
    """The table of each traffic source by which remotes of the scope come; one of several sources may be in one."""
    for source in SOURCES.get(scope, ()):
        for table in fabric.routing_tables.values():
            if table.vpc == subnet.vpc and source in table.ingress:
                yield table
                break


def _is_normal(route: VpcRoute, vni: Vni) -> bool:
    delivers = route.action == "deliver" and route.next_hop in vni.addresses
    return is_settled(route) and (route.action in _DELEGATING or delivers)
