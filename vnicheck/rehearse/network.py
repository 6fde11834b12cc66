"""What is rebuilt: a server's VNIs, the VPC around it, and the remotes that packets go to and come from."""

import ipaddress
from typing import Literal, TypeVar
from typing import Protocol as TypingProtocol

from msgspec import Struct

Protocol = Literal["icmp", "tcp", "udp"]
Direction = Literal["inbound", "outbound"]
Mode = Literal["auto", "enabled", "disabled"]
RouteAction = Literal["drop", "delegate", "delegate_vpc", "deliver"]
RuleProtocol = Literal["any", "icmp", "tcp", "udp"]
PROTOCOLS: tuple[Protocol, ...] = ("icmp", "tcp", "udp")
DIRECTIONS: tuple[Direction, ...] = ("inbound", "outbound")


class NetworkError(ValueError):
    """A network that contradicts itself; the message is one line."""


class SecurityGroupRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An allow rule. Ports are the packet's destination ports, inclusive, for tcp and udp. `remote`: a prefix, or the
    name of a security group, which stands for the addresses of its targets. `local`: a prefix of the server's own.
    """

    direction: Direction
    protocol: RuleProtocol = "any"
    remote: str = "0.0.0.0/0"
    local: str = "0.0.0.0/0"
    port_min: int | None = None
    port_max: int | None = None
    icmp_type: int | None = None


class SecurityGroup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it does not allow is denied; a connection that it has let in or out may answer by the same VNI.

    `members`: remotes that are targets of the group beside the VNIs that name it; each is in one of the subnets.
    """

    name: str
    rules: tuple[SecurityGroupRule, ...] = ()
    members: tuple[str, ...] = ()


class AclRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule of a network ACL. Ports are inclusive, for tcp and udp."""

    name: str
    action: Literal["allow", "deny"]
    direction: Direction
    protocol: RuleProtocol = "any"
    source: str = "0.0.0.0/0"
    destination: str = "0.0.0.0/0"
    source_port_min: int | None = None
    source_port_max: int | None = None
    destination_port_min: int | None = None
    destination_port_max: int | None = None
    icmp_type: int | None = None


class NetworkAcl(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first rule that matches counts; what none matches is denied; traffic inside the subnet is not asked."""

    name: str
    rules: tuple[AclRule, ...] = ()


