"""A region, read over HTTP into the model, in a number of calls that does not grow with its servers."""

from collections.abc import Callable

import pytest

from tests.api import StandIn, World
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.complete import complete
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.read import LISTS, read_region
from vnicheck.cloud.region import Region
from vnicheck.cloud.select import select
from vnicheck.model.cloud import FloatingIp, Ref
from vnicheck.model.snapshot import Server

Opener = Callable[[StandIn], VpcClient]


def named(region: Region, name: str) -> Server:
    return next(server for server in region.servers if server.name == name)


def test_an_instance_with_two_vnis(world: World, to: Opener) -> None:
    with StandIn(world) as api:
        server = named(read_region(to(api)), "web-1")
    first, second = server.vnis
    assert (server.kind, server.zone, server.region, server.status) == ("instance", "us-south-1", "us-south", "running")
    assert server.id == world.id("instance", "web-1")
    assert server.crn == world.find("instances", "web-1")["crn"]
    assert server.vpc == Ref(id=world.id("vpc", "prod"), name="prod")
    assert server.guest is None
    assert server.problems == ()
    assert first.primary
    assert not second.primary
    assert (first.id, first.name) == (world.vni_id("web-1", 0), "web-1-vni-0")
    assert first.attachment is not None
    assert first.attachment.name == "eth0"
    assert first.mac == "02:00:05:02:70:58"
    assert first.subnet == second.subnet == world.id("subnet", "a")
    assert first.addresses == ("10.0.0.11",)
    assert first.allow_ip_spoofing is True
    assert first.protocol_state_filtering_mode == "auto"
    assert first.floating_ips == ()
    assert first.security_groups == (world.id("security-group", "default"),)
    assert second.addresses == ("10.0.0.12", "10.0.0.13")
    assert second.allow_ip_spoofing is False
    assert second.protocol_state_filtering_mode == "disabled"
    assert [floating.address for floating in second.floating_ips] == ["203.0.113.7"]
    assert second.security_groups == (world.id("security-group", "web"),)


def test_the_primary_vni_comes_first(world: World, to: Opener) -> None:
    world.find("instances", "web-1")["network_attachments"].reverse()
    with StandIn(world) as api:
        server = named(read_region(to(api)), "web-1")
    assert [vni.primary_address for vni in server.vnis] == ["10.0.0.11", "10.0.0.12"]


def test_the_fabric(world: World, to: Opener) -> None:
    with StandIn(world) as api:
        client = to(api)
        region = read_region(client)
        fabric = complete(client, region, region.servers).fabric
    prod = fabric.vpcs[world.id("vpc", "prod")]
    assert prod.prefixes == ("10.0.0.0/16", "10.1.0.0/16")
    assert prod.default_routing_table == world.id("routing-table", "default")
    subnet = fabric.subnets[world.id("subnet", "b")]
    assert (subnet.cidr, subnet.zone, subnet.vpc) == ("10.0.1.0/24", "us-south-2", prod.id)
    assert subnet.network_acl == world.id("network-acl", "strict")
    assert subnet.routing_table == world.id("routing-table", "egress")
    assert subnet.public_gateway is None
    web = fabric.security_groups[world.id("security-group", "web")]
    assert [(rule.remote, rule.remote_group, rule.port_min) for rule in web.rules] == [
        ("0.0.0.0/0", None, 443),
        (None, web.id, None),
    ]
    assert web.addresses == ("10.0.0.12", "10.0.0.13", "10.0.1.21")
    assert [rule.action for rule in fabric.network_acls[world.id("network-acl", "strict")].rules] == ["deny"]
    egress = fabric.routing_tables[world.id("routing-table", "egress")]
    assert egress.ingress == ("internet",)
    assert egress.vpc == prod.id
    assert [(route.destination, route.next_hop) for route in egress.routes] == [("10.8.0.0/16", "10.0.0.5")]
    assert fabric.missing == {}


