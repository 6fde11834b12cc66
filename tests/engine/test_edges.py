"""The servers at the VPC's edges (fixtures/cases), each with what differs from it changed."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support import cases
from tests.support.servers import group_rule
from vnicheck.cli.config import load_config
from vnicheck.fixes.planner import plan_server
from vnicheck.model.cloud import Fabric, LoadBalancerListener, SecurityGroup
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import Flow
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import Server, Snapshot

RANGE = "public-address-range"
BALANCED = "public-load-balancer-answered-elsewhere"
ROUTED = "route-by-a-load-balancer"
WORKER = "vlan-vnis-of-virtual-machines"


def told(snapshot: Snapshot, spec: str, config: Config | None = None) -> tuple[str, list[str]]:
    flow = cases.find(cases.report_of(snapshot, config), spec)
    return flow.verdict.value, [f"{drop.by} at {drop.at}" for drop in flow.drops]


def changed(snapshot: Snapshot, *, fabric: dict[str, Any] | None = None, **vnis: Any) -> Snapshot:
    """`fabric`: fields of it; others: fields of every VNI."""
    (server,) = snapshot.servers
    server = msgspec.structs.replace(server, vnis=tuple(msgspec.structs.replace(vni, **vnis) for vni in server.vnis))
    around = msgspec.structs.replace(snapshot.fabric, **(fabric or {}))
    return msgspec.structs.replace(snapshot, servers=(server,), fabric=around)


# --- public address ranges --------------------------------------------------------------------------------------------


def with_range(**more: Any) -> Snapshot:
    snapshot = cases.snapshot_of(RANGE)
    (known,) = snapshot.fabric.public_address_ranges or ()
    return changed(snapshot, fabric={"public_address_ranges": (msgspec.structs.replace(known, **more),)})


IN, OUT = "inbound tcp/443 198.51.100.9 -> 192.0.2.17", "outbound tcp/443 192.0.2.17 -> 198.51.100.9"


def test_an_address_of_a_range_leaves_only_where_spoofing_is_allowed() -> None:
    closed = changed(cases.snapshot_of(RANGE), allow_ip_spoofing=False)
    assert told(closed, IN) == ("dropped", ["ip_spoofing_check at eth0"])
    assert told(closed, OUT) == ("dropped", ["ip_spoofing_check at eth0"])


@pytest.mark.parametrize("doubt", [{"zone": "us-south-2"}, {"lifecycle_state": "updating"}])
def test_a_range_of_another_zone_or_in_change_is_not_known_to_leave(doubt: Any) -> None:
    assert told(with_range(**doubt), OUT) == ("unknown", [])


def with_routes(*routes: Any, **vnis: Any) -> Snapshot:
    """The range's ingress table with copies of its one route that differ."""
    snapshot = cases.snapshot_of(RANGE)
    tables = dict(snapshot.fabric.routing_tables)
    (table,) = (each for each in tables.values() if each.ingress)
    tables[table.id] = msgspec.structs.replace(
        table, routes=tuple(msgspec.structs.replace(table.routes[0], **each) for each in routes)
    )
    return changed(snapshot, fabric={"routing_tables": tables}, **vnis)


def test_an_ingress_route_of_another_zone_than_the_ranges_is_not_known_to_count() -> None:
    elsewhere = {"zone": "us-south-2"}
    for spec in (IN, OUT):
        assert told(with_routes(elsewhere), spec) == ("unknown", [])
        assert told(with_routes({}, elsewhere | {"next_hop": "10.10.9.5"}), spec) == ("delivered", [])
        assert told(with_routes({"lifecycle_state": "pending"}), spec) == ("unknown", [])


def test_whether_packets_for_a_range_may_arrive_without_spoofing_is_an_open_question() -> None:
    snapshot = cases.snapshot_of(RANGE)
    (server,) = snapshot.servers
    first, second = server.vnis
    closed = msgspec.structs.replace(server, vnis=(msgspec.structs.replace(first, allow_ip_spoofing=False), second))
    flow = cases.find(cases.report_of(msgspec.structs.replace(snapshot, servers=(closed,))), IN)
    assert [hop.outcome for hop in flow.hops if hop.assumption == "spoofing-arrival"] == ["unknown"]


