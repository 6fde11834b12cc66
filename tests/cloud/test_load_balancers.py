"""Members of network load balancers, read over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api import StandIn, World
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.complete import complete
from vnicheck.cloud.read import read_region
from vnicheck.cloud.select import select
from vnicheck.model.cloud import Fabric

Opener = Callable[[StandIn], VpcClient]

MEMBERS = "/load_balancers/*/pools/*/members"


def read(api: StandIn, to: Opener) -> Fabric:
    client = to(api)
    region = read_region(client)
    return complete(client, region, select([region], ["web-1"])).fabric


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
    world.load_balancer("path", subnet="a", private_path=True, members=[member])
    world.vpc("other").subnet("c", "10.9.0.0/24").load_balancer("far", subnet="c", members=[member])
    with StandIn(world) as api:
        assert read(api, to).load_balancer_members == ()
        assert [call.path for call in api.calls if call.path.endswith("/members")] == []


@pytest.mark.parametrize("path", ["/load_balancers", MEMBERS])
@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 200, "body": "{}"}])
def test_unreadable_ones_are_named_missing(world: World, to: Opener, path: str, fault: dict[str, object]) -> None:
    world.load_balancer("nlb", subnet="a", members=[{"address": "10.0.0.12"}])
    with StandIn(world) as api:
        api.fail(path, times=None, **fault)
        fabric = read(api, to)
    assert list(fabric.missing) == ["load_balancers"]
    assert fabric.load_balancer_members == ()


def test_one_of_unreadable_subnets_is_named_missing(world: World, to: Opener) -> None:
    world.load_balancer("nlb", subnet="a", members=[{"address": "10.0.0.12"}])
    world.find("load_balancers", "nlb")["subnets"] = []
    with StandIn(world) as api:
        fabric = read(api, to)
    assert "the VPC of nlb" in fabric.missing["load_balancers"]