def test_calls_do_not_grow_with_vnis_or_servers(to: Opener) -> None:
    counts = []
    for servers, interfaces in ((1, 2), (1, 6), (30, 2)):
        world = World().vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/20")
        for number in range(servers):
            addresses = [f"10.0.{number // 10}.{number % 10 * 10 + place + 4}" for place in range(interfaces)]
            world.instance(f"web-{number}", interfaces=[{"subnet": "a", "address": address} for address in addresses])
        with StandIn(world) as api:
            client = to(api)
            region = read_region(client)
            done = complete(client, region, select([region], ["web-0"]))
            assert len(done.servers[0].vnis) == interfaces
            assert api.unexpected == []
            counts.append(len(api.calls))
    assert counts == [len(LISTS) + 3] * 3


def test_legacy_interfaces_are_known_in_part_and_completed_when_selected(world: World, to: Opener) -> None:
    with StandIn(world) as api:
        client = to(api)
        region = read_region(client)
        bulk = named(region, "old-1").vnis
        assert [vni.legacy for vni in bulk] == [True, True]
        assert [vni.primary for vni in bulk] == [True, False]
        assert [vni.primary_address for vni in bulk] == ["10.0.0.21", "10.0.1.21"]
        assert [vni.allow_ip_spoofing for vni in bulk] == [None, None]
        assert [vni.security_groups for vni in bulk] == [None, None]
        assert [floating.address for floating in bulk[0].floating_ips] == ["203.0.113.21"]
        before = len(api.calls)
        done = named(complete(client, region, select([region], ["old-1"])), "old-1").vnis
        servers_asked = [call for call in api.calls[before:] if call.path.startswith("/instances/")]
        assert len(servers_asked) == 1
    assert [vni.allow_ip_spoofing for vni in done] == [True, False]
    assert [vni.security_groups for vni in done] == [
        (world.id("security-group", "default"),),
        (world.id("security-group", "web"),),
    ]
    assert all(vni.mac is None and vni.protocol_state_filtering_mode is None for vni in done)
    assert all(vni.attachment is None and vni.crn is None for vni in done)


def test_bare_metal_attachments_are_completed_when_selected(world: World, to: Opener) -> None:
    with StandIn(world) as api:
        client = to(api)
        region = read_region(client)
        bulk = named(region, "metal-1")
        assert bulk.kind == "bare_metal_server"
        assert [vni.interface_type for vni in bulk.vnis] == [None, None]
        done = named(complete(client, region, select([region], ["metal-1"])), "metal-1").vnis
        assert api.unexpected == []
    assert [(vni.interface_type, vni.vlan) for vni in done] == [("pci", None), ("vlan", 100)]
    assert [vni.protocol_state_filtering_mode for vni in done] == ["auto", "auto"]
    assert [floating.address for floating in done[1].floating_ips] == ["203.0.113.31"]


def test_bare_metal_with_legacy_interfaces(world: World, to: Opener) -> None:
    world.bare_metal_server(
        "metal-2",
        interfaces=[{"subnet": "a", "address": "10.0.0.41", "mac": "02:00:00:00:00:41", "allow_ip_spoofing": True}],
        legacy=True,
    )
    with StandIn(world) as api:
        client = to(api)
        region = read_region(client)
        vni = named(complete(client, region, select([region], ["metal-2"])), "metal-2").vnis[0]
    assert (vni.legacy, vni.mac, vni.allow_ip_spoofing, vni.interface_type) == (True, "02:00:00:00:00:41", True, "pci")


@pytest.mark.parametrize("name", ["old-1", "metal-1"])
def test_a_server_that_cannot_be_completed_says_so(world: World, to: Opener, name: str) -> None:
    with StandIn(world) as api:
        api.fail("/*/*/network_*", status=403, times=None)
        client = to(api)
        region = read_region(client)
        server = complete(client, region, select([region], [name])).servers[0]
    assert [problem.code for problem in server.problems] == ["api_forbidden"]
    assert server.vnis == named(region, name).vnis


def test_unreadable_vnis_leave_everything_of_them_unknown(world: World, to: Opener) -> None:
    with StandIn(world) as api:
        api.fail("/virtual_network_interfaces", status=403, times=None)
        region = read_region(to(api))
    server = named(region, "web-1")
    assert "403" in region.fabric.missing["virtual_network_interfaces"]
    assert [problem.code for problem in server.problems] == ["vni_unreadable"] * 2
    for vni in server.vnis:
        assert vni.protocol_state_filtering_mode is None
        assert vni.allow_ip_spoofing is None
        assert vni.security_groups is None
        assert vni.mac is None
        assert not vni.legacy
    assert [vni.primary_address for vni in server.vnis] == ["10.0.0.11", "10.0.0.12"]
    assert region.fabric.security_groups[world.id("security-group", "web")].addresses is None


