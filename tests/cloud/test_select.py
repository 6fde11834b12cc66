"""Which servers a command line names."""

import pytest

from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.region import Region
from vnicheck.cloud.select import select, select_servers
from vnicheck.model.cloud import Fabric, FloatingIp, Ref, Vni
from vnicheck.model.snapshot import Problem, Server


def server(
    name: str, *addresses: str, vpc: str = "prod", key: str | None = None, floating: str | None = None
) -> Server:
    floats = () if floating is None else (FloatingIp(id="f", name="f", address=floating),)
    primary, *secondary = addresses
    vni = Vni(
        id=f"vni-{name}",
        name=name,
        primary=True,
        subnet="s",
        primary_address=primary,
        secondary_addresses=tuple(secondary),
        floating_ips=floats,
    )
    key = key or f"id-{vpc}-{name}"
    ref = Ref(id=f"vpc-{vpc}", name=vpc)
    return Server(id=key, name=name, crn=f"crn:{key}", kind="instance", vpc=ref, zone="us-south-1", vnis=(vni,))


WEB = server("web-1", "10.0.0.11", "10.0.0.12", floating="203.0.113.7")
DB = server("db", "10.0.0.21")
TWIN = server("web-1", "10.0.0.11", vpc="test")
SCOPE = "https://us-south.iaas.cloud.ibm.com/v1"


@pytest.mark.parametrize(
    "selector", ["web-1", "id-prod-web-1", "crn:id-prod-web-1", "10.0.0.11", "10.0.0.12", "203.0.113.7", " web-1 "]
)
def test_by_name_id_crn_and_every_address(selector: str) -> None:
    assert select_servers([WEB, DB], [selector], scope=SCOPE) == (WEB,)


def test_the_order_is_that_of_the_selectors_and_each_server_comes_once() -> None:
    assert select_servers([WEB, DB], ["db", "10.0.0.12", "web-1", "db"], scope=SCOPE) == (DB, WEB)


@pytest.mark.parametrize("selector", ["web-1", "10.0.0.11"])
def test_an_ambiguous_selector_lists_the_candidates(selector: str) -> None:
    with pytest.raises(CloudError) as caught:
        select_servers([WEB, TWIN], [selector], scope=SCOPE)
    assert caught.value.code == "ambiguous_instance"
    for told in (WEB.id, TWIN.id, "VPC prod", "VPC test", "--vpc"):
        assert told in caught.value.message


def test_an_ambiguous_selector_lists_no_more_than_a_few() -> None:
    many = [server("web-1", "10.0.0.11", key=f"id-{number}") for number in range(100)]
    with pytest.raises(CloudError, match=r"names 100 servers.*and 92 more"):
        select_servers(many, ["web-1"], scope=SCOPE)


def test_an_id_wins_over_a_name() -> None:
    impostor = server("id-prod-web-1", "10.0.0.99")
    assert select_servers([impostor, WEB], ["id-prod-web-1"], scope=SCOPE) == (WEB,)
    assert select_servers([impostor, WEB], ["10.0.0.99"], scope=SCOPE) == (impostor,)


@pytest.mark.parametrize("selector", ["web", "WEB-1", "web-*", "10.0.0", "10.0.0.011", "0.0.0.0", ""])
def test_names_and_addresses_are_exact(selector: str) -> None:
    pending = server("pending", "0.0.0.0")
    with pytest.raises(CloudError) as caught:
        select_servers([WEB, DB, pending], [selector], scope=SCOPE)
    assert caught.value.code == "no_such_instance"


def test_none_says_what_was_searched_and_suggests() -> None:
    with pytest.raises(CloudError) as caught:
        select_servers([WEB, DB], ["web-2"], scope=f"{SCOPE}, VPC prod")
    assert f"(searched 2 servers at {SCOPE}, VPC prod)" in caught.value.message
    assert "did you mean web-1?" in caught.value.message


def test_none_says_what_could_not_be_read() -> None:
    problem = Problem(code="api_forbidden", message="bare metal servers were not read")
    region = Region(servers=(DB,), fabric=Fabric(), scope=SCOPE, problems=(problem,))
    with pytest.raises(CloudError, match="bare metal servers were not read"):
        select([region], ["metal-1"])


def test_a_hostile_selector_stays_on_one_line() -> None:
    with pytest.raises(CloudError) as caught:
        select_servers([WEB], ["x\x1b[2J\n" + "y" * 5000], scope=SCOPE)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 600


def test_no_selectors_are_all_servers_of_a_region() -> None:
    region = Region(servers=(WEB, DB), fabric=Fabric(), scope=SCOPE)
    assert select([region], []) == (WEB, DB)
    assert select_servers([WEB, DB], [], scope=SCOPE) == (WEB, DB)
