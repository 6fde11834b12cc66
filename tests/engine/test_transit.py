"""Flows through the server: a router between a subnet of the VPC and a network beyond it."""

import ipaddress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amounts import drawn
from tests.support.drawn_guests import guests
from tests.support.drawn_servers import RELAXED, fabrics, server_of
from tests.support.one_flow import fate
from tests.support.servers import (
    BOTH_WAYS,
    ONE_ARM,
    OPEN_GROUP,
    fabric,
    flows,
    group_rule,
    router,
    server,
    subnet,
    transit_fabric,
)
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.refinement import port_ranges
from vnicheck.engine.server_view import ServerView
from vnicheck.engine.transit import transit_flow
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.cloud import Fabric, RoutingTable, SecurityGroup, VpcRoute
from vnicheck.model.config import Config
from vnicheck.model.flow import Direction, DropCode, Flow, Protocol, Verdict
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Server


def transit(of: Server, where: Fabric, protocol: Protocol = Protocol.TCP) -> list[Flow]:
    """The flows that subnet c opens towards 10.8.0.0/16."""
    return [
        flow
        for flow in flows(of, where)
        if flow.direction is Direction.TRANSIT and flow.protocol is protocol and flow.local == "10.8.0.0/16"
    ]


def test_a_router_that_sees_both_directions_delivers() -> None:
    (flow,) = transit(router(), transit_fabric())
    assert (flow.remote, flow.local_prefixes) == (("10.0.2.0/24",), ("10.8.0.0/16",))
    assert (flow.ingress, flow.egress, flow.symmetric) == ("eth0", "eth1", True)
    assert flow.verdict is Verdict.DELIVERED
    assert [hop.assumption for hop in flow.hops].count("transit-unchanged") == 2


@pytest.mark.parametrize(("mode", "verdict"), [("auto", Verdict.DROPPED), ("disabled", Verdict.DELIVERED)])
def test_a_vni_that_sees_the_answer_alone_drops_it_unless_filtering_is_off(mode: str, verdict: Verdict) -> None:
    (flow,) = transit(router(ONE_ARM, protocol_state_filtering_mode=mode), transit_fabric())
    assert (flow.ingress, flow.egress, flow.symmetric) == ("eth0", "eth0", False)
    assert flow.verdict is verdict
    if verdict is Verdict.DROPPED:
        assert [(drop.by, drop.leg, drop.at) for drop in flow.drops] == [
            (DropCode.PROTOCOL_STATE_FILTERING, "reply", "eth1")
        ]
    (ping,) = transit(router(ONE_ARM, protocol_state_filtering_mode=mode), transit_fabric(), Protocol.ICMP)
    assert ping.verdict is Verdict.DELIVERED


def test_an_answer_that_goes_past_the_server_is_none_of_its_business() -> None:
    (flow,) = transit(router(), transit_fabric(back_by=None))
    assert flow.verdict is Verdict.DELIVERED
    assert flow.symmetric is False
    assert "without this server" in flow.hops[-1].reason


def test_an_answer_that_another_appliance_takes_is_unknown() -> None:
    (flow,) = transit(router(), transit_fabric(back_by="10.0.9.9"))
    assert (flow.verdict, flow.symmetric) == (Verdict.UNKNOWN, None)


def test_a_server_that_does_not_forward_drops() -> None:
    (flow,) = transit(router(forwarding=0), transit_fabric())
    assert (flow.dropped_by, flow.egress) == (DropCode.NOT_LOCAL, None)


def test_spoofing_must_be_allowed_where_the_packets_leave() -> None:
    (flow,) = transit(router(allow_ip_spoofing=False), transit_fabric())
    assert [(drop.by, drop.at) for drop in flow.drops] == [
        (DropCode.IP_SPOOFING_CHECK, "eth1"),
        (DropCode.IP_SPOOFING_CHECK, "eth0"),
    ]


def test_strict_reverse_path_filtering_counts_in_transit_too() -> None:
    (flow,) = transit(router(ONE_ARM, rp_filter=1), transit_fabric())
    assert [(drop.by, drop.leg, drop.at) for drop in flow.drops] == [
        (DropCode.PROTOCOL_STATE_FILTERING, "reply", "eth1"),
        (DropCode.RP_FILTER, "reply", "eth1"),
    ]