class VpcRoute(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A route of a subnet's VPC routing table: `drop`, `delegate` to the VPC's own routes (`delegate_vpc`: but not to
    the internet), or `deliver` to a next hop, which passes the packet on; the server itself as next hop drops it.
    `sources`: those from which packets may go this way; None: all.
    """

    destination: str
    action: RouteAction
    next_hop: str | None = None
    sources: tuple[str, ...] | None = None


class Subnet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A subnet of the VPC. Its gateway is its first address. `public_gateway`: the gateway's public address.

    Without a `network_acl` everything passes. `routes`: those of its VPC routing table, the longest prefix first.
    """

    name: str
    cidr: str
    public_gateway: str | None = None
    network_acl: str | None = None
    routes: tuple[VpcRoute, ...] = ()

    @property
    def gateway(self) -> str:
        """The first address."""
        return str(ipaddress.ip_network(self.cidr)[1])


class Vni(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A VNI of the server. `addresses`: the primary one, then the secondary ones. `interface`: the guest's name for it.

    Without `security_groups` everything passes. `translated`: whether the VPC translates addresses on its way to and
    from the internet (infrastructure NAT).
    """

    name: str
    interface: str
    subnet: str
    mac: str
    addresses: tuple[str, ...]
    protocol_state_filtering_mode: Mode = "auto"
    allow_ip_spoofing: bool = False
    floating_ip: str | None = None
    translated: bool = True
    security_groups: tuple[str, ...] | None = None


class Remotes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The addresses that stand for remotes, by their scope as seen from the server."""

    subnet: tuple[str, ...] = ()
    vpc: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    internet: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.subnet, *self.vpc, *self.private, *self.service, *self.internet)


class Transit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `opener` to `answerer`, both beyond the server: the VNIs (by name) to which the VPC leads the opening packet
    and its answer; None: not through the server.
    """

    opener: str
    answerer: str
    request_by: str | None
    reply_by: str | None


class Obeys(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which assumptions the VPC obeys, by their ids: what `vnicheck.toml` may override."""

    psf_auto: bool | None = None
    """Whether mode auto filters; None: by the kind of server."""
    psf_opening: bool = True
    psf_protocols: tuple[Protocol, ...] = ("tcp",)
    spoofing_check: bool = True
    spoofing_sibling: Literal["passed", "dropped"] = "dropped"
    spoofing_arrival: Literal["passed", "dropped"] = "passed"
    fip_return: bool = True
    sg_stateless: bool = True


class Network(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server in its VPC. `client_ports`: the range from which both sides open; without it, what the kernel gives."""

    name: str = ""
    kind: Literal["instance", "bare_metal_server"] = "instance"
    subnets: tuple[Subnet, ...]
    vnis: tuple[Vni, ...]
    security_groups: tuple[SecurityGroup, ...] = ()
    network_acls: tuple[NetworkAcl, ...] = ()
    clients: Remotes = Remotes()
    transits: tuple[Transit, ...] = ()
    client_ports: tuple[int, int] | None = None
    obeys: Obeys = Obeys()

    def addresses_of(self, group: str) -> tuple[str, ...]:
        """The addresses of a security group's targets. Raises NetworkError."""
        named = [address for vni in self.vnis if group in (vni.security_groups or ()) for address in vni.addresses]
        return (*named, *_by_name(self.security_groups, group).members)

    @property
    def answerers(self) -> tuple[str, ...]:
        """The ends of flows in transit that answer: machines of their own, apart from the other remotes."""
        return tuple(dict.fromkeys(transit.answerer for transit in self.transits))

    @property
    def locals(self) -> tuple[str, ...]:
        """All addresses of the VNIs, configured in the guest or not."""
        return tuple(address for vni in self.vnis for address in vni.addresses)

    def subnet_of(self, vni: Vni) -> Subnet:
        """The subnet that a VNI names. Raises NetworkError."""
        return _by_name(self.subnets, vni.subnet)

    def security_groups_of(self, vni: Vni) -> tuple[SecurityGroup, ...] | None:
        """The security groups that a VNI names, None if it names none. Raises NetworkError."""
        if vni.security_groups is None:
            return None
        return tuple(_by_name(self.security_groups, name) for name in vni.security_groups)

    def network_acl_of(self, vni: Vni) -> NetworkAcl | None:
        """The network ACL of a VNI's subnet. Raises NetworkError."""
        name = self.subnet_of(vni).network_acl
        return None if name is None else _by_name(self.network_acls, name)

    def filters(self, vni: Vni) -> bool:
        """Whether a VNI filters protocol states."""
        if vni.protocol_state_filtering_mode == "auto":
            return self.kind == "instance" if self.obeys.psf_auto is None else self.obeys.psf_auto
        return vni.protocol_state_filtering_mode == "enabled"

    def vni(self, name: str) -> Vni:
        """A VNI by name. Raises NetworkError."""
        return _by_name(self.vnis, name)

    def vni_of(self, address: str) -> Vni:
        """The VNI that owns an address. Raises NetworkError."""
        for vni in self.vnis:
            if address in vni.addresses:
                return vni
        raise NetworkError(f"no VNI owns {address}")

    def dialled(self, client: str, local: str) -> str:
        """What a client sends to in order to reach a local address: from the internet, its floating IP."""
        vni = self.vni_of(local)
        if client in self.clients.internet and vni.floating_ip is not None and local == vni.addresses[0]:
            return vni.floating_ip
        return local


class _Named(TypingProtocol):
    @property
    def name(self) -> str: ...


_N = TypeVar("_N", bound=_Named)


def _by_name(things: tuple[_N, ...], name: str) -> _N:
    for thing in things:
        if thing.name == name:
            return thing
    raise NetworkError(f"nothing is named {name!r}; there are: {', '.join(thing.name for thing in things)}")