def test_a_vni_that_the_list_leaves_out_is_unknown(world: World, to: Opener) -> None:
    vnis = world.data["virtual_network_interfaces"]
    vnis.remove(world.find("virtual_network_interfaces", "web-1-vni-1"))
    with StandIn(world) as api:
        first, second = named(read_region(to(api)), "web-1").vnis
    assert first.allow_ip_spoofing is True
    assert (second.allow_ip_spoofing, second.protocol_state_filtering_mode, second.security_groups) == (
        None,
        None,
        None,
    )


def test_unreadable_floating_ips_are_named_missing(world: World, to: Opener) -> None:
    with StandIn(world) as api:
        api.fail("/floating_ips", status=403, times=None)
        region = read_region(to(api))
    assert "403" in region.fabric.missing["floating_ips"]
    assert all(vni.floating_ips == () for server in region.servers for vni in server.vnis)


def test_floating_ips_of_nobody_are_of_nobody(world: World, to: Opener) -> None:
    world.floating_ip("203.0.113.90").floating_ip(
        "203.0.113.91", target={"id": "gw", "resource_type": "public_gateway"}
    )
    with StandIn(world) as api:
        region = read_region(to(api))
    found = {floating.address for server in region.servers for vni in server.vnis for floating in vni.floating_ips}
    assert found == {"203.0.113.7", "203.0.113.21", "203.0.113.31"}


def test_a_floating_ip_keeps_its_id_and_name(world: World, to: Opener) -> None:
    with StandIn(world) as api:
        vni = named(read_region(to(api)), "web-1").vnis[1]
    listed = world.find("floating_ips", "fip-203-0-113-7")
    assert vni.floating_ips == (
        FloatingIp(id=listed["id"], name=listed["name"], address="203.0.113.7", status="available", target=vni.id),
    )


def test_a_group_with_a_target_beyond_us_has_no_known_addresses(world: World, to: Opener) -> None:
    world.group_target("web", "vpn-server", "vpn")
    with StandIn(world) as api:
        groups = read_region(to(api)).fabric.security_groups
    assert groups[world.id("security-group", "web")].addresses is None
    assert groups[world.id("security-group", "default")].addresses == (
        "10.0.0.11",
        "10.0.0.21",
        "10.0.0.31",
        "10.0.1.31",
    )


def test_a_group_target_may_name_the_attachment(world: World, to: Opener) -> None:
    attachment = world.find("instances", "web-1")["network_attachments"][1]
    target = {key: attachment[key] for key in ("id", "name", "href")} | {"resource_type": "network_interface"}
    gone = target | {"id": "gone", "deleted": {"more_info": "x"}}
    world.security_group("lone", rules=[]).find("security_groups", "lone")["targets"] = [target, gone]
    with StandIn(world) as api:
        groups = read_region(to(api)).fabric.security_groups
    assert groups[world.id("security-group", "lone")].addresses == ("10.0.0.12", "10.0.0.13")


def test_a_group_without_targets_has_no_addresses(world: World, to: Opener) -> None:
    world.security_group("idle", rules=[])
    with StandIn(world) as api:
        groups = read_region(to(api)).fabric.security_groups
    assert groups[world.id("security-group", "idle")].addresses == ()


def test_a_malformed_server_is_a_problem_and_the_others_are_read(world: World, to: Opener) -> None:
    del world.find("instances", "web-1")["vpc"]
    with StandIn(world) as api:
        region = read_region(to(api))
        assert {server.name for server in region.servers} == {"old-1", "metal-1"}
        assert [problem.code for problem in region.problems] == ["api_malformed"]
        assert "web-1" in region.problems[0].message
        with pytest.raises(CloudError, match="web-1") as caught:
            select([region], ["web-1"])
    assert caught.value.code == "no_such_instance"