def test_a_route_that_leads_back_to_the_router_is_a_loop() -> None:
    where = transit_fabric()
    looped = VpcRoute(id="r3", name="loop", destination="10.8.0.0/16", action="deliver", next_hop="10.0.0.11")
    table = RoutingTable(id="table", name="table", vpc="vpc", routes=(looped,))
    where.routing_tables["table"] = table
    flow = next(flow for flow in transit(router(), where) if flow.remote == ("10.0.2.0/24",))
    assert flow.dropped_by is DropCode.VPC_ROUTE
    assert any("back to this server" in hop.reason for hop in flow.hops)


def test_security_groups_judge_what_crosses_the_router() -> None:
    web = SecurityGroup(
        id="open", name="open", rules=(group_rule("inbound", "tcp", port_min=443, port_max=443), *OPEN_GROUP.rules[1:])
    )
    where = transit_fabric(groups=[web])
    verdicts = {flow.ports: flow.verdict for flow in transit(router(), where)}
    assert verdicts == {("443",): Verdict.DELIVERED, ("1-442", "444-65535"): Verdict.DROPPED}


def test_without_a_guest_nothing_is_delivered() -> None:
    blind = server(*router().vnis, guest=None)
    for protocol in Protocol:
        assert {flow.verdict for flow in transit(blind, transit_fabric(), protocol)} == {Verdict.UNKNOWN}


def test_servers_that_no_route_leads_to_have_no_transit() -> None:
    assert not [flow for flow in flows(router(), fabric()) if flow.direction is Direction.TRANSIT]


def with_route(where: Fabric, table: str, **route: object) -> Fabric:
    known = where.routing_tables[table]
    extra = VpcRoute(**({"id": "extra", "name": "extra", "action": "deliver"} | route))  # type: ignore[arg-type]
    where.routing_tables[table] = msgspec.structs.replace(known, routes=(*known.routes, extra))
    return where


def covered(prefixes: tuple[str, ...]) -> int:
    return sum(ipaddress.ip_network(prefix).num_addresses for prefix in prefixes)


def test_a_longer_route_takes_its_part_elsewhere() -> None:
    where = with_route(transit_fabric(), "c", destination="10.8.5.0/24", next_hop="10.0.9.9")
    (flow,) = transit(router(), where)
    assert isinstance(flow.local_prefixes, tuple)
    assert covered(flow.local_prefixes) == 65536 - 256
    assert "10.8.5.0/24" not in flow.local_prefixes or ()


def test_routes_of_one_priority_that_share_the_load_are_unknown() -> None:
    where = with_route(transit_fabric(), "c", destination="10.8.0.0/16", next_hop="10.0.9.9")
    (flow,) = transit(router(), where)
    assert flow.verdict is Verdict.UNKNOWN
    assert "share the load" in flow.hops[0].reason


@pytest.mark.parametrize("table", ["c", "in"])
def test_a_route_that_may_not_count_yet_leads_nobody_surely(table: str) -> None:
    where = transit_fabric()
    known = where.routing_tables[table]
    pending = tuple(msgspec.structs.replace(route, lifecycle_state="pending") for route in known.routes)
    where.routing_tables[table] = msgspec.structs.replace(known, routes=pending)
    (flow,) = transit(router(), where)
    assert flow.verdict is Verdict.UNKNOWN
    assert any("not stable" in hop.reason for hop in flow.hops)


def test_what_comes_in_meets_the_routes_of_the_zone_that_it_comes_to() -> None:
    """The answer comes in where subnet c is, which is in another zone than the route."""
    for zone, another, straight in (("z-1", "z-2", True), ("z-2", None, False)):
        where = transit_fabric()
        where.subnets["c"] = msgspec.structs.replace(where.subnets["c"], zone="z-1")
        table = where.routing_tables["in"]
        back = msgspec.structs.replace(table.routes[0], zone=zone)
        others = () if another is None else (msgspec.structs.replace(back, zone=another, next_hop="10.0.9.9"),)
        where.routing_tables["in"] = msgspec.structs.replace(table, routes=(back, *others))
        (flow,) = transit(router(), where)
        assert (flow.verdict, flow.symmetric) == (Verdict.DELIVERED, straight)


