"""All regions: the list that the API gives, where the key may be sent, and regions that cannot be asked."""

import pytest

from tests.api import StandIn, World
from vnicheck.cloud.client import HttpSettings
from vnicheck.cloud.connect import connect
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.regions import RegionItem, _url, connect_everywhere, list_regions

QUICK = HttpSettings(retries=0, connect_timeout=2, read_timeout=2)


def test_every_region_is_asked_at_its_own_endpoint() -> None:
    with StandIn(World(region="eu-de")) as away, StandIn(World(region="us-south")) as home:
        listed = World(region="us-south").listed_region("us-south", home.root).listed_region("eu-de", away.root)
        home.world["regions"] = listed.data["regions"]
        clients, failed = connect_everywhere(environ=home.environ, auth=None, http=QUICK)
        assert [(client.region, client.endpoint) for client in clients] == [
            ("eu-de", away.url),
            ("us-south", home.url),
        ]
        assert failed == {}
        assert home.lines == ["GET /regions"]
        assert home.unexpected == []


def test_a_region_that_is_not_available_leaves_the_others() -> None:
    with StandIn(World(region="us-south")) as api:
        world = World().listed_region("us-south", api.root).listed_region("eu-gb", api.root, status="unavailable")
        api.world["regions"] = world.data["regions"]
        clients, failed = connect_everywhere(environ=api.environ, auth=None, http=QUICK)
        assert [client.region for client in clients] == ["us-south"]
        assert {name: error.code for name, error in failed.items()} == {"eu-gb": "region_unavailable"}


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://evil.example",
        "http://us-south.iaas.cloud.ibm.com",
        "https://eu-de.iaas.cloud.ibm.com",
        "https://us-south.iaas.cloud.ibm.com.evil.example",
        "https://us-south.iaas.cloud.ibm.com@evil.example",
        "https://127.0.0.1:8090",
        "http://[",
        "",
    ],
)
def test_the_key_is_not_sent_where_the_list_says(endpoint: str) -> None:
    """The one asked is http://127.0.0.1: another scheme or host is neither that nor IBM's."""
    asked = connect(region=None, environ={"VPC_URL": "http://127.0.0.1:8090/v1", "VPC_AUTH_TYPE": "noauth"}, auth=None)
    with pytest.raises(CloudError, match="the key is not sent there") as caught:
        _url(asked, RegionItem(name="us-south", endpoint=endpoint))
    assert caught.value.code == "bad_endpoint"


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        ("https://us-south.iaas.cloud.ibm.com/v1", "https://eu-de.iaas.cloud.ibm.com/v1"),
        ("https://us-south.private.iaas.cloud.ibm.com/v1", "https://eu-de.private.iaas.cloud.ibm.com/v1"),
    ],
)
@pytest.mark.parametrize("listed", ["https://eu-de.iaas.cloud.ibm.com", "https://eu-de.private.iaas.cloud.ibm.com"])
def test_private_endpoints_stay_private(asked: str, url: str, listed: str) -> None:
    client = connect(region=None, environ={"VPC_URL": asked, "VPC_AUTH_TYPE": "noauth"}, auth=None)
    assert _url(client, RegionItem(name="eu-de", endpoint=listed)) == url


def test_a_place_in_vpc_url_is_used_for_every_region() -> None:
    """Here a region goes by its stand-in's port."""
    with StandIn(World()) as first, StandIn(World()) as second:
        ports = [str(api.server.server_address[1]) for api in (first, second)]
        world = World()
        for port in ports:
            world.listed_region(port, "https://elsewhere.example")
        first.world["regions"] = world.data["regions"]
        environ = {**first.environ, "VPC_URL": "http://127.0.0.1:{region}/v1", "IBMCLOUD_REGION": ports[0]}
        clients, failed = connect_everywhere(environ=environ, auth=None, http=QUICK)
        assert {client.endpoint for client in clients} == {first.url, second.url}
        assert failed == {}


def test_without_a_region_any_may_be_asked_for_the_list() -> None:
    environ = {"IBMCLOUD_API_KEY": "k", "VPC_AUTH_URL": "http://127.0.0.1:1"}
    with pytest.raises(CloudError, match="token") as caught:
        connect_everywhere(environ=environ, auth=None, http=QUICK)
    assert caught.value.code != "no_region"


def test_a_list_that_cannot_be_read() -> None:
    with StandIn(World()) as api:
        client = connect(region=None, environ=api.environ, auth=None, http=QUICK)
        with pytest.raises(CloudError, match="lists no regions"):
            list_regions(client)
        api.fail("/regions", status=403)
        with pytest.raises(CloudError, match="needs the platform role Viewer"):
            list_regions(client)
        api.fail("/regions", status=200, body='{"regions": [{"name": 3}]}')
        with pytest.raises(CloudError, match="region"):
            list_regions(client)
