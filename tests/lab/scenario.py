"""Scenarios: one server in a VPC and the clients around it, as `fixtures/lab/NAME/scenario.toml` states them."""

import ipaddress
import tomllib
from itertools import product
from pathlib import Path
from typing import Literal, TypeVar
from typing import Protocol as TypingProtocol

import msgspec
from msgspec import Struct

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "lab"

Protocol = Literal["icmp", "tcp", "udp"]
Direction = Literal["inbound", "outbound"]
Mode = Literal["auto", "enabled", "disabled"]
RuleProtocol = Literal["any", "icmp", "tcp", "udp"]
PROTOCOLS: tuple[Protocol, ...] = ("icmp", "tcp", "udp")
DIRECTIONS: tuple[Direction, ...] = ("inbound", "outbound")


class ScenarioError(ValueError):
    """A scenario that contradicts itself; the message is one line."""


class SecurityGroupRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An allow rule. Ports are the packet's destination ports, inclusive, for tcp and udp. `remote`: a prefix, or the
    name of a security group, which stands for the addresses of its targets.
    """

    direction: Direction
    protocol: RuleProtocol = "any"
    remote: str = "0.0.0.0/0"
    port_min: int | None = None
    port_max: int | None = None


class SecurityGroup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it does not allow is denied; a connection that it has let in or out may answer by the same VNI.

    `members`: clients that are targets of the group beside the VNIs that name it; each is in one of the subnets.
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


class NetworkAcl(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first rule that matches counts; what none matches is denied; traffic inside the subnet is not asked."""

    name: str
    rules: tuple[AclRule, ...] = ()