@pytest.mark.parametrize(("forwarding", "errors"), [(0, []), (1, [])])
def test_what_a_host_does_not_hold_of_its_range_is_no_transit(forwarding: int, errors: list[str]) -> None:
    snapshot = cases.snapshot_of(RANGE)
    (server,) = snapshot.servers
    assert server.guest is not None
    sysctls = {
        key: forwarding if "forward" in key and value in (0, 1) else value
        for key, value in server.guest.sysctls.items()
    }
    guest = msgspec.structs.replace(server.guest, sysctls=sysctls)
    host = msgspec.structs.replace(snapshot, servers=(msgspec.structs.replace(server, guest=guest),))
    assert [each.rule for each in cases.report_of(host).findings if each.rule == "VNC108"] == errors


def test_a_vpn_carries_no_answer_of_a_range_though_it_does_the_vnis_own() -> None:
    from vnicheck.model.cloud import NextHopResource, VpcRoute

    hop = NextHopResource(id="c", kind="vpn_gateway_connection")
    vpn = VpcRoute(id="v", name="v", destination="10.8.0.0/16", action="deliver", next_hop_resource=hop)
    snapshot = cases.snapshot_of(RANGE)
    (server,) = snapshot.servers
    subnet = snapshot.fabric.subnets[server.vnis[0].subnet]
    tables = dict(snapshot.fabric.routing_tables)
    used = tables[subnet.routing_table or ""]
    tables[used.id] = msgspec.structs.replace(used, routes=(*used.routes, vpn))
    snapshot = changed(snapshot, fabric={"routing_tables": tables})
    assert told(snapshot, "inbound tcp/443 10.8.0.4 -> 10.10.0.5") == ("delivered", [])
    assert told(snapshot, "inbound tcp/443 10.8.0.4 -> 192.0.2.17") == ("dropped", ["vpc_route at eth0"])


def test_a_range_of_another_vpc_is_none_of_the_servers() -> None:
    report = cases.report_of(with_range(vpc="another"))
    assert all(flow.local != "192.0.2.17" for flow in report.flows)


def test_what_hangs_on_ranges_is_no_error() -> None:
    report = cases.report_of(cases.snapshot_of(RANGE))
    concerned = [each for each in report.findings if "192.0.2" in each.message and each.severity != "note"]
    assert concerned == []


# --- load balancers ---------------------------------------------------------------------------------------------------


def with_listeners(*listeners: LoadBalancerListener, pool: str | None = "its own", **more: Any) -> Snapshot:
    """The public balancer with these listeners, and replies that leave by the VNI that requests come to."""
    snapshot = cases.snapshot_of(BALANCED)
    (member,) = snapshot.fabric.load_balancer_members
    own = member.pool.id if pool == "its own" else pool
    ours = tuple(msgspec.structs.replace(each, pool=own) for each in listeners)
    balancers = {
        key: msgspec.structs.replace(each, **({"listeners": ours} | more))
        for key, each in (snapshot.fabric.load_balancers or {}).items()
    }
    return changed(snapshot, fabric={"load_balancers": balancers})


def straight(snapshot: Snapshot) -> Snapshot:
    """With the default route by eth0."""
    (server,) = snapshot.servers
    text = msgspec.json.encode(server).decode()
    text = text.replace("default via 10.10.1.1 dev eth1", "default via 10.10.0.1 dev eth0")
    text = text.replace('"gateway":"10.10.1.1"', '"gateway":"10.10.0.1"')
    made = msgspec.json.decode(text, type=Server)
    assert made.guest is not None
    routes = tuple(
        msgspec.structs.replace(
            route, nexthops=tuple(msgspec.structs.replace(hop, interface="eth0") for hop in route.nexthops)
        )
        if route.prefix == "0.0.0.0/0"
        else route
        for route in made.guest.routes
    )
    made = msgspec.structs.replace(made, guest=msgspec.structs.replace(made.guest, routes=routes))
    return msgspec.structs.replace(snapshot, servers=(made,))


TCP = LoadBalancerListener(id="l", protocol="tcp", port_min=80, port_max=80)
CLIENT = "inbound tcp/443 198.51.100.9 -> 10.10.0.5"


def test_a_public_load_balancer_lets_the_internet_in_at_the_members_port() -> None:
    snapshot = straight(with_listeners(TCP))
    assert told(snapshot, CLIENT) == ("delivered", [])
    assert told(snapshot, "inbound tcp/80 198.51.100.9 -> 10.10.0.5") == ("dropped", ["no_floating_ip at eth0"])
    assert told(snapshot, "inbound udp/443 198.51.100.9 -> 10.10.0.5") == ("dropped", ["no_floating_ip at eth0"])
    assert told(snapshot, "inbound tcp/443 198.51.100.9 -> 10.10.1.5")[1][0] == "no_floating_ip at eth1"