def test_what_goes_to_another_zone_is_led_by_the_routes_between_zones() -> None:
    where = transit_fabric()
    where.subnets["d"] = subnet("d", "10.0.3.0/24", zone="z-2")
    led = VpcRoute(id="z", name="z", destination="10.0.2.0/24", action="deliver", next_hop="10.0.0.11", zone="z-1")
    where.routing_tables["zones"] = RoutingTable(id="zones", name="z", vpc="vpc", routes=(led,), ingress=("vpc_zone",))
    view = ServerView(router(), where, Config())
    ends = {"d": parse_address("10.0.3.9"), "c": parse_address("10.0.2.9"), "b": parse_address("10.0.1.99")}
    flow = transit_flow(view, Protocol.TCP, ends["d"], ends["c"], 443)
    assert flow is not None
    assert (flow.ingress, flow.hops[0].reason.partition(" (")[0]) == ("eth0", "a VPC route leads it to vni-1")
    assert transit_flow(view, Protocol.TCP, ends["b"], ends["c"], 443) is None
    where.routing_tables["zones"] = RoutingTable(id="zones", name="z", vpc="vpc", ingress=("vpc_zone",))
    assert transit_flow(ServerView(router(), where, Config()), Protocol.TCP, ends["d"], ends["c"], 443) is None


def test_a_public_address_that_is_led_to_a_firewall_is_nobodys_that_is_seen() -> None:
    where = transit_fabric()
    led = VpcRoute(id="p", name="p", destination="203.0.113.0/24", action="deliver", next_hop="10.0.0.11")
    where.routing_tables["pub"] = RoutingTable(id="pub", name="pub", vpc="vpc", routes=(led,), ingress=("internet",))
    client, public = parse_address("198.51.100.9"), parse_address("203.0.113.40")
    flow = transit_flow(ServerView(router(), where, Config()), Protocol.TCP, client, public, 443)
    assert flow is not None
    assert flow.verdict is Verdict.UNKNOWN


def test_a_route_that_drops_the_answer() -> None:
    where = transit_fabric(back_by=None)
    where.routing_tables["in"] = RoutingTable(id="in", name="in", vpc="vpc", ingress=("transit_gateway",))
    with_route(where, "in", destination="10.0.2.0/24", action="drop")
    (flow,) = transit(router(), where)
    assert (flow.dropped_by, flow.drops[0].leg) == (DropCode.VPC_ROUTE, "reply")


def test_a_default_route_diverts_traffic_inside_the_vpc_too() -> None:
    """A custom route wins over the VPC's implicit table on any match (IBM Cloud Docs, VPC: cr-intro)."""
    everything = VpcRoute(id="r1", name="all", destination="0.0.0.0/0", action="deliver", next_hop="10.0.0.11")
    table = RoutingTable(id="c", name="of-c", vpc="vpc", routes=(everything,))
    where = fabric(subnets=[subnet("c", "10.0.2.0/24", routing_table="c")], tables=[table])
    led = [flow for flow in flows(router(), where) if flow.direction is Direction.TRANSIT]
    inside = ipaddress.ip_network("10.0.1.0/24")
    answerers = [prefix for flow in led for prefix in flow.local_prefixes or ()]
    assert any(ipaddress.ip_network(prefix).overlaps(inside) for prefix in answerers), answerers


def test_two_hosts_of_one_network_are_two_ends() -> None:
    """Whatever else tells addresses of the network apart."""
    where = with_route(transit_fabric(), "in", destination="10.8.0.0/16", next_hop="10.0.1.11")
    view = ServerView(router(), where, Config())
    inside, other = parse_address("10.8.0.4"), parse_address("10.8.0.5")
    assert transit_flow(view, Protocol.TCP, inside, other, 443) is not None
    assert transit_flow(view, Protocol.TCP, inside, inside, 443) is None
    led = [flow for flow in transit(router(), where) if "10.8.0.0/16" in flow.remote]
    assert [flow.local_prefixes for flow in led] == [("10.8.0.0/16",)]


def test_routes_of_one_length_by_different_interfaces_are_different_fates() -> None:
    lines = "10.8.1.0/24 via 10.0.0.1 dev eth0\n10.8.2.0/24 via 10.0.1.1 dev eth1\n"
    egress = {
        prefix: flow.egress
        for flow in transit(router(ONE_ARM + lines), transit_fabric())
        for prefix in flow.local_prefixes or ()
    }
    assert (egress["10.8.2.0/24"], set(egress.values())) == ("eth1", {"eth0", "eth1"})


