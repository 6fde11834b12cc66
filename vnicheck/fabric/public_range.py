"""Public address ranges: addresses that the internet reaches by ingress routes alone, and that leave to it as they are.

Source: IBM Cloud Docs, VPC: par-about, ip-spoofing-about.
"""

from collections.abc import Iterator

from vnicheck.fabric.check import Check, passes, unknown
from vnicheck.fabric.ingress_route import SOURCES
from vnicheck.fabric.memory import remembered
from vnicheck.fabric.scope import PRIVATE_PREFIXES, SERVICE_PREFIXES
from vnicheck.fabric.vpc_route import NOT_SETTLED, best_routes, counts_in, is_settled, routes_of
from vnicheck.model.address import Range, parse_address, prefix_range
from vnicheck.model.cloud import Fabric, PublicAddressRange, Subnet, Vni, VpcRoute
from vnicheck.model.flow import Scope, Stage

NEVER_PUBLIC = tuple(prefix_range(prefix) for prefix in (*PRIVATE_PREFIXES, *SERVICE_PREFIXES))


def public_range(fabric: Fabric, vpc: str, address: int) -> PublicAddressRange | None:
    """The range of the VPC that an address is in, so far as ranges were read."""
    return next((each for each in ranges_of(fabric, vpc) if _holds(each.cidr, address)), None)


def why_doubtful(fabric: Fabric, vpc: str, address: int, zone: str) -> str | None:
    """Why it is not known whether packets from an address leave to the internet from a zone as they are; None where it
    is: the address is in a stable range of the zone, or surely in none.
    """
    if any(first <= address <= last for first, last in NEVER_PUBLIC):
        return None
    found = public_range(fabric, vpc, address)
    if found is not None and found.lifecycle_state not in (None, "stable"):
        return f"public address range {found.name} is not stable"
    if found is not None and found.zone not in (None, zone):
        return f"public address range {found.name} is of another zone"
    if found is None and "public_address_ranges" in fabric.missing:
        return f"public address ranges: {fabric.missing['public_address_ranges']}"
    return None


def ranges_of(fabric: Fabric, vpc: str) -> tuple[PublicAddressRange, ...]:
    """Those that are bound to the VPC."""
    return tuple(each for each in fabric.public_address_ranges or () if each.vpc == vpc)


def held_addresses(fabric: Fabric, vpc: str, vnis: tuple[Vni, ...], held: frozenset[str]) -> dict[str, Vni]:
    """Of the addresses that a guest holds those of public address ranges, each with the VNI that an ingress route for
    the internet leads it to.
    """

    def found() -> dict[str, Vni]:
        return dict(_held(fabric, vpc, vnis, held)) if ranges_of(fabric, vpc) else {}

    return remembered(fabric, ("public ranges", vpc, tuple(vni.id for vni in vnis), held), found)


def reaches_range(fabric: Fabric, vpc: str, address: str, scope: Scope) -> tuple[Check, ...]:
    """Whether remotes reach an address of a range: those of the internet do, by the ingress route that leads it to the
    server; how others would is told nowhere.
    """
    number = parse_address(address)
    known, route = public_range(fabric, vpc, number), _leading_to(fabric, vpc, number)
    assert known is not None  # noqa: S101 - the address is held
    assert route is not None  # noqa: S101 - and led
    by = (f"VPC route {route.name}: {route.destination} {route.action}",)
    if not _counts_for(route, known):
        reason = (
            f"public address range {known.name} is of another zone than the ingress route that leads it to this VNI"
        )
        return (unknown(Stage.INGRESS_ROUTE, reason, "public-ranges", by),)
    if not is_settled(route):
        return (unknown(Stage.INGRESS_ROUTE, NOT_SETTLED, "public-ranges", by),)
    if scope is Scope.INTERNET:
        reason = f"an ingress route leads {address}, of a public address range, to this VNI"
        return (passes(Stage.INGRESS_ROUTE, reason, "public-ranges"),)
    reason = f"{address} is of a public address range, which remotes other than the internet reach by ways not modelled"
    return (unknown(Stage.INGRESS_ROUTE, reason, "public-ranges"),)


def from_range(fabric: Fabric, vpc: str, address: int, zone: str) -> Check:
    """Whether a packet from an address of a range gets out to the internet from a zone."""
    doubt = why_doubtful(fabric, vpc, address, zone)
    if doubt is not None:
        return unknown(Stage.FLOATING_IP, doubt, "public-ranges")
    return passes(Stage.FLOATING_IP, "addresses of public address ranges leave as they are", "public-ranges")


def handed_to(fabric: Fabric, subnet: Subnet, own: frozenset[str], destination: int) -> str | None:
    """To which address in the VPC, of another server, a route of the subnet's table hands what is sent to an address of
    a range; None where that is not known.
    """
    best = best_routes(routes_of(fabric, subnet) or (), destination)
    if len(best) != 1 or best[0].action != "deliver" or not is_settled(best[0]):
        return None
    hop = best[0].next_hop
    inside = [other.cidr for other in fabric.subnets.values() if other.vpc == subnet.vpc]
    if hop is None or hop in own or not any(_holds(cidr, parse_address(hop)) for cidr in inside):
        return None
    return hop


def extents_of(fabric: Fabric, vpc: str) -> list[Range]:
    """The ranges of the VPC, as ranges of addresses."""
    return [prefix_range(each.cidr) for each in ranges_of(fabric, vpc)]


def _held(fabric: Fabric, vpc: str, vnis: tuple[Vni, ...], held: frozenset[str]) -> Iterator[tuple[str, Vni]]:
    for address in sorted(held):
        route = _leading_to(fabric, vpc, parse_address(address))
        for vni in vnis:
            if route is not None and route.action == "deliver" and route.next_hop in vni.addresses:
                yield address, vni


def _leading_to(fabric: Fabric, vpc: str, address: int) -> VpcRoute | None:
    """The ingress route for the internet that leads what is sent to an address of a range: one of the range's zone,
    where it comes in, before others. None where there is none, or several are as good.
    """
    known = public_range(fabric, vpc, address)
    routes = [
        route
        for table in fabric.routing_tables.values()
        if table.vpc == vpc and not set(SOURCES[Scope.INTERNET]).isdisjoint(table.ingress)
        for route in table.routes
    ]
    if known is None:
        return None
    counting = best_routes([route for route in routes if _counts_for(route, known)], address)
    best = counting or best_routes(routes, address)
    return best[0] if len(best) == 1 else None


def _counts_for(route: VpcRoute, known: PublicAddressRange) -> bool:
    return known.zone is None or counts_in(route, known.zone)


def _holds(prefix: str, address: int) -> bool:
    first, last = prefix_range(prefix)
    return first <= address <= last
