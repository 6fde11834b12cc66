"""Servers made by rule, for measurements: VNIs in subnets of their own, policy tables, and as many routes as asked."""

import msgspec

from vnicheck.model.address import format_address
from vnicheck.model.cloud import (
    AclRule,
    Fabric,
    NetworkAcl,
    Ref,
    RoutingTable,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vni,
    Vpc,
)
from vnicheck.model.guest import (
    LOCAL_TABLE,
    Guest,
    Interface,
    InterfaceAddress,
    NextHop,
    PolicyRule,
    Route,
    RouteType,
)
from vnicheck.model.snapshot import Server

EVERYTHING = "0.0.0.0/0"


def make_server(*, vnis: int, routes: int, tables: int) -> tuple[Server, Fabric]:
    """A server of `vnis` VNIs, with `routes` routes over main and `tables` policy tables, a rule for each table."""
    numbers = range(vnis)
    names = [f"eth{n}" for n in numbers]
    group = SecurityGroup(
        id="group",
        name="allow-all",
        rules=tuple(
            SecurityGroupRule(id=direction, direction=direction, protocol="any", remote=EVERYTHING)
            for direction in ("inbound", "outbound")
        ),
        addresses=(),
    )
    acl = NetworkAcl(
        id="acl",
        name="allow-all",
        rules=tuple(
            AclRule(
                id=direction,
                name=direction,
                action="allow",
                direction=direction,
                protocol="any",
                source=EVERYTHING,
                destination=EVERYTHING,
            )
            for direction in ("inbound", "outbound")
        ),
    )
    fabric = Fabric(
        vpcs={"vpc": Vpc(id="vpc", name="bench", prefixes=("10.0.0.0/16",))},
        subnets={
            f"subnet-{n}": Subnet(
                id=f"subnet-{n}",
                name=f"s{n}",
                cidr=f"10.0.{n}.0/24",
                vpc="vpc",
                network_acl="acl",
                routing_table="table",
            )
            for n in numbers
        },
        security_groups={"group": group},
        network_acls={"acl": acl},
        routing_tables={"table": RoutingTable(id="table", name="default", vpc="vpc")},
    )
    server = Server(
        id="server",
        name="server",
        crn="crn:bench",
        kind="instance",
        vpc=Ref(id="vpc", name="bench"),
        zone="zone",
        vnis=tuple(
            Vni(
                id=f"vni-{n}",
                name=f"vni-{n}",
                subnet=f"subnet-{n}",
                primary=n == 0,
                primary_address=f"10.0.{n}.4",
                mac=f"02:00:00:00:00:{n:02x}",
                protocol_state_filtering_mode="auto",
                allow_ip_spoofing=False,
                security_groups=("group",),
            )
            for n in numbers
        ),
        guest=_guest(names, routes, tables),
    )
    return server, fabric


def _guest(names: list[str], routes: int, tables: int) -> Guest:
    interfaces = [
        Interface(name="lo", index=1, up=True, carrier=True, addresses=(InterfaceAddress(prefix="127.0.0.1/8"),))
    ]
    entries = [_route("127.0.0.0/8", "lo", LOCAL_TABLE, RouteType.LOCAL)]
    for n, name in enumerate(names):
        interfaces.append(
            Interface(
                name=name,
                index=n + 2,
                up=True,
                carrier=True,
                mac=f"02:00:00:00:00:{n:02x}",
                addresses=(InterfaceAddress(prefix=f"10.0.{n}.4/24"),),
            )
        )
        entries.append(_route(f"10.0.{n}.4/32", name, LOCAL_TABLE, RouteType.LOCAL))
        entries.append(_route(f"10.0.{n}.255/32", name, LOCAL_TABLE, RouteType.BROADCAST))
        entries.append(_route(f"10.0.{n}.0/24", name, 254))
    entries.append(_route("0.0.0.0/0", names[0], 254, gateway="10.0.0.1"))
    numbers = [254, *range(1000, 1000 + tables)]
    for table in numbers[1:]:
        n = table % len(names)
        entries.append(_route("0.0.0.0/0", names[n], table, gateway=f"10.0.{n}.1"))
    for extra in range(max(0, routes - len(entries))):
        table = numbers[extra % len(numbers)]
        n = extra % len(names)
        prefix = f"{format_address((172 << 24) + (16 << 16) + extra * 256)}/24"
        entries.append(_route(prefix, names[n], table, gateway=f"10.0.{n}.1"))
    rules = [PolicyRule(priority=0, table=255)]
    rules += [PolicyRule(priority=table, table=table, src=f"10.0.{table % len(names)}.4/32") for table in numbers[1:]]
    rules += [PolicyRule(priority=32766, table=254), PolicyRule(priority=32767, table=253)]
    sysctls = {f"net/ipv4/conf/{name}/rp_filter": 1 for name in ("all", "lo", *names)}
    return Guest(
        collected_at="2026-01-01T00:00:00Z",
        interfaces=tuple(interfaces),
        routes=tuple(entries),
        rules=tuple(rules),
        sysctls=sysctls,
    )


def _route(
    prefix: str, interface: str, table: int, kind: RouteType = RouteType.UNICAST, gateway: str | None = None
) -> Route:
    words = f"{prefix} {f'via {gateway} ' if gateway else ''}dev {interface}"
    return Route(
        prefix=prefix, table=table, type=kind, nexthops=(NextHop(interface=interface, gateway=gateway),), text=words
    )


def with_rules(server: Server, kind: str) -> Server:
    """The server with many policy rules instead of its own: `500 ports`, `5,000 sources`, `50 users, 28 ports`."""
    assert server.guest is not None
    tables = sorted({route.table for route in server.guest.routes} - {LOCAL_TABLE, 254})

    def rule(n: int, **selectors: object) -> PolicyRule:
        return PolicyRule(priority=100 + n, table=tables[n % len(tables)], text=f"{kind} {n}", **selectors)  # type: ignore[arg-type]

    made = {
        "500 ports": [rule(n, ipproto=6, dport=(1000 + 10 * n, 1005 + 10 * n)) for n in range(500)],
        "5,000 sources": [rule(n, src=f"{format_address((11 << 24) + 4 * n)}/32") for n in range(5000)],
        "50 users, 28 ports": [
            *(rule(2 * n, uid_range=(1000 * n, 1000 * n + 500)) for n in range(50)),
            *(rule(2 * n + 1, dport=(1000 + 100 * n, 1050 + 100 * n)) for n in range(28)),
        ],
    }[kind]
    ends = [PolicyRule(priority=0, table=LOCAL_TABLE), PolicyRule(priority=32766, table=254)]
    ordered = sorted([*ends, *made], key=lambda each: each.priority)
    return msgspec.structs.replace(server, guest=msgspec.structs.replace(server.guest, rules=tuple(ordered)))