def test_a_subnet_of_another_vpc_tells_nothing_of_flows_in_this_one() -> None:
    """Its addresses are ours, too."""
    where = transit_fabric()
    where.subnets["elsewhere"] = subnet("elsewhere", "10.0.0.0/9", vpc="another")
    assert transit(router(), where) == transit(router(), transit_fabric())


def test_nobody_is_both_ends_of_a_flow() -> None:
    where = with_route(transit_fabric(), "in", destination="10.8.0.0/16", next_hop="10.0.1.11")
    host = router(BOTH_WAYS + "10.8.1.7 via 10.0.0.1 dev eth0\n")
    pairs = {
        (remote, local)
        for flow in transit(host, where)
        for remote in flow.remote
        for local in flow.local_prefixes or ()
    }
    assert ("10.8.1.7/32", "10.8.1.6/32") in pairs
    assert ("10.8.1.7/32", "10.8.1.7/32") not in pairs


def test_many_routes_at_both_ends_are_few_classes() -> None:
    lines = (f"10.{16 + n // 256}.{n % 256}.0/24 via 10.0.{n % 2}.1 dev eth{n % 2}" for n in range(1000))
    where = with_route(transit_fabric(), "in", destination="10.0.0.0/8", next_hop="10.0.1.11")
    few, many = (flows(router(routes), where) for routes in (BOTH_WAYS + next(lines), BOTH_WAYS + "\n".join(lines)))
    led, more = ([flow for flow in each if flow.direction is Direction.TRANSIT] for each in (few, many))
    assert len(more) <= len(led) + 12


@settings(RELAXED, max_examples=drawn(15))
@given(fabrics(), guests(), st.sampled_from(["10.8.0.0/16", "0.0.0.0/0"]), st.randoms(use_true_random=False))
def test_a_class_says_what_each_of_its_flows_meets(around: Fabric, inside: Guest, led: str, random: Any) -> None:
    out = VpcRoute(id="out", name="out", destination=led, action="deliver", next_hop="10.0.0.11")
    back = VpcRoute(id="in", name="in", destination="10.0.0.0/8", action="deliver", next_hop="10.0.0.12")
    tables = [
        RoutingTable(id="c", name="c", vpc="vpc", routes=(out,)),
        RoutingTable(id="in", name="in", vpc="vpc", routes=(back,), ingress=("transit_gateway", "internet")),
    ]
    around.routing_tables.update({table.id: table for table in tables})
    around.subnets["c"] = subnet("c", "10.0.2.0/24", routing_table="c")
    sysctls = inside.sysctls | {f"net/ipv4/conf/{name}/forwarding": 1 for name in ("eth0", "eth1")}
    of = server_of(msgspec.structs.replace(inside, sysctls=sysctls), ("10.0.0.11", "10.0.0.12", "10.0.0.14"))
    view = ServerView(of, around, Config())
    classes = [flow for flow in predict_flows(view) if flow.direction is Direction.TRANSIT]
    for flow in random.sample(classes, min(8, len(classes))):
        opener, answerer = (
            random.randint(*prefix_range(random.choice(ends))) for ends in (flow.remote, flow.local_prefixes)
        )
        port = random.randint(*random.choice(port_ranges(flow)))
        alone = transit_flow(view, flow.protocol, opener, answerer, port)
        if opener != answerer:
            assert alone is not None
            assert fate(alone) == fate(flow)


@pytest.mark.parametrize(("sorts", "verdicts"), [(10, {Verdict.DELIVERED, Verdict.DROPPED}), (50, {Verdict.UNKNOWN})])
def test_more_sorts_of_ends_than_are_told_apart_leave_flows_unknown(sorts: int, verdicts: set[Verdict]) -> None:
    """Each address at either end has a port of its own."""
    rules = [
        group_rule(direction, "tcp", remote, port_min=1000 + number, port_max=1000 + number)
        for number in range(sorts)
        for direction, remote in (("inbound", f"10.0.2.{number + 4}/32"), ("outbound", f"10.8.0.{number}/32"))
    ]
    where = transit_fabric()
    where = msgspec.structs.replace(
        where, security_groups={"open": SecurityGroup(id="open", name="open", rules=tuple(rules))}
    )
    found = transit(router(), where)
    assert {flow.verdict for flow in found} == verdicts
    assert {prefix for flow in found for prefix in flow.local_prefixes or ()}