def test_a_malformed_security_group_is_named_and_the_others_are_read(world: World, to: Opener) -> None:
    world.find("security_groups", "web")["rules"][0]["port_min"] = "https"
    with StandIn(world) as api:
        fabric = read_region(to(api)).fabric
    assert world.id("security-group", "web") not in fabric.security_groups
    assert world.id("security-group", "default") in fabric.security_groups
    assert "1 of 2" in fabric.missing["security_groups"]
    assert "web" in fabric.missing["security_groups"]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/vpcs/*/address_prefixes", "vpcs"),
        ("/vpcs/*/routing_tables", "routing_tables"),
        ("/vpcs/*/routing_tables/*/routes", "routing_tables"),
    ],
)
@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 200, "body": "[]"}])
def test_what_cannot_be_read_of_a_vpc_is_named_missing(
    world: World, to: Opener, path: str, key: str, fault: dict[str, object]
) -> None:
    with StandIn(world) as api:
        client = to(api)
        region = read_region(client)
        api.fail(path, times=None, **fault)
        done = complete(client, region, region.servers)
    assert list(done.fabric.missing) == [key]
    assert len(done.servers) == 3


def test_completing_cuts_the_fabric_down_to_the_servers(world: World, to: Opener) -> None:
    world.vpc("other").subnet("c", "10.9.0.0/24").instance("far", interfaces=[{"subnet": "c", "address": "10.9.0.4"}])
    with StandIn(world) as api:
        client = to(api)
        region = read_region(client)
        assert len(region.fabric.vpcs) == 2
        done = complete(client, region, select([region], ["far"]))
    fabric = done.fabric
    assert [server.name for server in done.servers] == ["far"]
    assert [vpc.name for vpc in fabric.vpcs.values()] == ["other"]
    assert [subnet.name for subnet in fabric.subnets.values()] == ["c"]
    assert {acl.name for acl in fabric.network_acls.values()} == {"default"}
    assert list(fabric.security_groups) == [world.id("security-group", "default")]
    assert {table.vpc for table in fabric.routing_tables.values()} == {world.id("vpc", "other")}


def test_an_address_not_chosen_yet_is_told(world: World, to: Opener) -> None:
    attachment = world.find("instances", "web-1")["network_attachments"][1]
    attachment["primary_ip"]["address"] = "0.0.0.0"
    with StandIn(world) as api:
        server = named(read_region(to(api)), "web-1")
    assert [problem.code for problem in server.problems] == ["address_pending"]


def test_words_of_a_later_api_survive(world: World, to: Opener) -> None:
    world.find("virtual_network_interfaces", "web-1-vni-0")["protocol_state_filtering_mode"] = "adaptive"
    world.find("instances", "web-1")["status"] = "hibernating"
    world.find("instances", "web-1")["new_property"] = {"a": [1]}
    with StandIn(world) as api:
        server = named(read_region(to(api)), "web-1")
    assert server.status == "hibernating"
    assert server.vnis[0].protocol_state_filtering_mode == "adaptive"


def test_filters_by_vpc_and_resource_group(world: World, to: Opener) -> None:
    world.vpc("other").subnet("c", "10.9.0.0/24")
    world.instance("far", interfaces=[{"subnet": "c", "address": "10.9.0.4"}], resource_group="team")
    with StandIn(world) as api:
        client = to(api)
        for vpc in ("other", world.id("vpc", "other")):
            assert [server.name for server in read_region(client, vpc=vpc).servers] == ["far"]
        assert [server.name for server in read_region(client, resource_group="team").servers] == ["far"]
        group = world.find("instances", "far")["resource_group"]["id"]
        assert [server.name for server in read_region(client, resource_group=group).servers] == ["far"]
        assert read_region(client, vpc="prod", resource_group="team").servers == ()
        with pytest.raises(CloudError, match="did you mean other") as caught:
            read_region(client, vpc="othr")
        assert caught.value.code == "no_such_vpc"
        assert api.unexpected == []


def test_an_empty_region(to: Opener) -> None:
    with StandIn(World()) as api:
        client = to(api)
        region = read_region(client)
        assert region.servers == ()
        assert complete(client, region, ()).fabric.vpcs == {}
        with pytest.raises(CloudError, match="0 servers"):
            select([region], ["web-1"])
