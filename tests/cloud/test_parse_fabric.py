"""The fabric's parsers: what they read, what they keep as unmodelled, what they refuse."""

from typing import Any

import pytest

from tests.api import World
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.parse_fabric import (
    parse_address_prefix,
    parse_network_acl,
    parse_public_address_range,
    parse_route,
    parse_routing_table,
    parse_security_group,
    parse_subnet,
    parse_vpc,
)
from vnicheck.model.cloud import NextHopResource, PublicAddressRange, SecurityGroupRule

RULE = {"id": "r", "direction": "inbound", "protocol": "tcp", "remote": {"cidr_block": "10.0.0.0/8"}}


def group_rule(**changes: Any) -> SecurityGroupRule:
    group, _ = parse_security_group({"id": "g", "name": "web", "rules": [RULE | changes], "targets": []})
    return group.rules[0]


@pytest.mark.parametrize("protocol", ["any", "all", "icmp_tcp_udp", "icmp", "tcp", "udp", "esp", "number_99", "later"])
def test_every_protocol_survives_as_its_word(protocol: str) -> None:
    assert group_rule(protocol=protocol).protocol == protocol


@pytest.mark.parametrize(
    ("end", "prefix"),
    [
        ({"cidr_block": "10.1.0.0/16"}, "10.1.0.0/16"),
        ({"cidr_block": "10.1.2.3/16"}, "10.1.0.0/16"),
        ({"cidr_block": "0.0.0.0/0"}, "0.0.0.0/0"),
        ({"address": "10.1.2.3"}, "10.1.2.3/32"),
    ],
)
def test_remote_and_local_as_prefixes(end: dict[str, str], prefix: str) -> None:
    rule = group_rule(remote=end, local=end)
    assert (rule.remote, rule.local, rule.remote_group, rule.unmodelled) == (prefix, prefix, None, ())


def test_a_remote_group() -> None:
    rule = group_rule(remote={"id": "sg-2", "name": "db", "crn": "crn", "href": "h"})
    assert (rule.remote, rule.remote_group, rule.unmodelled) == (None, "sg-2", ())


@pytest.mark.parametrize(
    "changes",
    [
        {"remote": None},
        {"remote": {}},
        {"remote": {"service_tag": "internet"}},
        {"remote": {"cidr_block": "2001:db8::/32"}},
        {"remote": {"cidr_block": 7}},
        {"remote": {"address": "300.1.1.1"}},
        {"local": {"id": "sg-2"}},
        {"local": {"service_tag": "x"}},
        {"ip_version": "ipv6"},
        {"ip_version": "both"},
    ],
)
def test_an_end_of_an_unknown_kind_is_unmodelled_and_admits_nothing(changes: dict[str, Any]) -> None:
    rule = group_rule(**changes)
    assert len(rule.unmodelled) == 1
    assert rule.remote is None
    assert rule.remote_group is None


def test_zero_is_a_value() -> None:
    rule = group_rule(protocol="icmp", type=0, code=0)
    assert (rule.icmp_type, rule.icmp_code) == (0, 0)
    assert group_rule(protocol="icmp").icmp_type is None


def test_acl_rules_keep_their_order_and_their_ports() -> None:
    world = World().vpc("prod")
    allow = {"action": "allow", "direction": "inbound", "protocol": "tcp", "destination_port_min": 443}
    deny = {"action": "deny", "direction": "inbound", "protocol": "icmp", "source": "10.0.0.7", "type": 0, "code": 0}
    world.network_acl("strict", rules=[allow, deny])
    acl = parse_network_acl(world.find("network_acls", "strict"))
    first, second = acl.rules
    assert [rule.name for rule in acl.rules] == ["rule-0", "rule-1"]
    assert (first.destination_port_min, first.destination_port_max, first.source_port_min) == (443, 65535, 1)
    assert (second.source, second.icmp_type, second.icmp_code) == ("10.0.0.7/32", 0, 0)


def test_the_chain_of_acl_rules_wins_over_the_order_of_the_list() -> None:
    world = World().vpc("prod")
    rules = [{"action": "allow", "direction": "inbound", "source": f"10.{number}.0.0/16"} for number in range(4)]
    item = world.network_acl("strict", rules=rules).find("network_acls", "strict")
    expected = parse_network_acl(item)
    item["rules"].reverse()
    assert parse_network_acl(item) == expected


