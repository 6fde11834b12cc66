"""A region of N servers, made by rule: what servers have, before it is written as a snapshot folder or a stand-in API.

The same number gives the same region. Servers differ in addresses, names and ids; many share the shape of their
configuration (a role, an image, a way of routing), some share it with none.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from vnicheck.model.address import format_address

REGION = "us-south"
PER_VPC = 400
ZONES = 3
SUBNETS = 5
"""Of one zone of a VPC."""
PARTNERS = 240
"""Networks that the largest security group admits, one rule each: with the others it comes to the limit of 250."""
NICS = (2,) * 34 + (3,) * 7 + (4,) * 4 + (5, 5, 6, 8, 15)
IMAGES = ("rhel", "rhel", "ubuntu", "ubuntu", "debian", "sles")
ROUTING = ("main", "main", "main", "policy", "policy", "policy", "policy", "half")
"""`main`: everything leaves by the first interface; `policy`: a table and a rule for each other interface; `half`: the
tables without the rules."""
ROLES = {
    "web": (("members", "web"), ("members", "web", "admin")),
    "db": (("members", "db"), ("members", "db", "admin", "monitored")),
    "gateway": (("members", "partners"), ("members", "partners", "web", "admin", "monitored")),
    "batch": (("members",), ("members", "ports")),
}
"""By role the security groups of its first interface, and those of its others."""
SHARES = ("web",) * 8 + ("db",) * 6 + ("batch",) * 4 + ("gateway",) * 2

Rule = dict[str, object]


@dataclass(frozen=True)
class Nic:
    """One network interface, by the names of its VPC."""

    subnet: str
    address: str
    gateway: str
    cidr: str
    groups: tuple[str, ...]
    mode: str
    spoofing: bool
    secondary: tuple[str, ...] = ()
    floating_ip: str | None = None
    vlan: int | None = None


@dataclass(frozen=True)
class Machine:
    """One server. `routing` and `image` say how its guest is made; `extra`: `docker`, `cni` or nothing."""

    vpc: int
    name: str
    zone: str
    metal: bool
    legacy: bool
    status: str
    reachable: bool
    image: str
    routing: str
    extra: str
    nics: tuple[Nic, ...]


@dataclass(frozen=True)
class Network:
    """One VPC with what its servers share; all names are its own."""

    number: int
    subnets: dict[str, tuple[str, str, str, str]]
    """By name: CIDR, zone, ACL, routing table."""
    machines: list[Machine] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the VPC."""
        return f"vpc-{self.number}"

    @property
    def prefix(self) -> str:
        """Of the VPC's addresses."""
        return f"10.{self.number}.0.0/16"