def test_a_range_of_ports_is_handed_on_as_it_is() -> None:
    ports = LoadBalancerListener(id="l", protocol="tcp", port_min=8000, port_max=8999)
    snapshot = straight(with_listeners(ports))
    assert told(snapshot, "inbound tcp/8443 198.51.100.9 -> 10.10.0.5") == ("delivered", [])
    assert told(snapshot, CLIENT)[1] == ["no_floating_ip at eth0"]


@pytest.mark.parametrize("more", [{"access_mode": "private"}, {"route_mode": True}, {"family": "application"}])
def test_other_load_balancers_let_nobody_in(more: Any) -> None:
    assert told(straight(with_listeners(TCP, **more)), CLIENT) == ("dropped", ["no_floating_ip at eth0"])


def with_group(*rules: Any, **more: Any) -> Snapshot:
    """The public balancer with a security group of its own."""
    group = SecurityGroup(id="of-nlb", name="of-nlb", rules=rules)
    snapshot = straight(with_listeners(TCP, security_groups=("of-nlb",), **more))
    return changed(snapshot, fabric={"security_groups": snapshot.fabric.security_groups | {"of-nlb": group}})


def test_a_load_balancers_own_security_groups_are_asked() -> None:
    inward, out = group_rule("inbound", "tcp", port_min=80, port_max=80), group_rule("outbound", "tcp")
    other = "inbound tcp/443 203.0.113.9 -> 10.10.0.5"
    assert told(with_group(inward, out), CLIENT) == ("delivered", [])
    for closed in ((), (inward,), (out,), (group_rule("inbound", "udp"), out), (group_rule("inbound"),)):
        assert told(with_group(*closed), CLIENT) == ("dropped", ["no_floating_ip at eth0"])
    at_member = group_rule("inbound", "tcp", port_min=443, port_max=443)
    assert told(with_group(at_member, out), CLIENT)[0] == "dropped"
    some = with_group(group_rule("inbound", "tcp", remote="198.51.100.0/24"), out)
    assert (told(some, CLIENT)[0], told(some, other)[0]) == ("delivered", "dropped")
    strange = group_rule("inbound", "a later word")
    assert told(with_group(strange, out), CLIENT) == ("unknown", [])
    unread = straight(with_listeners(TCP, security_groups=("nobody knows it",)))
    assert told(unread, CLIENT) == ("unknown", [])
    placed = group_rule("inbound", "tcp", local="10.10.2.9/32")
    assert told(with_group(placed, out, private_addresses=("10.10.2.9",)), CLIENT)[0] == "delivered"
    assert told(with_group(placed, out, private_addresses=("10.10.2.8",)), CLIENT)[0] == "dropped"
    assert told(with_group(placed, out, private_addresses=None), CLIENT)[0] == "unknown"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"access_mode": "a later word"}, "access mode a later word"),
        ({"access_mode": None}, "access mode that was not read"),
        ({"provisioning_status": "failed"}, "is failed"),
        ({"security_groups": None}, "does not tell which security groups it has"),
        ({"security_groups": ()}, ""),
        ({"provisioning_status": "active"}, ""),
    ],
)
def test_a_load_balancer_of_unknown_state_lets_nobody_in_surely(more: Any, words: str) -> None:
    flow = cases.find(cases.report_of(straight(with_listeners(TCP, **more))), CLIENT)
    assert flow.verdict == ("unknown" if words else "delivered")
    assert any(words in hop.reason for hop in flow.hops)


def test_a_listener_of_a_later_protocol_may_let_in_what_it_likes() -> None:
    later = LoadBalancerListener(id="l", protocol="quic", port_min=80, port_max=80)
    assert told(straight(with_listeners(later)), CLIENT) == ("unknown", [])
    assert told(straight(with_listeners(later, TCP)), CLIENT) == ("delivered", [])


def test_a_member_of_no_weight_may_get_nothing() -> None:
    snapshot = straight(with_listeners(TCP))
    (member,) = snapshot.fabric.load_balancer_members
    for weight, verdict in ((0, "unknown"), (1, "delivered")):
        weighed = (msgspec.structs.replace(member, weight=weight),)
        assert told(changed(snapshot, fabric={"load_balancer_members": weighed}), CLIENT) == (verdict, [])


