"""Where a remote address is, seen from a subnet."""

from vnicheck.model.address import prefix_range
from vnicheck.model.cloud import Fabric, Subnet
from vnicheck.model.config import Config
from vnicheck.model.flow import Scope

SERVICE_PREFIXES = ("161.26.0.0/16", "166.8.0.0/14", "169.254.0.0/16")
"""IBM Cloud service endpoints and link-local services (IBM Cloud Docs, VPC: service-endpoints-for-vpc)."""

PRIVATE_PREFIXES = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918 and RFC 6598."""


class ScopeMap:
    """Tells the scope of any address: the narrowest that holds it."""

    def __init__(self, fabric: Fabric, subnet: Subnet) -> None:
        vpc = fabric.vpcs.get(subnet.vpc)
        in_vpc = {other.cidr for other in fabric.subnets.values() if other.vpc == subnet.vpc}
        self._scopes = [
            (Scope.SUBNET, [prefix_range(subnet.cidr)]),
            (Scope.VPC, [prefix_range(prefix) for prefix in sorted(in_vpc.union(vpc.prefixes if vpc else ()))]),
            (Scope.SERVICE, [prefix_range(prefix) for prefix in SERVICE_PREFIXES]),
            (Scope.PRIVATE, [prefix_range(prefix) for prefix in PRIVATE_PREFIXES]),
        ]

    def of(self, address: int) -> Scope:
        """The scope of an address."""
        for scope, ranges in self._scopes:
            if any(first <= address <= last for first, last in ranges):
                return scope
        return Scope.INTERNET

    def cuts(self) -> set[int]:
        """The addresses at which the scope may change."""
        return {cut for _, ranges in self._scopes for first, last in ranges for cut in (first, last + 1)}


class NetworkMap:
    """Tells the configured name of the network that an address is in."""

    def __init__(self, config: Config) -> None:
        self._ranges = sorted(
            (*prefix_range(prefix), name) for name, prefixes in config.networks.items() for prefix in prefixes
        )

    def of(self, address: int) -> str | None:
        """The network's name, if it has one."""
        return next((name for first, last, name in self._ranges if first <= address <= last), None)

    def cuts(self) -> set[int]:
        """The addresses at which the name may change."""
        return {cut for first, last, _ in self._ranges for cut in (first, last + 1)}
