"""The VPC API's response shapes in full, from a few values: all that ibm-vpc 0.36 documents as always present.

Ids are derived from kind, VPC and name: the same names give the same ids.
"""

import hashlib
import ipaddress
import uuid
from typing import Any

Json = dict[str, Any]

ACCOUNT = "a/123456789abcdef0123456789abcdef0"
CREATED = "2026-01-15T10:00:00Z"
_NAMESPACE = uuid.UUID("5b1bd9f4-3d3c-4d44-9d0f-0d7f0a2f6a11")
_ZONED = {"instance": "0717_", "bare-metal-server": "0717_"}
_REGIONAL = frozenset(
    {
        "vpc",
        "security-group",
        "network-acl",
        "routing-table",
        "route",
        "floating-ip",
        "prefix",
        "rule",
        "load-balancer",
        "pool",
        "listener",
        "public-address-range",
    }
)
_PATHS = {
    "vpc": "vpcs",
    "subnet": "subnets",
    "instance": "instances",
    "bare-metal-server": "bare_metal_servers",
    "virtual-network-interface": "virtual_network_interfaces",
    "security-group": "security_groups",
    "network-acl": "network_acls",
    "floating-ip": "floating_ips",
    "public-gateway": "public_gateways",
    "load-balancer": "load_balancers",
    "public-address-range": "public_address_ranges",
}


def make_id(kind: str, *names: str) -> str:
    """The id of the resource of this kind with these names (its VPC's first, where it has one)."""
    key = str(uuid.uuid5(_NAMESPACE, "/".join((kind, *names))))
    return ("r006-" if kind in _REGIONAL else _ZONED.get(kind, "0717-")) + key


def make_mac(*names: str) -> str:
    """A locally administered MAC address."""
    digest = hashlib.sha256("/".join(names).encode()).hexdigest()
    return ":".join(["02", *(digest[at : at + 2] for at in range(0, 10, 2))])


def href(region: str, path: str) -> str:
    """The URL of a resource, as the real API gives it."""
    return f"https://{region}.iaas.cloud.ibm.com/v1/{path}"


def reference(region: str, kind: str, key: str, name: str, place: str | None = None) -> Json:
    """A resource named by another: id, name, crn, href, resource_type."""
    return {
        "id": key,
        "name": name,
        "crn": f"crn:v1:bluemix:public:is:{place or region}:{ACCOUNT}::{kind}:{key}",
        "href": href(region, f"{_PATHS.get(kind, kind.replace('-', '_') + 's')}/{key}"),
        "resource_type": kind.replace("-", "_"),
    }


def zone(region: str, name: str) -> Json:
    """ZoneReference."""
    return {"name": name, "href": href(region, f"regions/{region}/zones/{name}")}


def resource_group(name: str) -> Json:
    """ResourceGroupReference."""
    key = hashlib.md5(name.encode()).hexdigest()
    return {"id": key, "name": name, "href": f"https://resource-controller.cloud.ibm.com/v2/resource_groups/{key}"}


def reserved_ip(subnet: Json, address: str) -> Json:
    """ReservedIPReference."""
    key = make_id("reserved-ip", subnet["id"], address)
    return {
        "id": key,
        "name": f"ip-{address.replace('.', '-')}",
        "address": address,
        "href": f"{subnet['href']}/reserved_ips/{key}",
        "resource_type": "subnet_reserved_ip",
    }


def vpc(region: str, ref: Json, acl: Json, table: Json, group: Json, owner: Json) -> Json:
    """VPC."""
    return ref | {
        "classic_access": False,
        "created_at": CREATED,
        "cse_source_ips": [{"ip": {"address": "10.12.98.66"}, "zone": zone(region, f"{region}-1")}],
        "default_network_acl": acl,
        "default_routing_table": table,
        "default_security_group": group,
        "dns": {"enable_hub": False, "resolution_binding_count": 0, "resolver": {"servers": [], "type": "system"}},
        "health_reasons": [],
        "health_state": "ok",
        "public_address_ranges": [],
        "resource_group": owner,
        "status": "available",
    }


def subnet(
    region: str,
    ref: Json,
    cidr: str,
    zone_name: str,
    of: Json,
    acl: Json,
    table: Json,
    gateway: Json | None,
    owner: Json,
) -> Json:
    """Subnet."""
    size = ipaddress.ip_network(cidr).num_addresses
    return (
        ref
        | {
            "available_ipv4_address_count": size - 5,
            "created_at": CREATED,
            "ip_version": "ipv4",
            "ipv4_cidr_block": cidr,
            "network_acl": acl,
            "resource_group": owner,
            "routing_table": table,
            "status": "available",
            "total_ipv4_address_count": size,
            "vpc": of,
            "zone": zone(region, zone_name),
        }
        | ({} if gateway is None else {"public_gateway": gateway})
    )