def test_a_load_balancer_of_another_vpc_is_none_of_the_servers() -> None:
    snapshot = straight(with_listeners(TCP, vpc="another"))
    (member,) = snapshot.fabric.load_balancer_members
    (server,) = snapshot.servers
    alike = (msgspec.structs.replace(member, instance=None, address=server.vnis[0].primary_address),)
    assert told(changed(snapshot, fabric={"load_balancer_members": alike}), CLIENT)[0] == "dropped"


def test_where_its_listeners_are_not_known_neither_is_what_it_lets_in() -> None:
    assert told(straight(with_listeners(listeners=None)), CLIENT) == ("unknown", [])
    unread = changed(
        straight(cases.snapshot_of(BALANCED)), fabric={"load_balancers": {}, "missing": {"load_balancers": "403"}}
    )
    assert told(unread, CLIENT) == ("unknown", [])


def test_an_answer_by_another_vni_is_an_error_that_names_the_balancer() -> None:
    report = cases.report_of(with_listeners(TCP))
    (finding,) = [each for each in report.findings if each.severity == "error"]
    assert "network load balancer nlb has sent the request to web-vni-0" in finding.message
    (server,) = with_listeners(TCP).servers
    proof = plan_server(server, with_listeners(TCP).fabric, Config())
    assert proof is not None
    assert proof.document.plan.strategy == "policy-routing"


# --- routes by a load balancer ----------------------------------------------------------------------------------------


def test_a_route_by_a_load_balancer_leads_through_its_members() -> None:
    lax = changed(cases.snapshot_of(ROUTED), allow_ip_spoofing=True, protocol_state_filtering_mode="disabled")
    assert told(lax, "transit tcp/443 10.10.3.5 -> 10.8.0.4") == ("delivered", [])


def test_of_several_members_another_one_may_get_the_answer() -> None:
    lax = changed(cases.snapshot_of(ROUTED), allow_ip_spoofing=True, protocol_state_filtering_mode="disabled")
    (member,) = lax.fabric.load_balancer_members
    other = msgspec.structs.replace(member, instance="another")
    several = changed(lax, fabric={"load_balancer_members": (member, other)})
    assert told(several, "transit tcp/443 10.10.3.5 -> 10.8.0.4") == ("unknown", [])


@pytest.mark.parametrize("more", [{"route_mode": False}, {"private_addresses": ("10.10.0.8",)}])
def test_a_route_by_anything_else_does_not(more: Any) -> None:
    snapshot = cases.snapshot_of(ROUTED)
    balancers = {
        key: msgspec.structs.replace(each, **more) for key, each in (snapshot.fabric.load_balancers or {}).items()
    }
    report = cases.report_of(changed(snapshot, fabric={"load_balancers": balancers}))
    assert [flow for flow in report.flows if flow.direction == "transit"] == []


# --- virtual machines, managed workers --------------------------------------------------------------------------------


def worker(**more: Any) -> Snapshot:
    snapshot = cases.snapshot_of(WORKER)
    (server,) = snapshot.servers
    return msgspec.structs.replace(snapshot, servers=(msgspec.structs.replace(server, **more),))


def problems(snapshot: Snapshot) -> list[str]:
    return [problem.code for problem in cases.report_of(snapshot).problems]


def test_only_vlan_vnis_of_bare_metal_are_virtual_machines() -> None:
    snapshot = cases.snapshot_of(WORKER)
    assert problems(snapshot) == []
    assert problems(changed(snapshot, interface_type="pci")) == ["interface_unmatched"] * 2
    assert problems(worker(kind="instance")) == ["interface_unmatched"] * 2


def test_workers_of_managed_clusters_get_no_proposals() -> None:
    name = "kube-c6qf8h2d0u1lso2pvmk0-prod-default-00000123"
    loose: Any = {"psf_auto": "enabled"}
    config = Config(assumptions=Assumptions(**loose))
    own, managed = worker(), worker(name=name)
    assert any("ip rule add" in str(fix) for each in _findings(own, config) for fix in each.fixes)
    assert not any("ip rule add" in str(fix) for each in _findings(managed, config) for fix in each.fixes)
    proof = plan_server(managed.servers[0], managed.fabric, config)
    assert proof is not None
    assert (proof.document.plan.strategy, proof.effects, proof.document.alternatives) == ("none", (), ())
    assert "managed cluster" in (proof.document.plan.why_not or "")


def _findings(snapshot: Snapshot, config: Config) -> Any:
    return cases.report_of(snapshot, config).findings


# --- a secondary address beside a floating IP and a public gateway ----------------------------------------------------


