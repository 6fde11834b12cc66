"""What the VPC API says of a server and of what its packets cross, as read; nothing is derived."""

from typing import Literal

from msgspec import Struct

from vnicheck.model.address import parse_address, parse_prefix


class Ref(Struct, frozen=True, kw_only=True):
    """A resource named by another."""

    id: str
    name: str


class FloatingIp(Struct, frozen=True, kw_only=True):
    """A public address that maps one-to-one to the primary address of its VNI."""

    id: str
    name: str
    address: str

    def __post_init__(self) -> None:
        parse_address(self.address)


class Vni(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A virtual network interface, or a legacy network interface (`legacy`), as attached to a server.

    `protocol_state_filtering_mode` is the API's word (`auto`, `enabled`, `disabled`, or one that came later); None
    where the API gives none (legacy). `allow_ip_spoofing` is None where it was not readable.
    """

    id: str
    name: str
    crn: str | None = None
    attachment: Ref | None = None
    interface_type: str | None = None
    """Bare metal: `pci` or `vlan`."""
    vlan: int | None = None
    primary: bool = False
    legacy: bool = False
    mac: str | None = None
    subnet: str
    """The subnet's id."""
    primary_address: str
    secondary_addresses: tuple[str, ...] = ()
    floating_ips: tuple[FloatingIp, ...] = ()
    security_groups: tuple[str, ...] | None = None
    """Ids; None where they were not readable."""
    protocol_state_filtering_mode: str | None = None
    allow_ip_spoofing: bool | None = None

    def __post_init__(self) -> None:
        for address in self.addresses:
            parse_address(address)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The primary address, then the secondary ones."""
        return (self.primary_address, *self.secondary_addresses)


class Subnet(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`cidr` is canonical. `public_gateway`, `network_acl`, `routing_table`: ids. None is no public gateway; but every
    subnet has the other two, and None means not readable."""

    id: str
    name: str
    cidr: str
    zone: str = ""
    vpc: str = ""
    network_acl: str | None = None
    routing_table: str | None = None
    public_gateway: str | None = None

    def __post_init__(self) -> None:
        parse_prefix(self.cidr)


class Vpc(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`prefixes` are its address prefixes in all zones."""

    id: str
    name: str
    prefixes: tuple[str, ...] = ()
    default_routing_table: str | None = None

    def __post_init__(self) -> None:
        for prefix in self.prefixes:
            parse_prefix(prefix)


class SecurityGroupRule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One allow rule. `protocol` is the API's word. Exactly one of `remote` (a prefix) and `remote_group` (an id) is
    set, or neither where the remote is of a kind that we do not know: then `unmodelled` says so.
    """

    id: str
    direction: str
    protocol: str
    remote: str | None = None
    remote_group: str | None = None
    local: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    unmodelled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for prefix in (self.remote, self.local):
            if prefix is not None:
                parse_prefix(prefix)


class SecurityGroup(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`addresses`: those of the group's targets, for rules whose remote names the group; None where not readable."""

    id: str
    name: str
    rules: tuple[SecurityGroupRule, ...] = ()
    addresses: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for address in self.addresses or ():
            parse_address(address)


class AclRule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rule of a network ACL, in its order. `action` is `allow` or `deny`; ports are inclusive, None means any."""

    id: str
    name: str
    action: str
    direction: str
    protocol: str
    source: str
    destination: str
    source_port_min: int | None = None
    source_port_max: int | None = None
    destination_port_min: int | None = None
    destination_port_max: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    unmodelled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parse_prefix(self.source)
        parse_prefix(self.destination)


class NetworkAcl(Struct, frozen=True, kw_only=True):
    """`rules` in the order of evaluation; what none matches is denied."""

    id: str
    name: str
    rules: tuple[AclRule, ...]


class VpcRoute(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One route of a VPC routing table. `action`: `deliver`, `delegate`, `delegate_vpc`, `drop`, or a later word."""

    id: str
    name: str
    destination: str
    action: str
    zone: str = ""
    next_hop: str | None = None
    """An address; None where the next hop is a gateway of the VPC (VPN, ...) or there is none."""
    priority: int = 2

    def __post_init__(self) -> None:
        parse_prefix(self.destination)


class RoutingTable(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A VPC routing table. `ingress`: the outside traffic that it routes (`internet`, `transit_gateway`, ...)."""

    id: str
    name: str
    vpc: str
    routes: tuple[VpcRoute, ...] = ()
    ingress: tuple[str, ...] = ()


class LoadBalancerMember(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A target of a load balancer's pool. `address` and `instance` (an id) as the API names the target: one of them,
    or neither (a domain name, another load balancer). `family` is the profile's: `network`, `application`, or a later
    word. `vpc` is the load balancer's, by id; `port` the one that members get traffic on, unless listeners have ranges.
    """

    load_balancer: Ref
    family: str
    vpc: str
    pool: Ref
    address: str | None = None
    instance: str | None = None
    port: int | None = None


ADVISORY = frozenset({"load_balancers"})
"""Keys of `Fabric.missing` on which no verdict hangs: a server is complete without them."""


class Fabric(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a region's servers share, by id. `missing` names what could not be read, with its reason:
    `{"security_groups": "403: not authorized"}`. Keys are this struct's field names, `floating_ips`,
    `public_gateways`, `virtual_network_interfaces`, `servers` (some were not read), and `load_balancers`.
    `load_balancer_members`: those of network load balancers.
    """

    vpcs: dict[str, Vpc] = {}
    subnets: dict[str, Subnet] = {}
    security_groups: dict[str, SecurityGroup] = {}
    network_acls: dict[str, NetworkAcl] = {}
    routing_tables: dict[str, RoutingTable] = {}
    load_balancer_members: tuple[LoadBalancerMember, ...] = ()
    missing: dict[str, str] = {}


ServerKind = Literal["instance", "bare_metal_server"]
