"""What lies at the VPC's edges, read over HTTP: public address ranges, translation, profiles, attachments."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api import StandIn, World
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.complete import complete
from vnicheck.cloud.read import read_region
from vnicheck.cloud.region import Region
from vnicheck.cloud.select import select
from vnicheck.model.cloud import Fabric, PublicAddressRange
from vnicheck.model.snapshot import Server

Opener = Callable[[StandIn], VpcClient]


def read(api: StandIn, to: Opener, *names: str) -> Region:
    client = to(api)
    region = read_region(client)
    return complete(client, region, select([region], names or ("web-1",)))


def fabric_of(world: World, to: Opener) -> Fabric:
    with StandIn(world) as api:
        fabric = read(api, to).fabric
        assert api.unexpected == []
    return fabric


def server_of(world: World, to: Opener, name: str = "web-1") -> Server:
    with StandIn(world) as api:
        server = read(api, to, name).servers[0]
        assert api.unexpected == []
    return server


def test_public_address_ranges_of_the_servers_vpcs(world: World, to: Opener) -> None:
    world.public_address_range("ours", "198.51.100.16/28", zone="us-south-2")
    world.public_address_range("spare", "198.51.100.32/28", bound=False)
    world.vpc("other").public_address_range("theirs", "198.51.100.48/28")
    fabric = fabric_of(world, to)
    assert fabric.public_address_ranges == (
        PublicAddressRange(
            id=world.find("public_address_ranges", "ours")["id"],
            name="ours",
            cidr="198.51.100.16/28",
            vpc=world.id("vpc", "prod"),
            zone="us-south-2",
            lifecycle_state="stable",
        ),
    )
    assert fabric.missing == {}


def test_a_range_bound_to_what_is_not_known_is_kept(world: World, to: Opener) -> None:
    item = world.public_address_range("odd", "198.51.100.16/28").find("public_address_ranges", "odd")
    item["target"] = {"zone": {"name": "us-south-1"}, "resource_type": "moon_base"}
    item["lifecycle_state"] = "levitating"
    (found,) = fabric_of(world, to).public_address_ranges or ()
    assert (found.vpc, found.zone, found.lifecycle_state) == (None, "us-south-1", "levitating")


def test_no_ranges_are_not_unread_ones(world: World, to: Opener) -> None:
    assert fabric_of(world, to).public_address_ranges == ()
    assert Fabric().public_address_ranges is None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 403}, "403"),
        ({"status": 404}, "404"),
        ({"status": 200, "body": "{}"}, "no list"),
        ({"reset": True}, "connect"),
    ],
)
def test_ranges_that_cannot_be_read_are_told_and_the_servers_are_complete(
    world: World, to: Opener, fault: dict[str, Any], words: str
) -> None:
    world.public_address_range("ours", "198.51.100.16/28")
    with StandIn(world) as api:
        api.fail("/public_address_ranges", times=None, **fault)
        region = read(api, to)
    assert region.fabric.public_address_ranges is None
    assert list(region.fabric.missing) == ["public_address_ranges"]
    assert words in region.fabric.missing["public_address_ranges"]
    assert region.servers[0].problems == ()


def test_a_malformed_range_is_told_and_the_others_are_read(world: World, to: Opener) -> None:
    world.public_address_range("ours", "198.51.100.16/28").public_address_range("odd", "198.51.100.32/28")
    world.find("public_address_ranges", "odd")["cidr"] = None
    fabric = fabric_of(world, to)
    assert [each.name for each in fabric.public_address_ranges or ()] == ["ours"]
    assert "odd" in fabric.missing["public_address_ranges"]


def test_many_ranges_come_in_pages(world: World, to: Opener) -> None:
    for number in range(7):
        world.public_address_range(f"range-{number}", f"198.51.100.{number * 16}/28")
    with StandIn(world, page_size=3) as api:
        assert len(read(api, to).fabric.public_address_ranges or ()) == 7
        assert sum(call.path == "/public_address_ranges" for call in api.calls) == 3


def test_a_vni_without_infrastructure_nat_and_its_floating_ips(world: World, to: Opener) -> None:
    world.bare_metal_server(
        "metal-2", interfaces=[{"subnet": "a", "address": "10.0.0.41", "infrastructure_nat": False}]
    )
    vni = world.vni_id("metal-2")
    attachment = world.find("virtual_network_interfaces", "metal-2-vni-0")["target"]
    for address, target in (("203.0.113.41", {"id": vni}), ("203.0.113.42", {"id": vni}), ("203.0.113.43", attachment)):
        world.floating_ip(address, target=target)
    world.find("floating_ips", "fip-203-0-113-42")["status"] = "pending"
    (found,) = server_of(world, to, "metal-2").vnis
    assert found.enable_infrastructure_nat is False
    assert [(each.address, each.status, each.target) for each in found.floating_ips] == [
        ("203.0.113.41", "available", vni),
        ("203.0.113.42", "pending", vni),
        ("203.0.113.43", "available", attachment["id"]),
    ]


def test_translation_is_on_off_or_not_known(world: World, to: Opener) -> None:
    first, second = (world.find("virtual_network_interfaces", f"web-1-vni-{number}") for number in range(2))
    assert [vni.enable_infrastructure_nat for vni in server_of(world, to).vnis] == [True, True]
    del first["enable_infrastructure_nat"]
    second["enable_infrastructure_nat"] = None
    assert [vni.enable_infrastructure_nat for vni in server_of(world, to).vnis] == [None, None]
    assert [vni.enable_infrastructure_nat for vni in server_of(world, to, "old-1").vnis] == [None, None]


def test_a_word_for_translation_that_is_no_truth_value_is_a_problem(world: World, to: Opener) -> None:
    world.find("virtual_network_interfaces", "web-1-vni-0")["enable_infrastructure_nat"] = "sometimes"
    with StandIn(world) as api:
        region = read(api, to)
    assert [problem.code for problem in region.servers[0].problems] == ["vni_unreadable"]
    assert "web-1-vni-0" in region.fabric.missing["virtual_network_interfaces"]


def test_legacy_bare_metal_tells_of_translation(world: World, to: Opener) -> None:
    interface = {"subnet": "a", "address": "10.0.0.41", "infrastructure_nat": False}
    world.bare_metal_server("metal-2", interfaces=[interface], legacy=True)
    assert server_of(world, to, "metal-2").vnis[0].enable_infrastructure_nat is False


@pytest.mark.parametrize("name", ["bx2-2x8", "bx3d-4x20", "zz9-plural-z-alpha"])
def test_profiles_keep_their_names(world: World, to: Opener, name: str) -> None:
    world.instance("new", interfaces=[{"subnet": "a", "address": "10.0.0.51"}], profile=name)
    assert server_of(world, to, "new").profile == name


@pytest.mark.parametrize("profile", [None, {}, {"href": "h"}, "absent"])
def test_a_profile_that_is_not_told(world: World, to: Opener, profile: Any) -> None:
    item = world.find("instances", "web-1")
    if profile == "absent":
        del item["profile"]
    else:
        item["profile"] = profile
    assert server_of(world, to).profile is None
    assert server_of(world, to, "metal-1").profile == "bx2-metal-96x384"


@pytest.mark.parametrize("status", ["available", "failed", "retired"])
def test_floating_ips_keep_their_status(world: World, to: Opener, status: str) -> None:
    world.find("floating_ips", "fip-203-0-113-7")["status"] = status
    assert server_of(world, to).vnis[1].floating_ips[0].status == status
    del world.find("floating_ips", "fip-203-0-113-7")["status"]
    assert server_of(world, to).vnis[1].floating_ips[0].status is None


@pytest.mark.parametrize("how", ["absent", "null"])
@pytest.mark.parametrize(("kind", "name"), [("instances", "web-1"), ("bare_metal_servers", "metal-1")])
def test_an_attachment_that_does_not_name_its_vni(world: World, to: Opener, kind: str, name: str, how: str) -> None:
    before = server_of(world, to, name)
    for attachment in world.find(kind, name)["network_attachments"]:
        if how == "null":
            attachment["virtual_network_interface"] = None
        else:
            del attachment["virtual_network_interface"]
    assert server_of(world, to, name) == before


@pytest.mark.parametrize("how", ["no VNI has it", "VNIs are unreadable"])
def test_an_attachment_whose_vni_cannot_be_found_is_told(world: World, to: Opener, how: str) -> None:
    attachment = world.find("instances", "web-1")["network_attachments"][1]
    del attachment["virtual_network_interface"]
    world.find("virtual_network_interfaces", "web-1-vni-1")["target"] = None
    world.floating_ip("203.0.113.8", target={"id": attachment["id"]})
    with StandIn(world) as api:
        if how == "VNIs are unreadable":
            api.fail("/virtual_network_interfaces", times=None, status=403)
        server = read(api, to).servers[0]
    lost = server.vnis[1]
    assert (lost.id, lost.name, lost.crn) == (attachment["id"], "eth1", None)
    assert lost.addresses == ("10.0.0.12",)
    assert [each.address for each in lost.floating_ips] == ["203.0.113.8"]
    assert (lost.protocol_state_filtering_mode, lost.allow_ip_spoofing, lost.security_groups) == (None, None, None)
    assert server.problems[-1].code == "vni_unreadable"
    assert "eth1" in server.problems[-1].message


def test_the_vni_of_a_group_is_found_by_an_attachment_that_does_not_name_it(world: World, to: Opener) -> None:
    attachment = world.find("instances", "web-1")["network_attachments"][1]
    del attachment["virtual_network_interface"]
    world.security_group("lone", rules=[]).find("security_groups", "lone")["targets"] = [{"id": attachment["id"]}]
    with StandIn(world) as api:
        groups = read_region(to(api)).fabric.security_groups
    assert groups[world.id("security-group", "lone")].addresses == ("10.0.0.12", "10.0.0.13")
