"""What the VPC API says of a server and of what its packets cross, as read; nothing is derived."""

from typing import Literal

from msgspec import Struct

from vnicheck.model.address import parse_address, parse_prefix

UNSET_ADDRESS = "0.0.0.0"  # noqa: S104
"""What the API gives for a reserved IP that it has not chosen yet."""


class Ref(Struct, frozen=True, kw_only=True):
    """A resource named by another."""

    id: str
    name: str


class FloatingIp(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A public address that maps one-to-one to the primary address of its VNI; where the VNI's infrastructure NAT is
    off, the packets' own address instead.

    `status`: the API's word (`available`, `pending`, `deleting`, `failed`, or a later one). `target`: the id of what it
    is bound to: the VNI, its attachment or its legacy interface. None: not read.
    """

    id: str
    name: str
    address: str
    status: str | None = None
    target: str | None = None

    def __post_init__(self) -> None:
        parse_address(self.address)


class Vni(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A virtual network interface, or a legacy network interface (`legacy`), as attached to a server.

    `protocol_state_filtering_mode` is the API's word (`auto`, `enabled`, `disabled`, or one that came later); None
    where the API gives none (legacy). `allow_ip_spoofing` and `enable_infrastructure_nat` are None where they were not
    read; the latter is false on bare metal alone: the VPC passes packets unchanged (SDK, VirtualNetworkInterface).
    `id` is the attachment's where no VNI could be found for it (the server's problem `vni_unreadable` says so).
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
    enable_infrastructure_nat: bool | None = None

    def __post_init__(self) -> None:
        for address in self.addresses:
            parse_address(address)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The primary address, then the secondary ones."""
        return (self.primary_address, *self.secondary_addresses)

    @property
    def untranslated(self) -> tuple[str, ...]:
        """Its floating IPs where the VPC translates nothing: packets carry them, in the guest too."""
        if self.enable_infrastructure_nat is not False:
            return ()
        return tuple(each.address for each in self.floating_ips if each.address not in self.addresses)

    @property
    def carried(self) -> tuple[str, ...]:
        """The addresses of its own that packets carry."""
        return (*self.addresses, *self.untranslated)


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


class NextHopResource(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A next hop that is no address. `kind`: the API's `vpn_gateway_connection`, a later word, or empty: none given.
    Without `id`: the API names nothing that is known.
    """

    id: str
    name: str = ""
    kind: str = ""


class VpcRoute(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One route of a VPC routing table, which counts in its `zone` alone (empty: the API names none).

    `action`: `deliver`, `delegate`, `delegate_vpc`, `drop`, or a later word. `next_hop` is an address,
    `next_hop_resource` a VPN gateway's connection or another thing; at most one of them is set. Where a route that
    delivers has neither, it is a gateway of the VPC (snapshots of earlier versions leave the resource out). Of routes
    with the same destination and zone the smaller `priority` wins. `lifecycle_state`: the API's word (`stable`,
    `pending`, `deleting`, `failed`, `suspended`, `updating`, `waiting`); `advertise`: whether the ingress sources of
    the table are told of it. None: not read.
    """

    id: str
    name: str
    destination: str
    action: str
    zone: str = ""
    next_hop: str | None = None
    next_hop_resource: NextHopResource | None = None
    priority: int = 2
    lifecycle_state: str | None = None
    advertise: bool | None = None

    def __post_init__(self) -> None:
        parse_prefix(self.destination)
        if self.next_hop is not None and self.next_hop_resource is not None:
            raise ValueError("a route with two next hops")


class RoutingTable(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A VPC routing table. `ingress`: the outside traffic that it routes, of `internet`, `transit_gateway`,
    `direct_link` and `vpc_zone` (flags that the API leaves out count as off). `subnets`: ids of those that the table
    says use it, None where not read; `Subnet.routing_table` says the same from the other end.
    """

    id: str
    name: str
    vpc: str
    routes: tuple[VpcRoute, ...] = ()
    ingress: tuple[str, ...] = ()
    subnets: tuple[str, ...] | None = None


class PublicAddressRange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Public IPv4 addresses that are routed to a VPC in a zone as they are (par-about; SDK, PublicAddressRange).

    `vpc` (an id) is None where it is bound to nothing, or to something that is no VPC; `zone` is None where it is bound
    to nothing. `lifecycle_state`: the API's word (`stable`, ...), None where it gives none.
    """

    id: str
    name: str
    cidr: str
    vpc: str | None = None
    zone: str | None = None
    lifecycle_state: str | None = None

    def __post_init__(self) -> None:
        parse_prefix(self.cidr)


class LoadBalancerListener(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a load balancer listens on: `protocol` (`tcp`, `udp`, or a later word) and the inclusive range of ports, all
    of them in route mode. `pool`: the id of the pool that gets the traffic, None where there is no default pool.
    """

    id: str
    protocol: str
    port_min: int
    port_max: int
    pool: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port_min <= self.port_max <= 65535:
            raise ValueError(f"ports {self.port_min}-{self.port_max}")


class LoadBalancer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A load balancer of a VPC (SDK, LoadBalancer; nlb-about). None: not read, or not told by the API.

    `family` is the profile's (`network`, `application`, or a later word), `profile` its name. `access_mode`: `private`,
    `public`, `private_path`, or a later word. `provisioning_status`: the API's word (`active`, ...). `route_mode`: a
    route may name one of its `private_addresses` as next hop, and its members forward. `listeners` are read of
    network ones without a private path alone; so are the members, which are all in `Fabric.load_balancer_members` where
    `members_read`. `subnets`, `security_groups`: ids.
    """

    id: str
    name: str
    family: str
    vpc: str
    profile: str | None = None
    subnets: tuple[str, ...] = ()
    access_mode: str | None = None
    provisioning_status: str | None = None
    route_mode: bool | None = None
    asymmetric_routing_supported: bool | None = None
    private_addresses: tuple[str, ...] | None = None
    public_addresses: tuple[str, ...] | None = None
    security_groups: tuple[str, ...] | None = None
    listeners: tuple[LoadBalancerListener, ...] | None = None
    members_read: bool = False

    def __post_init__(self) -> None:
        for address in (*(self.private_addresses or ()), *(self.public_addresses or ())):
            parse_address(address)


class LoadBalancerMember(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A target of a load balancer's pool. `address` and `instance` (an id) as the API names the target: one of them,
    or neither (a domain name, another load balancer). `family` is the profile's: `network`, `application`, or a later
    word. `vpc` is the load balancer's, by id; `port` the one that members get traffic on, unless listeners have ranges.
    `weight` counts in pools of the algorithm `weighted_round_robin`.
    """

    load_balancer: Ref
    family: str
    vpc: str
    pool: Ref
    address: str | None = None
    instance: str | None = None
    port: int | None = None
    weight: int | None = None


ADVISORY = frozenset({"load_balancers", "public_address_ranges"})
"""Keys of `Fabric.missing` without which a server is complete: what depends on them is for each flow to say."""


class Fabric(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a region's servers share, by id. `missing` names what could not be read, with its reason:
    `{"security_groups": "403: not authorized"}`. Keys are this struct's field names, `floating_ips`,
    `public_gateways`, `virtual_network_interfaces`, and `servers` (some were not read).

    `public_address_ranges`, `load_balancers`: None where they were not read at all; where `missing` names them, some
    may lack. `load_balancer_members`: those of network load balancers.
    """

    vpcs: dict[str, Vpc] = {}
    subnets: dict[str, Subnet] = {}
    security_groups: dict[str, SecurityGroup] = {}
    network_acls: dict[str, NetworkAcl] = {}
    routing_tables: dict[str, RoutingTable] = {}
    public_address_ranges: tuple[PublicAddressRange, ...] | None = None
    load_balancers: dict[str, LoadBalancer] | None = None
    load_balancer_members: tuple[LoadBalancerMember, ...] = ()
    missing: dict[str, str] = {}


ServerKind = Literal["instance", "bare_metal_server"]