class VpcRoute(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A route of a subnet's VPC routing table: `drop`, `delegate` to the VPC's own routes, or `deliver` to a next hop,
    which passes the packet on.
    """

    destination: str
    action: Literal["drop", "delegate", "deliver"]
    next_hop: str | None = None


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

    Without `security_groups` everything passes.
    """

    name: str
    interface: str
    subnet: str
    mac: str
    addresses: tuple[str, ...]
    protocol_state_filtering_mode: Mode = "auto"
    allow_ip_spoofing: bool = False
    floating_ip: str | None = None
    security_groups: tuple[str, ...] | None = None


class Clients(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The addresses that stand for remotes, by their scope as seen from the server."""

    subnet: tuple[str, ...] = ("10.0.0.200",)
    vpc: tuple[str, ...] = ("10.0.5.5",)
    private: tuple[str, ...] = ("10.8.0.4",)
    service: tuple[str, ...] = ("161.26.0.10",)
    internet: tuple[str, ...] = ("203.0.113.9",)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.subnet, *self.vpc, *self.private, *self.service, *self.internet)


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server in its VPC. `guest` is POSIX sh that configures the server, run as root with every interface up.

    `expect` maps `"OPENER... -> ANSWERER..."` to the protocols that get through (`tcp/8888` for one port of several); a
    word of the pair is an address of the server, a scope of the clients, or one client's address. `ports`: where both
    sides answer. `client_ports`: the range from which they open; without it, what the kernel gives. `drops` names every
    stage that dropped a packet while all were tried: `rp_filter`, or a code of the contract and the VNI.
    """

    name: str = ""
    title: str
    kind: Literal["instance", "bare_metal_server"] = "instance"
    vpc_prefixes: tuple[str, ...] = ("10.0.0.0/16",)
    guest: str
    subnets: tuple[Subnet, ...]
    vnis: tuple[Vni, ...]
    security_groups: tuple[SecurityGroup, ...] = ()
    network_acls: tuple[NetworkAcl, ...] = ()
    clients: Clients = Clients()
    ports: tuple[int, ...] = (7777,)
    client_ports: tuple[int, int] | None = None
    expect: dict[str, str]
    drops: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.vnis:
            raise ScenarioError("a scenario has at least one VNI")
        if not self.clients.private:
            raise ScenarioError("a scenario has a private client: SSH comes from it")
        for group in self.security_groups:
            for rule in group.rules:
                if not rule.remote[:1].isdigit():
                    self.addresses_of(rule.remote)
        for vni in self.vnis:
            self.security_groups_of(vni)
            self.network_acl_of(vni)
            network = ipaddress.ip_network(self.subnet_of(vni).cidr)
            for address in vni.addresses:
                if ipaddress.ip_address(address) not in network:
                    raise ScenarioError(f"{address} of {vni.name} is not in {network}")
        owned = [*self.locals, *self.clients.addresses, *(subnet.gateway for subnet in self.subnets)]
        twice = sorted({address for address in owned if owned.count(address) > 1})
        if twice:
            raise ScenarioError(f"used twice: {', '.join(twice)}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is tried between two addresses: `icmp`, `tcp` and `udp`, or `tcp/7777` where there are several ports."""
        ports = ("",) if len(self.ports) == 1 else tuple(f"/{port}" for port in self.ports)
        return ("icmp", *(f"{protocol}{port}" for protocol in ("tcp", "udp") for port in ports))

    def kind_of(self, protocol: Protocol, port: int | None) -> str:
        """One of `kinds`."""
        return protocol if protocol in self.kinds else f"{protocol}/{port}"

    def addresses_of(self, group: str) -> tuple[str, ...]:
        """The addresses of a security group's targets. Raises ScenarioError."""
        named = [address for vni in self.vnis if group in (vni.security_groups or ()) for address in vni.addresses]
        return (*named, *_by_name(self.security_groups, group).members)

    @property
    def locals(self) -> tuple[str, ...]:
        """All addresses of the VNIs, configured in the guest or not."""
        return tuple(address for vni in self.vnis for address in vni.addresses)

    @property
    def management_client(self) -> str:
        """The client address that SSH comes from; its flows to the first address are symmetric in every scenario."""
        return self.clients.private[0]

    def subnet_of(self, vni: Vni) -> Subnet:
        """The subnet that a VNI names. Raises ScenarioError."""
        return _by_name(self.subnets, vni.subnet)

    def security_groups_of(self, vni: Vni) -> tuple[SecurityGroup, ...] | None:
        """The security groups that a VNI names, None if it names none. Raises ScenarioError."""
        if vni.security_groups is None:
            return None
        return tuple(_by_name(self.security_groups, name) for name in vni.security_groups)

    def network_acl_of(self, vni: Vni) -> NetworkAcl | None:
        """The network ACL of a VNI's subnet. Raises ScenarioError."""
        name = self.subnet_of(vni).network_acl
        return None if name is None else _by_name(self.network_acls, name)

    def vni(self, name: str) -> Vni:
        """A VNI by name. Raises ScenarioError."""
        return _by_name(self.vnis, name)

    def vni_of(self, address: str) -> Vni:
        """The VNI that owns an address. Raises ScenarioError."""
        for vni in self.vnis:
            if address in vni.addresses:
                return vni
        raise ScenarioError(f"no VNI owns {address}")

    def dialled(self, client: str, local: str) -> str:
        """What a client sends to in order to reach a local address: from the internet, its floating IP."""
        vni = self.vni_of(local)
        if client in self.clients.internet and vni.floating_ip is not None and local == vni.addresses[0]:
            return vni.floating_ip
        return local

    def expected(self) -> dict[tuple[Direction, str, str, str], bool]:
        """Whether each (direction, kind, remote, local) gets through.

        Raises ScenarioError unless every one is stated exactly once.
        """
        stated: dict[tuple[Direction, str, str, str], bool] = {}
        for line, words in self.expect.items():
            opener, arrow, answerer = line.partition(" -> ")
            delivered = words.split()
            if not arrow or not set(delivered) <= {*PROTOCOLS, *self.kinds}:
                raise ScenarioError(f"not an expectation: {line!r} = {words!r}")
            for pair in product(self._named(opener), self._named(answerer)):
                direction: Direction = "outbound" if pair[0] in self.locals else "inbound"
                local, remote = pair if direction == "outbound" else pair[::-1]
                if remote in self.locals or local not in self.locals:
                    raise ScenarioError(f"{line!r} is not between the server and a client")
                for kind in self.kinds:
                    key = (direction, kind, remote, local)
                    if key in stated:
                        raise ScenarioError(f"stated twice: {key}")
                    stated[key] = kind in delivered or kind.partition("/")[0] in delivered
        for key in product(DIRECTIONS, self.kinds, self.clients.addresses, self.locals):
            if key not in stated:
                raise ScenarioError(f"nothing is expected of {key}")
        return stated

    def _named(self, words: str) -> list[str]:
        named: list[str] = []
        for word in words.split():
            if word in Clients.__struct_fields__:
                named += getattr(self.clients, word)
            elif word in self.locals or word in self.clients.addresses:
                named.append(word)
            else:
                raise ScenarioError(f"{word!r} is no address and no scope of this scenario")
        return named


class _Named(TypingProtocol):
    @property
    def name(self) -> str: ...


_N = TypeVar("_N", bound=_Named)


def _by_name(things: tuple[_N, ...], name: str) -> _N:
    for thing in things:
        if thing.name == name:
            return thing
    raise ScenarioError(f"nothing is named {name!r}; there are: {', '.join(thing.name for thing in things)}")


def load(name: str) -> Scenario:
    """The scenario of a folder under fixtures/lab. Raises ScenarioError with the file's name."""
    path = FOLDER / name / "scenario.toml"
    try:
        return msgspec.convert({"name": name, **tomllib.loads(path.read_text())}, Scenario)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError, ScenarioError) as error:
        raise ScenarioError(f"{path}: {error}") from error


def names() -> list[str]:
    """The folders under fixtures/lab that hold a scenario."""
    return sorted(path.parent.name for path in FOLDER.glob("*/scenario.toml"))