@pytest.mark.parametrize(
    ("floating", "gateway", "expected"),
    [(True, True, "unknown"), (False, True, "delivered"), (True, False, "dropped"), (False, False, "dropped")],
)
def test_how_a_secondary_address_gets_out(floating: bool, gateway: bool, expected: str) -> None:
    from tests.support.servers import fabric, guest, link, report, server, subnet, vni

    inside = guest(link("eth0", 0, "10.0.0.11/24", "10.0.0.13/24"), routes="default via 10.0.0.1 dev eth0")
    of = server(vni(0, "10.0.0.11", "10.0.0.13", floating_ip="203.0.113.7" if floating else None), guest=inside)
    around: Fabric = fabric(subnets=[subnet("a", "10.0.0.0/24", public_gateway="gateway" if gateway else None)])
    instance: InstanceReport = report(of, around)
    flow: Flow = cases.find(instance, "outbound tcp/443 10.0.0.13 -> 198.51.100.9")
    assert flow.verdict == expected
    if floating:
        assert cases.find(instance, "outbound tcp/443 10.0.0.11 -> 198.51.100.9").verdict == "delivered"


# --- in transit: the ACL of the remotes' own subnets ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "source", "destination", "expected"),
    [
        ("outbound", "10.10.3.0/24", "0.0.0.0/0", ["network_acl at eth0"]),
        ("inbound", "0.0.0.0/0", "10.10.3.0/24", ["network_acl at eth0"]),
        ("outbound", "10.10.3.128/25", "0.0.0.0/0", []),
        ("inbound", "10.9.0.0/16", "0.0.0.0/0", []),
    ],
)
def test_in_transit_the_acl_of_the_openers_subnet_counts(
    direction: str, source: str, destination: str, expected: list[str]
) -> None:
    from tests.support.servers import acl_rule
    from vnicheck.model.cloud import NetworkAcl

    lax = changed(cases.snapshot_of(ROUTED), allow_ip_spoofing=True, protocol_state_filtering_mode="disabled")
    rules = (
        acl_rule("deny", direction, source=source, destination=destination),
        acl_rule("allow", "inbound"),
        acl_rule("allow", "outbound"),
    )
    subnets = {
        key: msgspec.structs.replace(subnet, network_acl="home") if subnet.cidr == "10.10.3.0/24" else subnet
        for key, subnet in lax.fabric.subnets.items()
    }
    acls = {**lax.fabric.network_acls, "home": NetworkAcl(id="home", name="home", rules=rules)}
    within = changed(lax, fabric={"subnets": subnets, "network_acls": acls})
    verdict, drops = told(within, "transit tcp/443 10.10.3.5 -> 10.8.0.4")
    assert [drop.partition(" ")[0] for drop in drops] == [drop.partition(" ")[0] for drop in expected]
    assert verdict == ("dropped" if expected else "delivered")


# --- what the configuration file answers ------------------------------------------------------------------------------

ARRIVES = "transit-arrives-without-spoofing"
THROUGH = "transit tcp/443 10.10.3.5 -> 10.8.0.4"


def config_of(text: str, folder: Path) -> Config:
    (folder / "vnicheck.toml").write_text(f"[assumptions]\n{text}\n")
    return load_config(folder / "vnicheck.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('spoofing-arrival = "passed"', ("delivered", [])),
        ('spoofing-arrival = "dropped"', ("dropped", ["ip_spoofing_check at eth1"])),
        ('spoofing-arrival = { fw = "passed" }', ("delivered", [])),
        ('spoofing-arrival = { "bx2-2x8" = "dropped" }', ("dropped", ["ip_spoofing_check at eth1"])),
        ('spoofing-arrival = { another = "passed" }', ("unknown", [])),
    ],
)
def test_whether_arriving_packets_are_checked_can_be_said(text: str, expected: Any, tmp_path: Path) -> None:
    assert told(cases.snapshot_of(ARRIVES), THROUGH, config_of(text, tmp_path)) == expected


def test_what_mode_auto_means_can_be_said_of_a_profile(tmp_path: Path) -> None:
    asymmetric = "inbound tcp/443 10.8.0.4 -> 10.10.1.5"
    snapshot = changed(cases.snapshot_of(ARRIVES), allow_ip_spoofing=True)
    assert told(snapshot, asymmetric) == ("dropped", ["protocol_state_filtering at eth0"])
    off = config_of('psf-auto = { "bx2-2x8" = "disabled" }', tmp_path)
    assert told(snapshot, asymmetric, off) == ("delivered", [])
    other = config_of('psf-auto = { "bx3d-8x40" = "disabled" }', tmp_path)
    assert told(snapshot, asymmetric, other)[0] == "dropped"


