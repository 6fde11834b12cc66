"""Members of network load balancers, read over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api import StandIn, World
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.complete import complete
from vnicheck.cloud.read import read_region
from vnicheck.cloud.select import select
from vnicheck.model.cloud import Fabric, LoadBalancer

Opener = Callable[[StandIn], VpcClient]

MEMBERS = "/load_balancers/*/pools/*/members"


def read(api: StandIn, to: Opener) -> Fabric:
    client = to(api)
    region = read_region(client)
    return complete(client, region, select([region], ["web-1"])).fabric


def balancer(fabric: Fabric) -> LoadBalancer:
    (found,) = (fabric.load_balancers or {}).values()
    return found


def test_members_of_network_load_balancers(world: World, to: Opener) -> None:
    targets: list[dict[str, Any]] = [
        {"address": "10.0.0.12", "port": 443},
        {"instance": "web-1"},
        {"fqdn": "web.example.com"},
    ]
    world.load_balancer("nlb", subnet="a", members=targets)
    with StandIn(world) as api:
        fabric = read(api, to)
        assert api.unexpected == []
    assert [(each.address, each.instance, each.port) for each in fabric.load_balancer_members] == [
        ("10.0.0.12", None, 443),
        (None, world.id("instance", "web-1"), 80),
        (None, None, 80),
    ]
    first = fabric.load_balancer_members[0]
    assert (first.load_balancer.name, first.pool.name, first.family) == ("nlb", "nlb-pool", "network")
    assert (first.load_balancer.id, first.vpc) == (world.id("load-balancer", "nlb"), world.id("vpc", "prod"))
    assert fabric.missing == {}


def test_others_are_not_asked_for_members(world: World, to: Opener) -> None:
    member = {"address": "10.0.0.12"}
    world.load_balancer("alb", subnet="a", family="application", members=[member])
    world.load_balancer("path", subnet="a", access_mode="private_path", members=[member])
    world.vpc("other").subnet("c", "10.9.0.0/24").load_balancer("far", subnet="c", members=[member])
    with StandIn(world) as api:
        fabric = read(api, to)
        assert [call.path for call in api.calls if call.path.endswith(("/members", "/listeners"))] == []
    assert fabric.load_balancer_members == ()
    found = {each.name: each for each in (fabric.load_balancers or {}).values()}
    assert [(name, each.family, each.access_mode) for name, each in found.items()] == [
        ("alb", "application", "private"),
        ("path", "network", "private_path"),
    ]
    assert [(each.listeners, each.members_read) for each in found.values()] == [(None, False)] * 2
    assert fabric.missing == {}


@pytest.mark.parametrize("path", ["/load_balancers", MEMBERS])
@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 200, "body": "{}"}])
def test_unreadable_ones_are_named_missing(world: World, to: Opener, path: str, fault: dict[str, object]) -> None:
    world.load_balancer("nlb", subnet="a", members=[{"address": "10.0.0.12"}])
    with StandIn(world) as api:
        api.fail(path, times=None, **fault)
        fabric = read(api, to)
    assert list(fabric.missing) == ["load_balancers"]
    assert fabric.load_balancer_members == ()
    if path == MEMBERS:
        (nlb,) = (fabric.load_balancers or {}).values()
        assert (nlb.members_read, nlb.listeners) == (False, ())
    else:
        assert fabric.load_balancers is None


def test_one_of_unreadable_subnets_is_named_missing(world: World, to: Opener) -> None:
    world.load_balancer("nlb", subnet="a", members=[{"address": "10.0.0.12"}])
    world.find("load_balancers", "nlb")["subnets"] = []
    with StandIn(world) as api:
        fabric = read(api, to)
    assert "the VPC of nlb" in fabric.missing["load_balancers"]


def test_a_network_load_balancer_in_route_mode(world: World, to: Opener) -> None:
    world.load_balancer(
        "nlb",
        subnet="a",
        members=[{"instance": "web-1"}],
        listeners=[{"ports": (1, 65535)}, {"protocol": "udp", "port": 53}],
        route_mode=True,
        private_ips=["10.0.0.7", "10.0.0.8"],
        security_groups=["web"],
    )
    with StandIn(world) as api:
        fabric = read(api, to)
        assert api.unexpected == []
    nlb = balancer(fabric)
    pool = fabric.load_balancer_members[0].pool.id
    assert nlb.id == world.id("load-balancer", "nlb")
    assert list(fabric.load_balancers or {}) == [nlb.id]
    assert (nlb.name, nlb.family, nlb.profile, nlb.vpc) == ("nlb", "network", "network", world.id("vpc", "prod"))
    assert nlb.subnets == (world.id("subnet", "a"),)
    assert (nlb.access_mode, nlb.route_mode, nlb.asymmetric_routing_supported) == ("private", True, True)
    assert (nlb.private_addresses, nlb.public_addresses) == (("10.0.0.7", "10.0.0.8"), ())
    assert nlb.security_groups == (world.id("security-group", "web"),)
    assert nlb.security_groups[0] in fabric.security_groups, "kept, though no interface may have it"
    assert nlb.listeners is not None
    assert [(each.protocol, each.port_min, each.port_max, each.pool) for each in nlb.listeners] == [
        ("tcp", 1, 65535, pool),
        ("udp", 53, 53, pool),
    ]
    assert nlb.members_read
    assert fabric.missing == {}


def test_a_public_one(world: World, to: Opener) -> None:
    public = ["198.51.100.80"]
    world.load_balancer("nlb", subnet="a", members=[], access_mode="public", public_ips=public)
    with StandIn(world) as api:
        nlb = balancer(read(api, to))
    assert (nlb.access_mode, nlb.public_addresses, nlb.listeners, nlb.members_read) == (
        "public",
        ("198.51.100.80",),
        (),
        True,
    )


@pytest.mark.parametrize(
    ("flags", "mode"),
    [
        ({"is_private_path": True, "is_public": False}, "private_path"),
        ({"is_private_path": False, "is_public": True}, "public"),
        ({"is_public": False}, "private"),
        ({"is_private_path": None, "is_public": None}, None),
        ({"access_mode": "by_invitation", "is_public": True}, "by_invitation"),
    ],
)
def test_access_modes_of_every_api_version(world: World, to: Opener, flags: dict[str, Any], mode: str | None) -> None:
    item = world.load_balancer("nlb", subnet="a", members=[{"address": "10.0.0.12"}]).find("load_balancers", "nlb")
    for name in ("access_mode", "is_private_path", "is_public"):
        del item[name]
    item.update(flags)
    with StandIn(world) as api:
        fabric = read(api, to)
    assert balancer(fabric).access_mode == mode
    assert len(fabric.load_balancer_members) == (0 if mode == "private_path" else 1)


@pytest.mark.parametrize("given", [{}, dict.fromkeys(("route_mode", "private_ips", "public_ips", "security_groups"))])
def test_what_the_api_does_not_tell_of_one_is_not_known(world: World, to: Opener, given: dict[str, None]) -> None:
    item = world.load_balancer("nlb", subnet="a", members=[]).find("load_balancers", "nlb")
    for name in ("route_mode", "private_ips", "public_ips", "security_groups", "asymmetric_routing_supported"):
        del item[name]
    item.update(given)
    with StandIn(world) as api:
        fabric = read(api, to)
    nlb = balancer(fabric)
    assert (nlb.route_mode, nlb.private_addresses, nlb.public_addresses, nlb.security_groups) == (None,) * 4
    assert nlb.asymmetric_routing_supported is None
    assert fabric.missing == {}


def test_an_address_that_is_not_chosen_yet_is_no_address(world: World, to: Opener) -> None:
    world.load_balancer("nlb", subnet="a", members=[], private_ips=["10.0.0.7", "0.0.0.0"])
    with StandIn(world) as api:
        assert balancer(read(api, to)).private_addresses is None


@pytest.mark.parametrize(
    ("change", "ports"),
    [
        ({"port_min": None, "port_max": None, "port": 443}, (443, 443)),
        ({"port_min": 8000, "port_max": 8010, "port": 8000}, (8000, 8010)),
        ({"protocol": "sctp", "port": 80}, (80, 80)),
        ({"default_pool": None}, (80, 80)),
    ],
)
def test_listeners(world: World, to: Opener, change: dict[str, Any], ports: tuple[int, int]) -> None:
    world.load_balancer("nlb", subnet="a", members=[], listeners=[{"port": 80}])
    item = world.data["listeners"][world.id("load-balancer", "nlb")][0]
    item.update(change)
    with StandIn(world) as api:
        listeners = balancer(read(api, to)).listeners
    assert listeners is not None
    (only,) = listeners
    assert (only.port_min, only.port_max) == ports
    assert only.protocol == change.get("protocol", "tcp")
    assert (only.pool is None) == ("default_pool" in change)


@pytest.mark.parametrize(
    "change", [{"port": None, "port_min": None, "port_max": None}, {"port_min": 90}, {"port_max": 70000}, {"port": "x"}]
)
def test_a_malformed_listener_leaves_all_of_them_unread(world: World, to: Opener, change: dict[str, Any]) -> None:
    world.load_balancer("nlb", subnet="a", members=[{"address": "10.0.0.12"}], listeners=[{"port": 80}, {"port": 81}])
    world.data["listeners"][world.id("load-balancer", "nlb")][0].update(change)
    with StandIn(world) as api:
        fabric = read(api, to)
    nlb = balancer(fabric)
    assert (nlb.listeners, nlb.members_read) == (None, True)
    assert "listeners of nlb" in fabric.missing["load_balancers"]


def test_unreadable_listeners_are_not_none_at_all(world: World, to: Opener) -> None:
    world.load_balancer("nlb", subnet="a", members=[{"address": "10.0.0.12"}], listeners=[{"port": 80}])
    with StandIn(world) as api:
        api.fail("/load_balancers/*/listeners", times=None, status=403)
        fabric = read(api, to)
    nlb = balancer(fabric)
    assert (nlb.listeners, nlb.members_read) == (None, True)
    assert "403" in fabric.missing["load_balancers"]


def test_one_with_an_address_that_is_none_is_named_and_left_out(world: World, to: Opener) -> None:
    world.load_balancer("nlb", subnet="a", members=[], public_ips=["somewhere"], access_mode="public")
    world.load_balancer("other", subnet="a", members=[])
    with StandIn(world) as api:
        fabric = read(api, to)
    assert balancer(fabric).name == "other"
    assert "nlb" in fabric.missing["load_balancers"]


def test_a_group_with_a_load_balancer_has_its_private_addresses(world: World, to: Opener) -> None:
    world.security_group("lb", rules=[]).load_balancer(
        "alb",
        subnet="a",
        family="application",
        members=[],
        private_ips=["10.0.0.7", "10.0.0.8"],
        security_groups=["lb"],
    )
    with StandIn(world) as api:
        groups = read_region(to(api)).fabric.security_groups
    assert groups[world.id("security-group", "lb")].addresses == ("10.0.0.7", "10.0.0.8")


@pytest.mark.parametrize("how", ["unreadable", "no private address", "pending", "not told"])
def test_a_group_with_a_load_balancer_that_is_not_known_has_no_known_addresses(
    world: World, to: Opener, how: str
) -> None:
    private = {"no private address": [], "pending": ["0.0.0.0"]}.get(how, ["10.0.0.7"])
    world.security_group("lb", rules=[]).load_balancer(
        "nlb", subnet="a", members=[], private_ips=private, security_groups=["lb"]
    )
    if how == "not told":
        del world.find("load_balancers", "nlb")["private_ips"]
    with StandIn(world) as api:
        if how == "unreadable":
            api.fail("/load_balancers", times=None, status=403)
        groups = read_region(to(api)).fabric.security_groups
    assert groups[world.id("security-group", "lb")].addresses is None
