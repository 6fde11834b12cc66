"""The builder's shapes are those of the SDK: its models accept every resource."""

from pathlib import Path

import pytest

from tests.api import World
from tests.api.resources import FILTERS

SINGULAR = {
    "instances": "Instance",
    "bare_metal_servers": "BareMetalServer",
    "virtual_network_interfaces": "VirtualNetworkInterface",
    "floating_ips": "FloatingIP",
    "subnets": "Subnet",
    "vpcs": "VPC",
    "security_groups": "SecurityGroup",
    "network_acls": "NetworkACL",
    "address_prefixes": "AddressPrefix",
    "routing_tables": "RoutingTable",
    "routes": "Route",
    "load_balancers": "LoadBalancer",
    "listeners": "LoadBalancerListener",
    "members": "LoadBalancerPoolMember",
    "public_address_ranges": "PublicAddressRange",
}


def full_world() -> World:
    return (
        World()
        .vpc("prod", prefixes=["10.0.0.0/16"])
        .security_group("web", rules=[{"direction": "inbound", "protocol": "tcp", "port_min": 1, "port_max": 2}])
        .network_acl("strict", rules=[{"action": "deny", "direction": "inbound", "protocol": "tcp"}] * 2)
        .routing_table("egress", routes=[{"destination": "10.8.0.0/16", "next_hop": "vpn"}], ingress=["internet"])
        .subnet("a", "10.0.0.0/24", public_gateway=True)
        .instance("web-1", interfaces=[{"subnet": "a", "address": "10.0.0.11", "floating_ip": "203.0.113.7"}])
        .instance("old-1", interfaces=[{"subnet": "a", "address": "10.0.0.21"}], legacy=True)
        .bare_metal_server("metal-1", interfaces=[{"subnet": "a", "address": "10.0.0.31"}])
        .bare_metal_server("metal-2", interfaces=[{"subnet": "a", "address": "10.0.0.32"}], legacy=True)
        .share_vni("share", subnet="a", address="10.0.0.41")
        .group_target("web", "load-balancer", "lb")
        .floating_ip("203.0.113.9")
        .load_balancer("lb", subnet="a", members=[{"address": "10.0.0.11", "port": 443}], listeners=[{"port": 443}])
        .public_address_range("range", "198.51.100.16/28")
        .public_address_range("spare", "198.51.100.32/28", bound=False)
    )


@pytest.mark.parametrize("kind", SINGULAR)
def test_the_sdk_accepts_every_resource(kind: str) -> None:
    import ibm_vpc.vpc_v1 as sdk

    listed = full_world().data[kind]
    resources = listed if kind in FILTERS else [item for items in listed.values() for item in items]
    assert resources
    for resource in resources:
        model = getattr(sdk, SINGULAR[kind]).from_dict(resource)
        assert set(resource) <= set(model.to_dict())


@pytest.mark.parametrize("below", ["network_interfaces", "network_attachments"])
def test_the_sdk_accepts_what_servers_hold(below: str) -> None:
    import ibm_vpc.vpc_v1 as sdk

    world = full_world()
    kinds = {
        world.id("instance", "old-1"): "NetworkInterface",
        world.id("bare-metal-server", "metal-1"): "BareMetalServerNetworkAttachmentByPCI",
        world.id("bare-metal-server", "metal-2"): "BareMetalServerNetworkInterfaceByPCI",
    }
    assert world.data[below]
    for server, items in world.data[below].items():
        for item in items:
            assert getattr(sdk, kinds[server]).from_dict(item).id == item["id"]


def test_ids_depend_on_names_alone() -> None:
    small = World().vpc("prod").subnet("a", "10.0.0.0/24")
    small.instance("web-1", interfaces=[{"subnet": "a", "address": "10.0.0.11"}])
    assert small.find("instances", "web-1")["id"] == full_world().id("instance", "web-1")
    assert small.vni_id("web-1") == full_world().find("virtual_network_interfaces", "web-1-vni-0")["id"]


def test_acl_rules_name_the_next() -> None:
    first, second = full_world().find("network_acls", "strict")["rules"]
    assert first["before"]["id"] == second["id"]
    assert "before" not in second


def test_a_saved_world_is_the_same(tmp_path: Path) -> None:
    import json

    world = full_world()
    assert json.loads(world.save(tmp_path / "world.json").read_text()) == world.data