def networks(servers: int, *, seed: int = 1) -> list[Network]:
    """The VPCs of a region of so many servers."""
    return [
        _network(number, min(PER_VPC, servers - number * PER_VPC), seed) for number in range(-(-servers // PER_VPC))
    ]


def group_rules(network: Network) -> dict[str, list[Rule]]:
    """The security groups of a VPC, in the stand-in's words."""
    chance = random.Random(f"groups {network.number}")
    out: Rule = {"direction": "outbound"}
    partners = [
        {
            "direction": "inbound",
            "protocol": "tcp",
            "remote": f"{format_address((172 << 24) + (16 << 16) + (number << 8) + (network.number << 16))}/24",
            "port_min": (443, 8443, 9443)[number % 3],
            "port_max": (443, 8443, 9443)[number % 3],
        }
        for number in chance.sample(range(1024), PARTNERS)
    ]
    ports = [
        {
            "direction": "inbound",
            "protocol": ("tcp", "udp")[number % 2],
            "remote": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")[number % 3],
            "port_min": 2000 + 100 * number,
            "port_max": 2000 + 100 * number + chance.randrange(90),
        }
        for number in range(48)
    ]
    return {
        "members": [{"direction": "inbound", "remote": "members"}, out],
        "web": [
            *({"direction": "inbound", "protocol": "tcp", "port_min": port, "port_max": port} for port in (80, 443)),
            {"direction": "inbound", "protocol": "icmp", "type": 8},
            out,
        ],
        "db": [
            {"direction": "inbound", "protocol": "tcp", "remote": "web", "port_min": 5432, "port_max": 5432},
            {"direction": "inbound", "protocol": "tcp", "remote": "db"},
        ],
        "admin": [
            {"direction": "inbound", "protocol": "tcp", "remote": remote, "port_min": 22, "port_max": 22}
            for remote in ("10.200.0.0/24", "192.168.7.0/24")
        ],
        "monitored": [
            {"direction": "inbound", "protocol": "tcp", "remote": "10.200.1.0/28", "port_min": 9100, "port_max": 9115},
            {"direction": "inbound", "protocol": "icmp", "remote": "10.200.1.0/28"},
        ],
        "partners": [*partners, *({"direction": "outbound", "remote": f"10.{n}.0.0/16"} for n in range(200, 210))],
        "ports": ports,
    }


def acl_rules() -> dict[str, list[Rule]]:
    """The network ACLs of every VPC beside its default one."""
    closed = ("10.66.0.0/16", "192.168.66.0/24", "172.31.0.0/16")
    rules: list[Rule] = [{"action": "deny", "direction": "inbound", "source": each} for each in closed]
    rules += [
        {"action": "deny", "direction": "inbound", "protocol": "tcp", "destination_port_min": port,
         "destination_port_max": port} for port in (23, 445, 3389)
    ]  # fmt: skip
    rules += [{"action": "allow", "direction": direction} for direction in ("inbound", "outbound")]
    return {"strict": rules}


def routes(network: Network) -> dict[str, list[Rule]]:
    """The VPC's routing tables beside its default one."""
    first = network.machines[0].nics[0].address
    return {"egress": [{"destination": "10.250.0.0/16", "next_hop": first}, {"destination": "10.251.0.0/16",
            "action": "drop"}]}  # fmt: skip


def _network(number: int, count: int, seed: int) -> Network:
    chance = random.Random(f"{seed} {number}")
    subnets = {}
    for zone in range(ZONES):
        for place in range(SUBNETS):
            cidr = f"10.{number}.{zone * 64 + place * 4}.0/22"
            acl, table = (
                ("strict", "default", "default", "default", "default")[place],
                ("egress" if place == 1 else "default"),
            )
            subnets[f"s{zone + 1}-{place}"] = (cidr, f"{REGION}-{zone + 1}", acl, table)
    network = Network(number, subnets)
    taken = dict.fromkeys(subnets, 3)
    for place in range(count):
        network.machines.append(_machine(network, place, taken, chance))
    return network


def _machine(network: Network, place: int, taken: dict[str, int], chance: random.Random) -> Machine:
    role = chance.choice(SHARES)
    metal, legacy = place % 50 == 17, place % 40 == 23
    zone = place % ZONES
    own = [name for name in network.subnets if name.startswith(f"s{zone + 1}-")]
    together = chance.random() < 0.4  # all interfaces in one subnet, as in the article
    start = chance.randrange(SUBNETS)
    nics = tuple(
        _nic(network, own[start if together else (start + n) % SUBNETS], role, n, taken, chance, legacy=legacy)
        for n in range(chance.choice(NICS))
    )
    if metal:
        nics = (nics[0], *(_on_vlan(nic, 100 + n) for n, nic in enumerate(nics[1:])))
    return Machine(
        vpc=network.number,
        name=f"{role}-{network.number}-{place}",
        zone=f"{REGION}-{zone + 1}",
        metal=metal,
        legacy=legacy,
        status="stopped" if place % 60 == 31 else "running",
        reachable=place % 30 != 11,
        image=chance.choice(IMAGES),
        routing=chance.choice(ROUTING),
        extra=chance.choice(("", "", "", "", "docker", "cni")),
        nics=nics,
    )


def _nic(
    network: Network, subnet: str, role: str, n: int, taken: dict[str, int], chance: random.Random, *, legacy: bool
) -> Nic:
    cidr = network.subnets[subnet][0]
    base = (10 << 24) + (network.number << 16) + (int(cidr.split(".")[2]) << 8)
    extra = chance.random() < 0.05 and not legacy
    taken[subnet] += 2 if extra else 1
    address = base + taken[subnet]
    floating = n == 0 and chance.random() < 0.1
    return Nic(
        subnet=subnet,
        address=format_address(address),
        gateway=format_address(base + 1),
        cidr=cidr,
        groups=ROLES[role][min(n, 1)],
        mode="auto" if legacy else chance.choice(("auto",) * 8 + ("disabled", "enabled")),
        spoofing=chance.random() < 0.15,
        secondary=(format_address(address - 1),) if extra else (),
        floating_ip=format_address((150 << 24) + (address & 0xFFFFFF)) if floating else None,
    )


def _on_vlan(nic: Nic, vlan: int) -> Nic:
    return Nic(**(vars(nic) | {"vlan": vlan}))


def machines(servers: int, *, seed: int = 1) -> Iterator[tuple[Network, Machine]]:
    """All servers of the region."""
    for network in networks(servers, seed=seed):
        for machine in network.machines:
            yield network, machine
