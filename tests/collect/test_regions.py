"""Several regions read at once: one that fails leaves the others alone, and a selector may mean a server of any."""

from collections.abc import Iterator

import pytest

from tests.api import StandIn, World
from tests.support.vpc_client import FAST
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.connect import connect, connect_all
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.region import Region
from vnicheck.collect.live import make_snapshot, observe_regions


def world(region: str, vpc: str, *names: str) -> World:
    made = World(region=region).vpc(vpc, prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    for number, name in enumerate(names):
        made.instance(name, interfaces=[{"subnet": "a", "address": f"10.0.0.{number + 11}"}])
    return made


@pytest.fixture
def south() -> Iterator[StandIn]:
    with StandIn(world("us-south", "prod", "web-1", "both")) as api:
        yield api


@pytest.fixture
def north() -> Iterator[StandIn]:
    with StandIn(world("eu-de", "test", "db-1", "both")) as api:
        yield api


def clients(*apis: StandIn) -> list[VpcClient]:
    return [connect(region=None, environ=api.environ, auth=None, http=FAST) for api in apis]


def read(*apis: StandIn, select: tuple[str, ...] = (), vpc: str | None = None) -> list[tuple[str, list[str]]]:
    regions = observe_regions(clients(*apis), select, vpc=vpc, resource_group=None)
    for region in regions:
        assert set(region.fabric.subnets) >= {vni.subnet for server in region.servers for vni in server.vnis}
    return [(region.name, [server.name for server in region.servers]) for region in regions]


def test_all_servers_of_each_region(south: StandIn, north: StandIn) -> None:
    assert read(south, north) == [("us-south", ["web-1", "both"]), ("eu-de", ["db-1", "both"])]
    assert read(north, south) == [("eu-de", ["db-1", "both"]), ("us-south", ["web-1", "both"])]


def test_a_selector_means_a_server_of_any_region(south: StandIn, north: StandIn) -> None:
    assert read(south, north, select=("db-1", "web-1")) == [("us-south", ["web-1"]), ("eu-de", ["db-1"])]
    assert read(south, north, select=("db-1",)) == [("us-south", []), ("eu-de", ["db-1"])]
    with pytest.raises(CloudError, match="names 2 servers") as caught:
        read(south, north, select=("both",))
    assert caught.value.code == "ambiguous_instance"
    with pytest.raises(CloudError, match="searched 4 servers"):
        read(south, north, select=("nobody",))


def test_a_vpc_of_one_region_leaves_the_others_out(south: StandIn, north: StandIn) -> None:
    assert read(south, north, vpc="test") == [("eu-de", ["db-1", "both"])]
    with pytest.raises(CloudError) as caught:
        read(south, north, vpc="nowhere")
    assert caught.value.code == "no_such_vpc"


def test_a_region_that_cannot_be_read_says_so_and_leaves_the_others_alone(south: StandIn, north: StandIn) -> None:
    south.fail("/instances", status=403, times=None)
    failed, well = observe_regions(clients(south, north), (), vpc=None, resource_group=None)
    assert isinstance(failed, Region)
    assert failed.failure is not None
    assert (failed.servers, failed.failure.code) == ((), "api_forbidden")
    assert [server.name for server in well.servers] == ["db-1", "both"]
    snapshot = make_snapshot(failed, failed.servers, created_at="2026-11-24T00:00:00Z", everything=True)
    assert "403" in snapshot.fabric.missing["servers"], "an empty snapshot of an unread region must say that it is none"
    with pytest.raises(CloudError, match="not all could be read"):
        observe_regions(clients(south, north), ["web-1"], vpc=None, resource_group=None)
    with pytest.raises(CloudError) as caught:
        observe_regions(clients(south, north), (), vpc="nowhere", resource_group=None)
    assert caught.value.code == "api_forbidden", "whether the VPC is in the unread region is not known"


def test_where_no_region_can_be_read_the_first_reason_is_told(south: StandIn, north: StandIn) -> None:
    south.fail("/instances", status=401, times=None)
    north.fail("/instances", status=403, times=None)
    with pytest.raises(CloudError) as caught:
        observe_regions(clients(south, north), (), vpc=None, resource_group=None)
    assert caught.value.code == "api_unauthorized"


KEY = {"IBMCLOUD_API_KEY": "k"}


def test_each_region_has_its_endpoint() -> None:
    several = connect_all(["us-south", "eu-de", "us-south"], environ=KEY, auth=None)
    assert [client.region for client in several] == ["us-south", "eu-de"]
    assert [client.endpoint for client in several] == [
        "https://us-south.iaas.cloud.ibm.com/v1",
        "https://eu-de.iaas.cloud.ibm.com/v1",
    ]
    (one,) = connect_all([], environ={**KEY, "IBMCLOUD_REGION": "jp-tok"}, auth=None)
    assert one.region == "jp-tok"


def test_an_endpoint_of_ones_own_has_a_place_for_the_region() -> None:
    environ = {**KEY, "VPC_URL": "https://{region}.private.iaas.cloud.ibm.com/v1"}
    several = connect_all(["us-south", "eu-de"], environ=environ, auth=None)
    assert [client.region for client in several] == ["us-south", "eu-de"]
    assert several[1].endpoint == "https://eu-de.private.iaas.cloud.ibm.com/v1"
    with pytest.raises(CloudError, match="VPC_URL has a place for"):
        connect_all([], environ=environ, auth=None)


def test_an_endpoint_that_is_one_place_does_not_serve_two_regions() -> None:
    with pytest.raises(CloudError, match="leads 2 regions to one place") as caught:
        connect_all(["us-south", "eu-de"], environ={**KEY, "VPC_URL": "https://vpc.test/v1"}, auth=None)
    assert caught.value.code == "region_conflict"