@pytest.mark.parametrize("broken", ["gone", "loop", "fork"])
def test_a_broken_chain_of_acl_rules_leaves_the_order_of_the_list(broken: str) -> None:
    world = World().vpc("prod")
    rules = [{"action": "allow", "direction": "inbound"}] * 3
    item = world.network_acl("strict", rules=rules).find("network_acls", "strict")
    ids = [rule["id"] for rule in item["rules"]]
    target = {"gone": "elsewhere", "loop": ids[0], "fork": ids[2]}[broken]
    item["rules"][0 if broken == "fork" else 2]["before"] = {"id": target, "name": "x", "href": "h"}
    assert [rule.id for rule in parse_network_acl(item).rules] == ids


def test_ipv6_rules_and_routes_meet_no_packet_of_ours() -> None:
    world = World().vpc("prod")
    six = {"action": "deny", "direction": "inbound", "ip_version": "ipv6", "source": "::/0", "destination": "::/0"}
    world.network_acl("strict", rules=[six, {"action": "allow", "direction": "inbound"}])
    world.routing_table("egress", routes=[{"destination": "::/0"}, {"destination": "10.0.0.0/8"}])
    assert [rule.action for rule in parse_network_acl(world.find("network_acls", "strict")).rules] == ["allow"]
    table = world.data["routing_tables"][world.id("vpc", "prod")][1]
    parsed = parse_routing_table(table, "vpc", world.data["routes"][table["id"]])
    assert [route.destination for route in parsed.routes] == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    ("route", "hop"),
    [
        ({"action": "deliver", "next_hop": "10.0.0.5"}, "10.0.0.5"),
        ({"action": "deliver", "next_hop": "vpn-1"}, None),
        ({"action": "drop"}, None),
        ({"action": "delegate_vpc"}, None),
        ({"action": "teleport", "next_hop": "10.0.0.5"}, "10.0.0.5"),
    ],
)
def test_routes(route: dict[str, str], hop: str | None) -> None:
    world = World().vpc("prod").routing_table("t", routes=[{"destination": "10.8.0.0/16", "priority": 0} | route])
    parsed = parse_route(world.data["routes"][world.id("routing-table", "t")][0])
    assert (parsed.action, parsed.next_hop, parsed.priority) == (route["action"], hop, 0)
    assert (parsed.zone, parsed.destination) == ("us-south-1", "10.8.0.0/16")


def test_next_hops_that_are_no_addresses() -> None:
    made = World().vpc("prod").routing_table("t", routes=[{"destination": "10.8.0.0/16", "next_hop": "vpn-1"}])
    item = made.data["routes"][made.id("routing-table", "t")][0]
    key = made.id("vpn-gateway-connection", "vpn-1")
    assert parse_route(item).next_hop_resource == NextHopResource(id=key, name="vpn-1", kind="vpn_gateway_connection")
    item["next_hop"] = {"id": "x", "resource_type": "wormhole"}
    assert parse_route(item).next_hop_resource == NextHopResource(id="x", kind="wormhole")
    item["next_hop"] = {"address": "10.0.0.5", "id": "x"}
    assert (parse_route(item).next_hop, parse_route(item).next_hop_resource) == ("10.0.0.5", None)
    for nothing in ({}, None, {"address": "0.0.0.0"}, {"fqdn": "x"}):
        item["next_hop"] = nothing
        assert (parse_route(item).next_hop, parse_route(item).next_hop_resource) == (None, NextHopResource(id=""))
    item["action"] = "drop"
    assert (parse_route(item).next_hop, parse_route(item).next_hop_resource) == (None, None)


@pytest.mark.parametrize("zone", [None, "left out"])
def test_a_route_without_a_zone_counts_in_all_of_them(zone: str | None) -> None:
    made = World().vpc("prod").routing_table("t", routes=[{"destination": "10.8.0.0/16", "action": "drop"}])
    item = made.data["routes"][made.id("routing-table", "t")][0]
    item["zone"] = zone
    if zone is not None:
        del item["zone"]
    assert parse_route(item).zone == ""


@pytest.mark.parametrize("state", ["stable", "pending", "deleting", "failed", "dreaming"])
def test_states_of_routes(state: str) -> None:
    more = {"lifecycle_state": state, "advertise": True}
    made = World().vpc("prod").routing_table("t", routes=[{"destination": "10.8.0.0/16"} | more])
    parsed = parse_route(made.data["routes"][made.id("routing-table", "t")][0])
    assert (parsed.lifecycle_state, parsed.advertise) == (state, True)


@pytest.mark.parametrize("given", [{}, {"lifecycle_state": None, "advertise": None}])
def test_states_of_routes_that_are_not_told(given: dict[str, None]) -> None:
    parsed = parse_route({"id": "r", "name": "r", "destination": "10.8.0.0/16", "action": "drop"} | given)
    assert (parsed.lifecycle_state, parsed.advertise) == (None, None)


