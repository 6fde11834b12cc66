"""Short ways to write servers, guests and fabrics in the model's terms, for tests of the pure folders.

A guest is given as people see it: `ip route` and `ip rule` lines go through our own parsers, and the local table is
the one that Linux makes by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tests.support.guest_parts import with_default_tables
from vnicheck.analysis.server import analyze_server
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.guest.parsers.rules import parse_rules
from vnicheck.model.cloud import (
    AclRule,
    Fabric,
    FloatingIp,
    NetworkAcl,
    Ref,
    RoutingTable,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vni,
    Vpc,
    VpcRoute,
)
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.finding import Finding
from vnicheck.model.flow import Flow
from vnicheck.model.guest import Guest, Interface, InterfaceAddress
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import Server

DROPPED = Config(assumptions=Assumptions(spoofing_sibling="dropped"))
"""Where the question of `spoofing-sibling` is answered."""
COLLECTED = "2026-11-23T00:00:00Z"
MACS = ("02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c", "02:00:00:00:00:0d")
TWO_DEFAULTS = """
default via 10.0.0.1 dev eth0
10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11 metric 100
10.0.0.0/24 dev eth1 proto kernel scope link src 10.0.0.12 metric 101
"""
"""The article's routes: everything leaves by eth0."""

POLICY_ROUTING = """
default via 10.0.0.1 dev eth0
10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11 metric 100
10.0.0.0/24 dev eth1 proto kernel scope link src 10.0.0.12 metric 101
10.0.0.0/24 dev eth1 table 1003 scope link
default via 10.0.0.1 dev eth1 table 1003
"""
POLICY_RULES = """
0:	from all lookup local
1003:	from 10.0.0.12 lookup 1003
32766:	from all lookup main
32767:	from all lookup default
"""


def link(name: str, number: int, *prefixes: str, mac: str | None = None, **more: Any) -> Interface:
    """An interface that is up; its index is `number` + 2, its MAC address that of VNI `number`."""
    fields: dict[str, Any] = {
        "index": number + 2,
        "up": True,
        "carrier": True,
        "mac": mac if mac is not None else MACS[number],
        "flags": ("UP",),
        "addresses": tuple(InterfaceAddress(prefix=prefix) for prefix in prefixes),
    }
    return Interface(name=name, **(fields | more))


def loopback(*prefixes: str) -> Interface:
    return link("lo", -1, "127.0.0.1/8", *prefixes, mac="00:00:00:00:00:00", index=1, flags=("LOOPBACK", "UP"))