def load_balancer(
    ref: Json,
    profile: Json,
    subnet: Json,
    pool: Json,
    owner: Json,
    *,
    access_mode: str,
    route_mode: bool,
    private_ips: list[Json],
    public_ips: list[str],
    security_groups: list[Json],
) -> Json:
    """LoadBalancer, without listeners."""
    return ref | {
        "access_mode": access_mode,
        "advanced_health_checks_supported": False,
        "asymmetric_routing_supported": route_mode,
        "attached_load_balancer_pool_members": [],
        "availability": "subnet",
        "created_at": CREATED,
        "failsafe_policy_actions": ["fail", "forward"],
        "fqdn_pool_members_supported": False,
        "hostname": f"{ref['id'][:13]}.lb.appdomain.cloud",
        "instance_groups_supported": True,
        "is_private_path": access_mode == "private_path",
        "is_public": access_mode == "public",
        "listeners": [],
        "logging": {"datapath": {"active": False}},
        "mtls_supported": False,
        "operating_status": "online",
        "pools": [pool],
        "private_ips": private_ips,
        "profile": profile,
        "provisioning_status": "active",
        "public_ips": [{"address": address} for address in public_ips],
        "resource_group": owner,
        "route_mode": route_mode,
        "security_groups": security_groups,
        "security_groups_supported": True,
        "source_ip_session_persistence_supported": True,
        "subnets": [subnet],
        "udp_supported": True,
    }


def listener(key: str, of: Json, pool: Json, protocol: str, ports: tuple[int, int]) -> Json:
    """LoadBalancerListener."""
    return {
        "id": key,
        "href": f"{of['href']}/listeners/{key}",
        "accept_proxy_protocol": False,
        "created_at": CREATED,
        "default_pool": pool,
        "port": ports[0],
        "port_min": ports[0],
        "port_max": ports[1],
        "protocol": protocol,
        "provisioning_status": "active",
    }


def public_address_range(ref: Json, cidr: str, owner: Json, target: Json | None) -> Json:
    """PublicAddressRange; without a `target` it is bound to nothing."""
    return (
        ref
        | {
            "cidr": cidr,
            "created_at": CREATED,
            "ipv4_address_count": ipaddress.ip_network(cidr).num_addresses,
            "lifecycle_state": "stable",
            "resource_group": owner,
        }
        | ({} if target is None else {"target": target})
    )


def server(
    region: str, kind: str, ref: Json, of: Json, zone_name: str, status: str, owner: Json, profile_name: str | None
) -> Json:
    """What Instance and BareMetalServer share, and of each what is its own, but for the network."""
    volume = {
        "id": make_id("volume-attachment", ref["id"]),
        "name": "boot",
        "href": f"{ref['href']}/volume_attachments/boot",
    }
    common: Json = ref | {
        "bandwidth": 4000,
        "created_at": CREATED,
        "disks": [],
        "enable_secure_boot": False,
        "health_reasons": [],
        "health_state": "ok",
        "lifecycle_reasons": [],
        "lifecycle_state": "stable",
        "memory": 8,
        "metadata_service": {"enabled": False, "protocol": "https", "response_hop_limit": 1},
        "reservation_affinity": {"policy": "disabled", "pool": []},
        "resource_group": owner,
        "status": status,
        "status_reasons": [],
        "vpc": of,
        "zone": zone(region, zone_name),
    }
    if kind == "instance":
        return common | {
            "availability": {"class": "standard"},
            "availability_policy": {"host_failure": "restart", "preemption": "stop"},
            "boot_volume_attachment": volume,
            "cluster_network_attachments": [],
            "confidential_compute_mode": "disabled",
            "profile": profile(region, "instance", profile_name or "bx2-2x8"),
            "software_attachments": [],
            "startable": True,
            "threads_per_core": 2,
            "total_network_bandwidth": 3000,
            "total_volume_bandwidth": 1000,
            "vcpu": {"architecture": "amd64", "count": 2, "manufacturer": "intel", "percentage": 100},
            "volume_attachments": [volume],
            "volume_bandwidth_qos_mode": "pooled",
        }
    return common | {
        "boot_target": {
            "id": make_id("disk", ref["id"]),
            "name": "disk0",
            "href": f"{ref['href']}/disks/disk0",
            "resource_type": "bare_metal_server_disk",
        },
        "cpu": {"architecture": "amd64", "core_count": 48, "socket_count": 2, "threads_per_core": 2},
        "firmware": {"update": "none"},
        "profile": profile(region, "bare_metal_server", profile_name or "bx2-metal-96x384"),
        "trusted_platform_module": {"enabled": False, "mode": "disabled", "supported_modes": ["disabled", "tpm_2"]},
    }


def profile(region: str, kind: str, name: str) -> Json:
    """InstanceProfileReference, BareMetalServerProfileReference."""
    return {"name": name, "href": href(region, f"{kind}/profiles/{name}"), "resource_type": f"{kind}_profile"}


def without(item: Json, *keys: str) -> Json:
    """`item` without `keys`: many references have no CRN or no type."""
    return {key: value for key, value in item.items() if key not in keys}