def test_subnets_of_routing_tables() -> None:
    made = World().vpc("prod").routing_table("t")
    made.subnet("a", "10.0.0.0/24", routing_table="t").subnet("b", "10.0.1.0/24", routing_table="t")
    default, table = made.data["routing_tables"][made.id("vpc", "prod")]
    assert parse_routing_table(table, "vpc", []).subnets == (made.id("subnet", "a"), made.id("subnet", "b"))
    assert parse_routing_table(default, "vpc", []).subnets == ()
    assert parse_routing_table(table | {"subnets": None}, "vpc", []).subnets is None
    del table["subnets"]
    assert parse_routing_table(table, "vpc", []).subnets is None


@pytest.mark.parametrize(
    ("target", "vpc", "zone"),
    [
        ({"vpc": {"id": "v", "name": "prod"}, "zone": {"name": "us-south-1"}}, "v", "us-south-1"),
        ({"zone": {"name": "us-south-1"}, "moon_base": {"id": "m"}}, None, "us-south-1"),
        ({"vpc": None, "zone": None}, None, None),
        (None, None, None),
    ],
)
def test_targets_of_public_address_ranges(target: Any, vpc: str | None, zone: str | None) -> None:
    parsed = parse_public_address_range({"id": "p", "name": "range", "cidr": "192.0.2.17/28", "target": target})
    assert parsed == PublicAddressRange(id="p", name="range", cidr="192.0.2.16/28", vpc=vpc, zone=zone)


def test_public_address_ranges_of_another_ip_version_are_none_of_ours() -> None:
    assert parse_public_address_range({"id": "p", "name": "range", "cidr": "2001:db8::/64"}) is None


def test_ingress_of_routing_tables() -> None:
    sources = ["internet", "transit_gateway", "direct_link", "vpc_zone"]
    world = World().vpc("prod").routing_table("t", ingress=sources)
    default, table = world.data["routing_tables"][world.id("vpc", "prod")]
    assert parse_routing_table(table, "vpc", []).ingress == tuple(sources)
    assert parse_routing_table(default, "vpc", []).ingress == ()


def test_missing_optional_fields_do_not_crash() -> None:
    subnet = parse_subnet({"id": "s", "name": "a", "ipv4_cidr_block": "10.0.0.0/24", "vpc": {"id": "v"}})
    assert (subnet.network_acl, subnet.routing_table, subnet.public_gateway, subnet.zone) == (None, None, None, "")
    assert parse_vpc({"id": "v", "name": "prod"}).default_routing_table is None
    group, targets = parse_security_group({"id": "g", "name": "web", "rules": []})
    assert (group.rules, targets) == ((), None)


@pytest.mark.parametrize(
    ("parse", "item"),
    [
        (parse_subnet, {"id": "s", "name": "culprit", "vpc": {"id": "v"}}),
        (parse_subnet, {"id": "s", "name": "culprit", "ipv4_cidr_block": "10.0.0.0/33", "vpc": {"id": "v"}}),
        (parse_vpc, {"name": "culprit"}),
        (parse_vpc, {"id": 7, "name": "culprit"}),
        (parse_security_group, {"id": "g", "name": "culprit"}),
        (parse_security_group, {"id": "g", "name": "culprit", "rules": [{"id": "r"}]}),
        (parse_network_acl, {"id": "a", "name": "culprit", "rules": None}),
        (parse_route, {"id": "r", "name": "culprit", "destination": "everywhere", "action": "drop"}),
        (parse_route, {"id": "r", "name": "culprit", "destination": "10.0.0.0/8"}),
        (parse_address_prefix, {"id": "p", "name": "culprit", "cidr": "::/0"}),
        (parse_public_address_range, {"id": "p", "name": "culprit"}),
        (parse_public_address_range, {"id": "p", "name": "culprit", "cidr": "192.0.2.0/33"}),
        (parse_public_address_range, {"id": "p", "name": "culprit", "cidr": "192.0.2.0/28", "target": "vpc"}),
    ],
)
def test_a_malformed_resource_is_named(parse: Any, item: dict[str, Any]) -> None:
    with pytest.raises(CloudError, match="culprit") as caught:
        parse(item)
    assert caught.value.code == "api_malformed"


@pytest.mark.parametrize("item", [None, [], 7, {"id": "\x1b[2J", "name": ["x"]}])
def test_what_is_no_resource_at_all_is_malformed(item: Any) -> None:
    with pytest.raises(CloudError) as caught:
        parse_vpc(item)
    assert caught.value.code == "api_malformed"
    assert caught.value.message.isprintable()
