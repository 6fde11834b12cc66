"""VPC routing tables that traffic from outside meets on its way in: theirs may lead past the server, to an appliance.

Source: IBM Cloud Docs, VPC: about-custom-routes (ingress routing). Which way a remote comes in is not known, and an
appliance is not seen: where such a table has a route for the address, nothing is said of what arrives.
"""

from vnicheck.fabric.check import Check, unknown
from vnicheck.model.address import prefix_range
from vnicheck.model.cloud import Fabric, Subnet
from vnicheck.model.flow import Scope

STAGE = "ingress_route"

SOURCES = {
    Scope.PRIVATE: {"transit_gateway", "direct_link"},
    Scope.INTERNET: {"internet"},
    Scope.VPC: {"vpc_zone"},
}
_DELEGATING = {"delegate", "delegate_vpc"}


def ingress_route(fabric: Fabric, subnet: Subnet, local: int, scope: Scope) -> tuple[Check, ...]:
    """A doubt about a packet from a remote of this scope to an address of the subnet; nothing where there is none."""
    sources = SOURCES.get(scope, set())
    diverting = {
        f"VPC route {route.name}: {route.destination} {route.action}": table.name
        for table in fabric.routing_tables.values()
        if table.vpc == subnet.vpc and not sources.isdisjoint(table.ingress)
        for route in table.routes
        if route.action not in _DELEGATING and _holds(route.destination, local)
    }
    if not diverting:
        return ()
    tables = ", ".join(dict.fromkeys(diverting.values()))
    reason = f"ingress routing table {tables} may lead elsewhere what comes in"
    return (unknown(STAGE, reason, by=tuple(diverting)),)


def _holds(prefix: str, address: int) -> bool:
    first, last = prefix_range(prefix)
    return first <= address <= last
