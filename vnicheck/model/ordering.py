"""The same order whatever order the API answered in: it promises none, and a report should not change for that.

Only what means the same in any order is sorted; the rules of an ACL are not.
"""

from typing import Any, TypeVar

import msgspec

from vnicheck.model.address import parse_address
from vnicheck.model.cloud import (
    Fabric,
    LoadBalancer,
    LoadBalancerListener,
    PublicAddressRange,
    RoutingTable,
    SecurityGroup,
    SecurityGroupRule,
    Vni,
    Vpc,
    VpcRoute,
)
from vnicheck.model.snapshot import Server

T = TypeVar("T", LoadBalancerListener, PublicAddressRange, SecurityGroupRule, VpcRoute)


def ordered_server(server: Server) -> Server:
    """The primary interface first, the others by name; their addresses and groups in order."""
    vnis = sorted(map(_vni, server.vnis), key=lambda vni: (not vni.primary, vni.name, vni.id))
    return msgspec.structs.replace(server, vnis=tuple(vnis))


def ordered_fabric(fabric: Fabric) -> Fabric:
    """Everything by id."""
    changes: dict[str, Any] = {
        field: {key: _part(part) for key, part in sorted(getattr(fabric, field).items())}
        for field in ("vpcs", "subnets", "security_groups", "network_acls", "routing_tables", "missing")
    }
    balancers = fabric.load_balancers
    ranges = fabric.public_address_ranges
    members = sorted(
        fabric.load_balancer_members,
        key=lambda each: (each.load_balancer.id, each.pool.id, each.address or "", each.instance or "", each.port or 0),
    )
    return msgspec.structs.replace(
        fabric,
        load_balancers=None if balancers is None else {key: _part(part) for key, part in sorted(balancers.items())},
        load_balancer_members=tuple(members),
        public_address_ranges=None if ranges is None else _by_id(ranges),
        **changes,
    )


def _vni(vni: Vni) -> Vni:
    return msgspec.structs.replace(
        vni,
        secondary_addresses=tuple(sorted(vni.secondary_addresses, key=parse_address)),
        floating_ips=tuple(sorted(vni.floating_ips, key=lambda each: each.id)),
        security_groups=_sorted(vni.security_groups),
    )


def _part(part: Any) -> Any:
    match part:
        case Vpc():
            return msgspec.structs.replace(part, prefixes=tuple(sorted(part.prefixes)))
        case SecurityGroup():
            return msgspec.structs.replace(part, rules=_by_id(part.rules), addresses=_sorted(part.addresses))
        case RoutingTable():
            return msgspec.structs.replace(
                part, routes=_by_id(part.routes), ingress=tuple(sorted(part.ingress)), subnets=_sorted(part.subnets)
            )
        case LoadBalancer():
            return msgspec.structs.replace(
                part,
                subnets=_sorted(part.subnets),
                private_addresses=_sorted(part.private_addresses),
                public_addresses=_sorted(part.public_addresses),
                security_groups=_sorted(part.security_groups),
                listeners=None if part.listeners is None else _by_id(part.listeners),
            )
    return part


def _sorted(texts: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(sorted(texts))


def _by_id(parts: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(sorted(parts, key=lambda part: part.id))
