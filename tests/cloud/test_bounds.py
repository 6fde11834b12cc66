"""Reading ends: what never stops is given up, what vanishes or moves while we read spoils nothing else."""

from collections.abc import Callable

import pytest

from tests.api import StandIn, World
from tests.support.patience import ends_in_time
from tests.support.vpc_client import failure
from vnicheck.cloud.client import HttpSettings, VpcClient
from vnicheck.cloud.complete import complete
from vnicheck.cloud.connect import connect
from vnicheck.cloud.read import read_region
from vnicheck.cloud.region import Region

Opener = Callable[[StandIn], VpcClient]


def in_all(api: StandIn, seconds: float) -> VpcClient:
    """A client that may read for so long in all, and is patient with every single read."""
    patient = HttpSettings(connect_timeout=5, read_timeout=5, retries=1, retry_wait=0.05, total=seconds)
    return connect(region=None, environ=api.environ, auth=None, http=patient)


def test_an_api_that_drips_bytes_is_given_up_after_the_time_in_all(api: StandIn) -> None:
    api.fail("/instances", drip=0.1, times=None)
    with ends_in_time():
        error = failure(in_all(api, 1.0))
    assert error.code == "api_timeout"
    assert "list_instances" in error.message
    assert "1 seconds of reading in all" in error.message
    assert "--api-timeout" in error.message


def test_one_list_that_drips_is_missing_and_the_rest_read(api: StandIn) -> None:
    api.fail("/subnets", drip=0.1, times=None)
    region = read_region(in_all(api, 1.0))
    assert list(region.fabric.missing) == ["subnets"]
    assert "1 seconds" in region.fabric.missing["subnets"]
    assert len(region.servers) == 3


def test_pages_that_are_slow_each_are_given_up_after_the_time_in_all(world: World) -> None:
    for number in range(30):
        world.instance(f"more-{number}", interfaces=[{"subnet": "a", "address": f"10.0.0.{100 + number}"}])
    with StandIn(world, page_size=1) as api:
        api.fail("/instances", delay=0.2, times=None)
        with ends_in_time():
            assert failure(in_all(api, 1.0)).code == "api_timeout"
        assert 1 < len([call for call in api.calls if call.path == "/instances"]) <= 7


def test_a_token_service_that_drips_is_given_up_too(world: World) -> None:
    with StandIn(world, api_key="k") as api:
        api.fail("/identity/token", method="POST", delay=90, times=None)
        environ = {"VPC_URL": api.url, "VPC_AUTH_URL": api.root, "IBMCLOUD_API_KEY": "k"}
        hurried = HttpSettings(connect_timeout=5, read_timeout=60, retries=0, total=1.0)
        with ends_in_time():
            error = failure(connect(region=None, environ=environ, auth=None, http=hurried))
            assert (error.code, "the token exchange" in error.message) == ("api_timeout", True)


def test_the_same_page_under_ever_new_links_is_an_error(world: World, to: Opener) -> None:
    with StandIn(world, page_size=1) as api:
        api.fail("/instances", same_page=True, times=None)
        error = failure(to(api))
        assert (error.code, "repeats" in error.message) == ("api_malformed", True)
        assert len([call for call in api.calls if call.path == "/instances"]) == 2


def test_a_server_that_moves_to_a_later_page_while_we_read_is_one_server(world: World, to: Opener) -> None:
    world.data["instances"].insert(1, {**world.data["instances"][0], "status": "stopping"})
    with StandIn(world, page_size=2) as api:
        servers = read_region(to(api)).servers
    assert sorted(server.name for server in servers) == ["metal-1", "old-1", "web-1"]
    assert [server.status for server in servers if server.name == "web-1"] == ["stopping"]


# --- what vanishes while we read --------------------------------------------------------------------------------------


def completed(api: StandIn, to: Opener) -> Region:
    client = to(api)
    region = read_region(client)
    return complete(client, region, region.servers)


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("/vpcs/*/address_prefixes", "vpcs"),
        ("/vpcs/*/routing_tables", "routing_tables"),
        ("/vpcs/*/routing_tables/*/routes", "routing_tables"),
        ("/load_balancers/*/pools/*/members", "load_balancers"),
        ("/load_balancers/*/listeners", "load_balancers"),
        ("/public_address_ranges", "public_address_ranges"),
    ],
)
def test_a_list_below_a_vpc_that_is_gone_is_missing_and_the_rest_goes_on(
    world: World, to: Opener, path: str, missing: str
) -> None:
    world.load_balancer("nlb", subnet="a", members=[{"address": "10.0.0.11"}])
    with StandIn(world) as api:
        api.fail(path, status=404)
        region = completed(api, to)
        assert api.unexpected == []
    assert list(region.fabric.missing) == [missing]
    assert "404" in region.fabric.missing[missing]
    assert [server.problems for server in region.servers] == [(), (), ()]
    assert {server.name for server in region.servers} == {"web-1", "old-1", "metal-1"}


@pytest.mark.parametrize(("kind", "name"), [("instances", "old-1"), ("bare_metal_servers", "metal-1")])
def test_a_server_that_is_gone_is_its_own_problem_and_no_others(api: StandIn, to: Opener, kind: str, name: str) -> None:
    api.fail(f"/{kind}/*", status=404, times=None)
    region = completed(api, to)
    assert region.fabric.missing == {}
    assert [(s.name, [p.code for p in s.problems]) for s in region.servers if s.problems] == [(name, ["api_not_found"])]
