"""What the API says that cannot be: answers without bounds, text that is none, secrets said back, lists that end early,
servers whose interfaces are told in one place and not in another.
"""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.api import StandIn, World
from tests.support.vpc_client import FAST, failure
from vnicheck.cloud import answers
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.complete import complete
from vnicheck.cloud.connect import connect
from vnicheck.cloud.errors import CloudError, redact
from vnicheck.cloud.lists import ShortListError, read_list
from vnicheck.cloud.read import read_region
from vnicheck.cloud.region import Region
from vnicheck.collect.live import make_snapshot
from vnicheck.model.snapshot import INTERFACES_UNREAD, Server, encode_snapshot

Opener = Callable[[StandIn], VpcClient]
LONE = "x\ud800y\udc00"


def named(region: Region, name: str) -> Server:
    return next(server for server in region.servers if server.name == name)


# --- size -------------------------------------------------------------------------------------------------------------


def test_an_answer_that_unpacks_without_end_is_not_read_to_its_end(api: StandIn, to: Opener) -> None:
    """70 MB of JSON from 70 KB of gzip."""
    body = '{"instances": [' + " " * (70 << 20) + "]}"
    api.fail("/instances", status=200, body=body, gzip=True, times=None)
    error = failure(to(api))
    assert (error.code, "list_instances" in error.message) == ("api_malformed", True)
    assert "an answer of more than 64 MiB" in error.message


@pytest.mark.parametrize("status", [404, 500])
def test_a_refusal_is_bounded_too(api: StandIn, to: Opener, status: int) -> None:
    api.fail("/subnets", status=status, body="x" * (70 << 20), gzip=True, times=None)
    region = read_region(to(api))
    assert list(region.fabric.missing) == ["subnets"]


def test_a_token_that_does_not_end_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_BYTES", 1000)
    with StandIn(world, api_key="k") as api:
        api.fail(
            "/identity/token", method="POST", status=200, body=json.dumps({"access_token": "x" * 2000}), times=None
        )
        environ = {"VPC_URL": api.url, "VPC_AUTH_URL": api.root, "IBMCLOUD_API_KEY": "k"}
        error = failure(connect(region=None, environ=environ, auth=None, http=FAST))
    assert (error.code, "the token exchange" in error.message) == ("api_malformed", True)


# --- text -------------------------------------------------------------------------------------------------------------


