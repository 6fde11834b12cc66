"""The VPC API's shapes, as far as vnicheck reads them. Unknown fields are ignored, unknown words survive as text.

Fields without a default are those that the API documents as required and that the model cannot do without. Source of
names and shapes: the ibm-vpc SDK 0.36 (vpc_v1.py), where each class below has its namesake.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from vnicheck.cloud.errors import CloudError
from vnicheck.model.words import one_line

T = TypeVar("T")


class Named(Struct, frozen=True):
    """A zone, a profile, an image."""

    name: str = ""


class Reference(Struct, frozen=True):
    """A resource named by another."""

    id: str
    name: str = ""
    crn: str | None = None


class ReservedIp(Struct, frozen=True):
    """ReservedIPReference. `0.0.0.0`: not chosen yet."""

    address: str


class Attachment(Struct, frozen=True):
    """InstanceNetworkAttachmentReference, BareMetalServerNetworkAttachmentReference.

    Recorded accounts have some without their VNI, which then names the attachment as its target.
    """

    id: str
    name: str
    primary_ip: ReservedIp
    subnet: Reference
    virtual_network_interface: Reference | None = None


class InterfaceReference(Struct, frozen=True):
    """NetworkInterfaceInstanceContextReference, NetworkInterfaceBareMetalServerContextReference."""

    id: str
    name: str
    primary_ip: ReservedIp
    subnet: Reference


class Server(Struct, frozen=True):
    """Instance, BareMetalServer."""

    id: str
    name: str
    crn: str
    vpc: Reference
    zone: Named
    status: str = ""
    resource_group: Reference | None = None
    primary_network_attachment: Reference | None = None
    primary_network_interface: Reference | None = None
    network_attachments: list[Attachment] | None = None
    network_interfaces: list[InterfaceReference] | None = None
    profile: Named | None = None
    image: Named | None = None


class Target(Struct, frozen=True):
    """What a floating IP, a security group or a virtual network interface is bound to."""

    id: str
    resource_type: str = ""
    deleted: dict[str, Any] | None = None


class VirtualNetworkInterface(Struct, frozen=True):
    """VirtualNetworkInterface. The mode, the spoofing check and NAT have no default: absent is unknown."""

    id: str
    name: str = ""
    crn: str | None = None
    mac_address: str | None = None
    ips: list[ReservedIp] = []
    primary_ip: ReservedIp | None = None
    security_groups: list[Reference] | None = None
    protocol_state_filtering_mode: str | None = None
    allow_ip_spoofing: bool | None = None
    enable_infrastructure_nat: bool | None = None
    target: Target | None = None


class NetworkInterface(Struct, frozen=True):
    """NetworkInterface (of an instance), BareMetalServerNetworkInterface: the latter has the last four."""

    id: str
    name: str
    primary_ip: ReservedIp
    subnet: Reference
    allow_ip_spoofing: bool | None = None
    security_groups: list[Reference] | None = None
    mac_address: str | None = None
    interface_type: str | None = None
    vlan: int | None = None
    enable_infrastructure_nat: bool | None = None


class BareMetalAttachment(Struct, frozen=True):
    """BareMetalServerNetworkAttachment: what its reference in the server lacks."""

    id: str
    interface_type: str | None = None
    vlan: int | None = None


class FloatingIp(Struct, frozen=True):
    """FloatingIP."""

    id: str
    name: str
    address: str
    status: str | None = None
    target: Target | None = None


class Subnet(Struct, frozen=True):
    """Subnet."""

    id: str
    name: str
    ipv4_cidr_block: str
    vpc: Reference
    zone: Named = Named()
    network_acl: Reference | None = None
    routing_table: Reference | None = None
    public_gateway: Reference | None = None


class Vpc(Struct, frozen=True):
    """VPC."""

    id: str
    name: str
    crn: str | None = None
    default_routing_table: Reference | None = None


class AddressPrefix(Struct, frozen=True):
    """AddressPrefix."""

    id: str
    cidr: str


class SecurityGroupRule(Struct, frozen=True):
    """SecurityGroupRule. `remote` and `local` stay as they are: what they may hold grows."""

    id: str
    direction: str
    protocol: str
    ip_version: str = "ipv4"
    remote: dict[str, Any] | None = None
    local: dict[str, Any] | None = None
    port_min: int | None = None
    port_max: int | None = None
    type: int | None = None
    code: int | None = None


class SecurityGroup(Struct, frozen=True):
    """SecurityGroup."""

    id: str
    name: str
    rules: list[SecurityGroupRule]
    targets: list[Target] | None = None


class AclRule(Struct, frozen=True):
    """NetworkACLRuleItem."""

    id: str
    name: str
    action: str
    direction: str
    protocol: str
    source: str
    destination: str
    before: Reference | None = None
    ip_version: str = "ipv4"
    source_port_min: int | None = None
    source_port_max: int | None = None
    destination_port_min: int | None = None
    destination_port_max: int | None = None
    type: int | None = None
    code: int | None = None


class NetworkAcl(Struct, frozen=True):
    """NetworkACL."""

    id: str
    name: str
    rules: list[AclRule]


class LoadBalancerProfile(Struct, frozen=True):
    """LoadBalancerProfileReference."""

    family: str
    name: str | None = None


class LoadBalancer(Struct, frozen=True):
    """LoadBalancer. All of its subnets are in one VPC; listeners, and each pool's members, are lists of their own.

    Earlier API versions tell the `access_mode` by two flags.
    """

    id: str
    name: str
    profile: LoadBalancerProfile
    subnets: list[Reference]
    pools: list[Reference]
    access_mode: str | None = None
    provisioning_status: str | None = None
    is_private_path: bool | None = None
    is_public: bool | None = None
    route_mode: bool | None = None
    asymmetric_routing_supported: bool | None = None
    private_ips: list[ReservedIp] | None = None
    public_ips: list[ReservedIp] | None = None
    security_groups: list[Reference] | None = None


class LoadBalancerListener(Struct, frozen=True):
    """LoadBalancerListener. `port` is its first port, and its only one where it has no `port_max`."""

    id: str
    protocol: str
    port: int | None = None
    port_min: int | None = None
    port_max: int | None = None
    default_pool: Reference | None = None


class LoadBalancerTarget(Struct, frozen=True):
    """LoadBalancerPoolMemberTarget: an address, a reserved IP, an instance (the only one with an id and neither address
    nor resource type), a load balancer, or a domain name.
    """

    id: str | None = None
    address: str | None = None
    resource_type: str | None = None


class LoadBalancerMember(Struct, frozen=True):
    """LoadBalancerPoolMember."""

    id: str
    target: LoadBalancerTarget
    port: int | None = None
    weight: int | None = None


class NextHop(Struct, frozen=True):
    """RouteNextHop: an address, or a VPN gateway connection."""

    address: str | None = None
    id: str | None = None
    name: str = ""
    resource_type: str = ""


class Route(Struct, frozen=True):
    """Route."""

    id: str
    name: str
    destination: str
    action: str
    zone: Named | None = None
    next_hop: NextHop | None = None
    priority: int = 2
    lifecycle_state: str | None = None
    advertise: bool | None = None


class RoutingTable(Struct, frozen=True):
    """RoutingTable. Its `routes` are references: the routes are a list of their own."""

    id: str
    name: str
    route_direct_link_ingress: bool = False
    route_internet_ingress: bool = False
    route_transit_gateway_ingress: bool = False
    route_vpc_zone_ingress: bool = False
    subnets: list[Reference] | None = None


class PublicAddressRangeTarget(Struct, frozen=True):
    """PublicAddressRangeTarget. Later targets may have no VPC."""

    zone: Named | None = None
    vpc: Reference | None = None


class PublicAddressRange(Struct, frozen=True):
    """PublicAddressRange. Without a target it is bound to nothing."""

    id: str
    name: str
    cidr: str
    lifecycle_state: str | None = None
    target: PublicAddressRangeTarget | None = None


def convert(item: object, shape: type[T], what: str) -> T:
    """`item`, one resource of kind `what` (`security group`), as `shape`. Raises CloudError `api_malformed`."""
    try:
        return msgspec.convert(item, shape)
    except msgspec.ValidationError as error:
        raise malformed_resource(item, what, error) from None


def malformed_resource(item: object, what: str, reason: object) -> CloudError:
    """The error for one resource that cannot be read."""
    named = item if isinstance(item, dict) else {}
    label = next((named[key] for key in ("name", "id") if isinstance(named.get(key), str)), "without a name")
    return CloudError("api_malformed", f"{what} {one_line(label, 60)}: {one_line(reason, 160)}")
