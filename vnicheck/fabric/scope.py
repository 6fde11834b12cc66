"""Where a remote address is, seen from a subnet.

Private networks outside RFC 1918 and RFC 6598 are those that a route of the subnet's table delegates to the VPC, and
those that the configuration lists as reachable (IBM Cloud Docs, VPC: interconnectivity).
"""

from collections.abc import Iterable

from vnicheck.fabric.memory import remembered
from vnicheck.fabric.vpc_route import private_by_route
from vnicheck.model.address import Range, prefix_range
from vnicheck.model.address_map import membership
from vnicheck.model.cloud import Fabric, Subnet
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import Scope

SERVICE_PREFIXES = ("161.26.0.0/16", "166.8.0.0/14", "169.254.0.0/16")
"""IBM Cloud service endpoints and link-local services (IBM Cloud Docs, VPC: service-endpoints-for-vpc)."""

PRIVATE_PREFIXES = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918 and RFC 6598."""


_NARROWEST_FIRST = (Scope.SUBNET, Scope.VPC, Scope.SERVICE, Scope.PRIVATE)


class ScopeMap:
    """Tells the scope of any address: the narrowest that holds it."""

    def __init__(self, fabric: Fabric, subnet: Subnet, reachable: Iterable[str]) -> None:
        vpc = fabric.vpcs.get(subnet.vpc)
        in_vpc = {other.cidr for other in fabric.subnets.values() if other.vpc == subnet.vpc}
        scopes: list[Iterable[Range]] = [
            [prefix_range(subnet.cidr)],
            map(prefix_range, in_vpc.union(vpc.prefixes if vpc else ())),
            map(prefix_range, SERVICE_PREFIXES),
            [*map(prefix_range, (*PRIVATE_PREFIXES, *reachable)), *private_by_route(fabric, subnet)],
        ]
        self.map = membership(scopes).mapped(_narrowest)
        self.alike = self.map.mapped(lambda scope: (scope, None))

    def of(self, address: int) -> Scope:
        """The scope of an address."""
        return self.map.at(address)


def scopes_from(fabric: Fabric, subnet: Subnet, assume: Assumptions) -> ScopeMap:
    """The scopes as seen from a subnet of the fabric."""
    reachable = assume.remote_reachable or ()
    return remembered(fabric, ("scope", subnet, reachable), lambda: ScopeMap(fabric, subnet, reachable))


def _narrowest(held: int) -> Scope:
    return next((scope for bit, scope in enumerate(_NARROWEST_FIRST) if held >> bit & 1), Scope.INTERNET)


class NetworkMap:
    """Tells the configured name of the network that an address is in."""

    def __init__(self, config: Config) -> None:
        names = list(config.networks)
        extents = [map(prefix_range, prefixes) for prefixes in config.networks.values()]
        self.map = membership(extents).mapped(lambda held: names[held.bit_length() - 1] if held else None)
        self.alike = self.map.mapped(lambda name: (name, None))

    def of(self, address: int) -> str | None:
        """The network's name, if it has one; no two networks share an address."""
        return self.map.at(address)


def networks_of(fabric: Fabric, config: Config) -> NetworkMap:
    """The configured names, for use with a fabric."""
    return remembered(fabric, ("networks", tuple(config.networks.items())), lambda: NetworkMap(config))
