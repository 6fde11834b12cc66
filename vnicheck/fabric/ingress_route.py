"""VPC routing tables that traffic meets on its way to the server, and that may lead past it: that of the subnet that a
remote in the VPC sends from, and those for what comes from outside the zone.

Each traffic source from outside the zone has one such table at most; in it the longest prefix wins, of routes of the
VNI's zone; `delegate` is normal delivery. A packet of the internet is looked up by the public address that it is sent
to. Traffic of the same zone meets none of them. Source: IBM Cloud Docs, VPC: about-custom-routes, cr-intro,
ingressroutes-ts-configuration.
"""

from collections.abc import Hashable, Iterator

from msgspec import structs

from vnicheck.fabric.check import Check, drops, unknown
from vnicheck.fabric.memory import remembered
from vnicheck.fabric.remote_acl import home_of, homes
from vnicheck.fabric.vpc_route import best_routes, counts_in, is_settled, routes_of
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


def ingress_route(
    fabric: Fabric, subnet: Subnet, vni: Vni, local: int, scope: Scope, remote: int, own: frozenset[str]
) -> tuple[Check, ...]:
    """What becomes of a packet from a remote to an address of the VNI, by the routes that win for it; nothing where it
    is delivered as without them. An appliance that it is led to is not seen. A table that was not read may have such.
    """
    floating = format_address(local) in vni.untranslated
    if floating and scope is not Scope.INTERNET:
        return (unknown(STAGE, f"remotes other than the internet reach {_FLOATING}"),)
    sent = _sent_from_home(fabric, home_of(fabric, subnet.vpc, subnet, remote), vni, local, own)
    if sent is not None:
        return (sent,)
    if scope is Scope.VPC and zone_of(fabric, subnet.vpc).at(remote) == subnet.zone:
        return ()
    address = local
    if scope is Scope.INTERNET and not floating:
        if not vni.floating_ips or local != parse_address(vni.primary_address):
            return ()
        address = parse_address(vni.floating_ips[0].address)
    winners = [
        best_routes([route for route in table.routes if counts_in(route, subnet.zone)], address)
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
    if all(_lead_to(own, won) for won in diverting if won):
        return (_by_another(by),)
    return (unknown(STAGE, f"ingress routes may lead elsewhere what is sent to {where}", by=by),)


def _sent_from_home(fabric: Fabric, home: Subnet | None, vni: Vni, local: int, own: frozenset[str]) -> Check | None:
    """What the routing table of a remote's own subnet does with a packet to an address of the VNI; None where it leaves
    that to the VPC, or the remote is in no other subnet.
    """
    if home is None:
        return None
    routes = routes_of(fabric, home)
    if routes is None:
        why = fabric.missing.get("routing_tables", "not readable")
        return unknown(STAGE, f"the VPC routing table of the remote's own subnet: {why}")
    best = best_routes(routes, local)
    if all(_is_normal(route, vni) for route in best):
        return None
    by = tuple(f"VPC route {route.name}: {route.destination} {route.action}" for route in best)
    if all(route.action == "drop" and is_settled(route) for route in best):
        return drops(STAGE, DropCode.VPC_ROUTE, "a VPC route of the remote's own subnet drops it", by=by)
    if _lead_to(own, best):
        return _by_another(by)
    return unknown(STAGE, "VPC routes of the remote's own subnet may lead it elsewhere", by=by)


def _by_another(by: tuple[str, ...]) -> Check:
    reason = "a VPC route leads it to another VNI of this server, by which it then comes in"
    return structs.replace(unknown(STAGE, reason, by=by), by_another=True)


def _lead_to(own: frozenset[str], routes: list[VpcRoute]) -> bool:
    return bool(routes) and all(route.action == "deliver" and route.next_hop in own for route in routes)


def alike(fabric: Fabric, vpc: str, vnis: tuple[Vni, ...]) -> AddressMap[tuple[Hashable, Hashable]]:
    """What the tables of their own subnets tell remotes in the VPC apart by, for packets to any address of the VNIs: of
    each remote a fate and a value; the same for all servers of which they say the same.
    """
    said: dict[tuple[str | None, str], tuple[Hashable, Hashable]] = {}
    for home in fabric.subnets.values():
        if home.vpc == vpc and _key(home) not in said:
            said[_key(home)] = _told(fabric, home, vnis)
    key = (STAGE, "homes", vpc, *said.items())
    return remembered(
        fabric, key, lambda: homes(fabric, vpc).mapped(lambda home: (None, None) if home is None else said[_key(home)])
    )


def _key(home: Subnet) -> tuple[str | None, str]:
    return home.routing_table, home.zone


def _told(fabric: Fabric, home: Subnet, vnis: tuple[Vni, ...]) -> tuple[Hashable, Hashable]:
    own = frozenset(address for vni in vnis for address in vni.addresses)
    checks = [_sent_from_home(fabric, home, vni, parse_address(each), own) for vni in vnis for each in vni.addresses]
    if all(check is None for check in checks):
        return None, None
    fates = tuple(None if check is None else (check.outcome, check.reason) for check in checks)
    return fates, tuple(None if check is None else check.by for check in checks)


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