def everywhere(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: each if key in KEPT else everywhere(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [everywhere(each, change) for each in value]
    return change(value) if isinstance(value, str) else value


KEPT = {"id", "href", "address", "ipv4_cidr_block", "cidr", "destination", "source", "crn", "created_at", "start"}


def test_half_a_character_in_any_field_is_replaced(world: World, to: Opener) -> None:
    world.data = everywhere(world.data, lambda text: text + LONE)
    with StandIn(world) as api:
        client = to(api)
        region = complete(client, read_region(client), read_region(client).servers)
    assert region.servers
    snapshot = make_snapshot(region, region.servers, created_at="2026-01-01T00:00:00Z", everything=True)
    assert "x\ufffdy\ufffd" in encode_snapshot(snapshot).decode()


def test_whole_characters_stay(world: World, to: Opener) -> None:
    world.find("instances", "web-1")["name"] = "wéb-\U0001f600"
    with StandIn(world) as api:
        assert "wéb-\U0001f600" in {server.name for server in read_region(to(api)).servers}


@pytest.mark.parametrize("number", [10**30, -(10**30), 1 << 64])
def test_a_number_that_no_field_has_room_for_is_told(world: World, to: Opener, number: int) -> None:
    world.find("security_groups", "web")["rules"][0]["port_min"] = number
    with StandIn(world) as api:
        region = read_region(to(api))
    assert "security_groups" in region.fabric.missing
    msgspec.json.encode(region.fabric)


# --- secrets ----------------------------------------------------------------------------------------------------------

JWT = "eyJraWQiOiIyMDI2MDEwMSIsImFsZyI6IlJTMjU2In0.eyJzdWIiOiJJQk1pZCJ9.c2lnbmF0dXJlLW9mLWl0"


@pytest.mark.parametrize(
    "said",
    [
        "the token {token} is refused",
        "got header Authorization: Bearer {token}",
        "{token}{token}{token}",
        "x" * 90 + "{token}",
        "{token}" * 40,
    ],
)
@pytest.mark.parametrize("token", [JWT, "opaque-0123456789abcdef0123456789abcdef", JWT + "A" * 900])
def test_a_token_that_the_api_says_back_is_not_shown(world: World, said: str, token: str) -> None:
    with StandIn(world) as api:
        message = said.format(token=token)
        body = json.dumps({"errors": [{"code": "x", "message": message}]})
        api.fail("/instances", status=403, body=body, times=None)
        environ = {"VPC_URL": api.url, "VPC_AUTH_TYPE": "bearertoken", "VPC_BEARER_TOKEN": token}
        error = failure(connect(region=None, environ=environ, auth=None, http=FAST))
    assert "403" in error.message
    assert "[hidden]" in error.message or said.startswith("x")
    assert not any(token[place : place + 12] in error.message for place in range(len(token) - 12))


def test_a_token_that_was_exchanged_for_a_key_is_not_shown(world: World) -> None:
    with StandIn(world, api_key="k") as api:
        body = json.dumps({"errors": [{"message": f"not allowed with {api.issued}"}]})
        api.fail("/instances", status=403, body=body, times=None)
        environ = {"VPC_URL": api.url, "VPC_AUTH_URL": api.root, "IBMCLOUD_API_KEY": "k"}
        error = failure(connect(region=None, environ=environ, auth=None, http=FAST))
    assert api.issued[:12] not in error.message
    assert "[hidden]" in error.message


def test_what_looks_like_a_token_is_hidden_wherever_it_comes_from() -> None:
    assert redact("Basic dXNlcjpwYXNzd29yZC1sb25n=", ()) == "[hidden]"
    assert redact(f"'bearer {JWT}'", ()) == "'[hidden]'"
    assert redact("a basic plan, and the bearer of news", ()) == "a basic plan, and the bearer of news"
    assert JWT[:20] not in CloudError("x", f"it says {JWT}").message


# --- lists ------------------------------------------------------------------------------------------------------------


def test_instances_that_end_before_their_number_are_told_and_the_rest_is_read(world: World, to: Opener) -> None:
    with StandIn(world, page_size=1) as api:
        api.fail("/instances", cut=True, times=None)
        region = read_region(to(api))
    assert [server.kind for server in region.servers].count("instance") == 1
    (problem,) = region.problems
    assert problem.message.startswith("not all instances were read: list_instances at ")
    assert "the list ends after 1 of 2" in problem.message
    snapshot = make_snapshot(region, region.servers, created_at="2026-01-01T00:00:00Z", everything=True)
    assert "servers" in snapshot.fabric.missing


@pytest.mark.parametrize("name", ["subnets", "security_groups", "floating_ips", "virtual_network_interfaces"])
def test_any_other_list_that_ends_early_is_missing(world: World, to: Opener, name: str) -> None:
    with StandIn(world, page_size=1) as api:
        assert len(world.data[name]) > 1
        api.fail(f"/{name}", cut=True, times=None)
        region = read_region(to(api))
    assert "the list ends after 1 of" in region.fabric.missing[name]


def test_what_goes_while_we_read_is_no_loss(world: World, to: Opener) -> None:
    """The first page counts two; then one is deleted."""
    with StandIn(world, page_size=1) as api:
        client = to(api)
        assert len(read_list(client, "list_subnets", "subnets")) == 2
        real = api.world["subnets"]

        class Shrinking(list[Any]):
            """Loses its last item after it was looked at twice."""

            looked = 0

            def __iter__(self) -> Any:
                self.looked += 1
                return iter(real if self.looked <= 1 else real[:1])

        api.world["subnets"] = Shrinking(real)
        try:
            assert len(read_list(client, "list_subnets", "subnets")) == 1
        except ShortListError:
            pytest.fail("one that was deleted is missed")


# --- servers ----------------------------------------------------------------------------------------------------------


def attachments(change: Callable[[dict[str, Any]], object]) -> Callable[[World], object]:
    return lambda world: change(world.find("instances", "web-1"))


@pytest.mark.parametrize(
    "spoil",
    [
        attachments(lambda item: item.update(network_attachments=None)),
        attachments(lambda item: item.pop("network_attachments")),
        attachments(lambda item: item.update(network_attachments=[])),
        attachments(lambda item: item["network_attachments"].pop()),
        attachments(lambda item: item["network_attachments"].pop(0)),
        attachments(lambda item: [item.pop(key) for key in ("network_attachments", "primary_network_attachment")]),
        lambda world: world.find("instances", "old-1").update(network_interfaces=None),
        lambda world: world.find("instances", "old-1").update(network_interfaces=[]),
    ],
    ids=["null", "absent", "none", "one fewer", "without the primary", "nothing", "legacy null", "legacy none"],
)
def test_interfaces_that_are_told_in_one_place_alone_are_missed(
    world: World, to: Opener, spoil: Callable[[World], object]
) -> None:
    with StandIn(world) as api:
        assert not any(server.problems for server in read_region(to(api)).servers)
        spoil(world)
        region = read_region(to(api))
    told = {server.name: [problem.code for problem in server.problems] for server in region.servers}
    assert [codes for codes in told.values() if INTERFACES_UNREAD in codes] == [[INTERFACES_UNREAD]]


def test_a_vni_that_says_that_it_is_attached_is_missed_without_network_interfaces_beside_it(
    world: World, to: Opener
) -> None:
    item = world.find("instances", "web-1")
    item["network_attachments"].pop()
    item.pop("network_interfaces", None)
    with StandIn(world) as api:
        server = named(read_region(to(api)), "web-1")
    (problem,) = server.problems
    assert problem.code == INTERFACES_UNREAD
    assert world.vni_id("web-1", 1) in problem.message