def guest(
    *links: Interface,
    routes: str = TWO_DEFAULTS,
    rules: str | None = None,
    rp_filter: Mapping[str, int] | None = None,
    sysctls: Mapping[str, int] | None = None,
    **more: Any,
) -> Guest:
    """A guest. `rp_filter` by interface and `all`, off where not given; `sysctls` by path below net/ipv4."""
    shown = links or (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"))
    interfaces = (loopback(), *shown) if all(each.name != "lo" for each in shown) else shown
    values: dict[str, int] = {}
    for name in ("all", *(interface.name for interface in interfaces)):
        for key in ("accept_local", "src_valid_mark", "forwarding", "send_redirects", "ignore_routes_with_linkdown"):
            values[f"net/ipv4/conf/{name}/{key}"] = 0
        values[f"net/ipv4/conf/{name}/rp_filter"] = (rp_filter or {}).get(name, 0)
    values |= {f"net/ipv4/{path}": value for path, value in (sysctls or {}).items()}
    missing = {"routes_local": "made by itself"} | ({"rules": "made by itself"} if rules is None else {})
    made = Guest(
        collected_at=COLLECTED,
        interfaces=interfaces,
        routes=parse_routes(routes).items,
        rules=() if rules is None else parse_rules(rules).items,
        sysctls=values,
        missing=missing,
    )
    return msgspec.structs.replace(with_default_tables(made), **more)


def vni(number: int, *addresses: str, subnet: str = "a", floating_ip: str | None = None, **more: Any) -> Vni:
    """VNI `vni-1` for number 0, with the MAC address that `link` gives the interface of that number."""
    fields: dict[str, Any] = {
        "id": f"vni-id-{number + 1}",
        "name": f"vni-{number + 1}",
        "primary": number == 0,
        "mac": MACS[number],
        "subnet": subnet,
        "primary_address": addresses[0],
        "secondary_addresses": addresses[1:],
        "security_groups": ("open",),
        "protocol_state_filtering_mode": "auto",
        "allow_ip_spoofing": False,
    }
    if floating_ip is not None:
        fields["floating_ips"] = (FloatingIp(id="fip", name="fip", address=floating_ip),)
    return Vni(**(fields | more))


def server(*vnis: Vni, guest: Guest | None = None, **more: Any) -> Server:
    fields: dict[str, Any] = {
        "id": "server-id",
        "name": "server",
        "crn": "crn:v1:server",
        "kind": "instance",
        "vpc": Ref(id="vpc", name="prod"),
        "zone": "z-1",
        "vnis": vnis or two_vnis(),
        "guest": guest,
    }
    return Server(**(fields | more))


def two_vnis(*, spoofing: bool = True, **more: Any) -> tuple[Vni, Vni]:
    """10.0.0.11 and 10.0.0.12 in one subnet, the article's way; `more` goes to both."""
    return (
        vni(0, "10.0.0.11", **({"allow_ip_spoofing": spoofing} | more)),
        vni(1, "10.0.0.12", **({"allow_ip_spoofing": spoofing} | more)),
    )


def group_rule(
    direction: str, protocol: str = "any", remote: str | None = "0.0.0.0/0", **more: Any
) -> SecurityGroupRule:
    return SecurityGroupRule(id="rule", direction=direction, protocol=protocol, remote=remote, **more)


def acl_rule(
    action: str,
    direction: str,
    protocol: str = "any",
    source: str = "0.0.0.0/0",
    destination: str = "0.0.0.0/0",
    **more: Any,
) -> AclRule:
    fields: dict[str, Any] = {"id": "rule", "name": "rule"} | more
    return AclRule(
        action=action, direction=direction, protocol=protocol, source=source, destination=destination, **fields
    )


OPEN_GROUP = SecurityGroup(id="open", name="open", rules=(group_rule("inbound"), group_rule("outbound")))
OPEN_ACL = NetworkAcl(id="acl", name="acl", rules=(acl_rule("allow", "inbound"), acl_rule("allow", "outbound")))


def subnet(key: str, cidr: str, **more: Any) -> Subnet:
    fields: dict[str, Any] = {"zone": "z-1", "vpc": "vpc", "network_acl": "acl", "routing_table": "table"}
    return Subnet(id=key, name=f"subnet-{key}", cidr=cidr, **(fields | more))


def fabric(
    *,
    subnets: Sequence[Subnet] = (),
    groups: Sequence[SecurityGroup] = (),
    acls: Sequence[NetworkAcl] = (),
    tables: Sequence[RoutingTable] = (),
    missing: Mapping[str, str] | None = None,
    **more: Any,
) -> Fabric:
    """Subnets a and b of VPC 10.0.0.0/16 with everything open; what is given replaces what bears its id."""
    every_subnet = (subnet("a", "10.0.0.0/24"), subnet("b", "10.0.1.0/24"), *subnets)
    return Fabric(
        vpcs={"vpc": Vpc(id="vpc", name="prod", prefixes=("10.0.0.0/16",), default_routing_table="table")},
        subnets={each.id: each for each in every_subnet},
        security_groups={each.id: each for each in (OPEN_GROUP, *groups)},
        network_acls={each.id: each for each in (OPEN_ACL, *acls)},
        routing_tables={each.id: each for each in (RoutingTable(id="table", name="table", vpc="vpc"), *tables)},
        missing=dict(missing or {}),
        **more,
    )


def flows(of: Server, around: Fabric | None = None, config: Config | None = None) -> tuple[Flow, ...]:
    """The server's predicted flows."""
    return predict_flows(ServerView(of, around if around is not None else fabric(), config or Config()))


def report(of: Server, around: Fabric | None = None, config: Config | None = None) -> InstanceReport:
    """All that is said of the server."""
    return analyze_server(of, around if around is not None else fabric(), config or Config())


BOTH_WAYS = """
default via 10.0.0.1 dev eth0
10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11
10.0.1.0/24 dev eth1 proto kernel scope link src 10.0.1.11
10.8.0.0/16 via 10.0.1.1 dev eth1
"""
"""In by eth0, out by eth1, and back."""

ONE_ARM = BOTH_WAYS.replace("10.8.0.0/16 via 10.0.1.1 dev eth1\n", "")
"""Everything leaves by eth0."""


def rules_of(*lines: str) -> str:
    """The three rules of the kernel with others between them."""
    last = ("32766: from all lookup main", "32767: from all lookup default")
    return "\n".join(("0: from all lookup local", *lines, *last))


def findings_of(of: Server, rule: str, around: Fabric | None = None) -> list[Finding]:
    """What one rule finds on a server."""
    return [finding for finding in report(of, around).findings if finding.rule == rule]


def router(routes: str = BOTH_WAYS, *, forwarding: int = 1, rp_filter: int = 0, **more: Any) -> Server:
    links = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.1.11/24"))
    inside: Guest = guest(
        *links,
        routes=routes,
        rp_filter={"all": rp_filter},
        sysctls={f"conf/{name}/forwarding": forwarding for name in ("eth0", "eth1")},
    )
    spoofing: dict[str, Any] = {"allow_ip_spoofing": True, **more}
    vnis = (
        vni(0, "10.0.0.11", subnet="a", **spoofing),
        vni(1, "10.0.1.11", subnet="b", **spoofing),
    )
    return server(*vnis, guest=inside)


def transit_fabric(back_by: str | None = "10.0.1.11", **more: object) -> Fabric:
    """Subnet c sends what is for 10.8.0.0/16 to eth0; what comes from there for subnet c goes to `back_by`."""
    out = VpcRoute(id="r1", name="to-on-prem", destination="10.8.0.0/16", action="deliver", next_hop="10.0.0.11")
    tables = [RoutingTable(id="c", name="of-c", vpc="vpc", routes=(out,))]
    if back_by is not None:
        back = VpcRoute(id="r2", name="to-c", destination="10.0.2.0/24", action="deliver", next_hop=back_by)
        tables.append(RoutingTable(id="in", name="ingress", vpc="vpc", routes=(back,), ingress=("transit_gateway",)))
    return fabric(subnets=[subnet("c", "10.0.2.0/24", routing_table="c")], tables=tables, **more)  # type: ignore[arg-type]