def test_networks_outside_the_private_address_space_can_be_reached(tmp_path: Path) -> None:
    from tests.support.servers import fabric, guest, link, report, server, vni

    inside = guest(link("eth0", 0, "10.0.0.11/24"), routes="default via 10.0.0.1 dev eth0")
    of, spec = server(vni(0, "10.0.0.11"), guest=inside), "outbound tcp/443 10.0.0.11 -> 198.51.100.9"
    assert cases.find(report(of, fabric()), spec).dropped_by == "no_floating_ip"
    reachable = config_of('remote-reachable = ["198.51.100.0/24"]', tmp_path)
    flow = cases.find(report(of, fabric(), reachable), spec)
    assert (flow.verdict, flow.remote_scope) == ("delivered", "private")


@pytest.mark.parametrize(
    ("floating", "expected"), [(True, "unknown"), (False, "dropped")], ids=["may translate", "cannot"]
)
def test_a_firewall_that_has_no_way_to_the_internet_of_its_own_translates_nothing(
    floating: bool, expected: str
) -> None:
    snapshot = cases.snapshot_of("edge-firewall-that-may-translate")
    subnets = {
        key: msgspec.structs.replace(subnet, public_gateway=None) for key, subnet in snapshot.fabric.subnets.items()
    }
    snapshot = changed(snapshot, fabric={"subnets": subnets}, **({} if floating else {"floating_ips": ()}))
    assert told(snapshot, "transit tcp/443 10.10.3.5 -> 198.51.100.9")[0] == expected
    errors = [each for each in cases.report_of(snapshot).findings if each.rule == "VNC108"]
    assert not floating or errors == []


# --- public address ranges in transit ---------------------------------------------------------------------------------


def behind_the_firewall(*, back: bool = True, **more: Any) -> Snapshot:
    """The range's addresses are 10.10.3.7's: the guest sends them on by eth1, and VPC routes lead both ways."""
    from vnicheck.model.cloud import RoutingTable, VpcRoute
    from vnicheck.model.guest import NextHop, Route

    snapshot = changed(cases.snapshot_of(RANGE), **({"protocol_state_filtering_mode": "disabled"} | more))
    (server,) = snapshot.servers
    assert server.guest is not None
    route = Route(prefix="192.0.2.16/28", table=254, nexthops=(NextHop(interface="eth1", gateway="10.10.1.1"),))
    inside = msgspec.structs.replace(
        server.guest,
        routes=(*(each for each in server.guest.routes if not each.prefix.startswith("192.0.2.")), route),
        interfaces=tuple(
            msgspec.structs.replace(
                link, addresses=tuple(each for each in link.addresses if not each.address.startswith("192.0.2."))
            )
            for link in server.guest.interfaces
        ),
    )
    onward = VpcRoute(
        id="in", name="in", destination="192.0.2.16/28", action="deliver", next_hop="10.10.3.7", zone="us-south-1"
    )
    out = VpcRoute(
        id="out", name="out", destination="0.0.0.0/0", action="deliver", next_hop="10.10.1.5", zone="us-south-1"
    )
    tables = {
        "arm": RoutingTable(id="arm", name="arm", vpc=server.vpc.id, routes=(onward,)),
        "host": RoutingTable(id="host", name="host", vpc=server.vpc.id, routes=(out,) if back else ()),
    }
    arms = {"10.10.1.0/24": "arm", "10.10.3.0/24": "host"}
    subnets = {
        key: msgspec.structs.replace(each, routing_table=arms.get(each.cidr, each.routing_table))
        for key, each in snapshot.fabric.subnets.items()
    }
    around = {"subnets": subnets, "routing_tables": snapshot.fabric.routing_tables | tables}
    made = changed(snapshot, fabric=around)
    return msgspec.structs.replace(made, servers=(msgspec.structs.replace(made.servers[0], guest=inside),))


TO_RANGE = "transit tcp/443 198.51.100.9 -> 192.0.2.20"


def test_a_server_behind_the_firewall_is_reached_by_its_public_address() -> None:
    assert told(behind_the_firewall(), TO_RANGE) == ("delivered", [])


def test_the_firewall_must_allow_spoofing_for_it() -> None:
    verdict, drops = told(behind_the_firewall(allow_ip_spoofing=False), TO_RANGE)
    assert (verdict, drops) == ("dropped", ["ip_spoofing_check at eth1", "ip_spoofing_check at eth0"])
