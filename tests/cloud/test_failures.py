"""Whatever the API or the network does ends in one CloudError, soon, or in a note of what is missing."""

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.api import StandIn, World
from tests.support.patience import ends_in_time
from tests.support.vpc_client import FAST, failure
from vnicheck.cloud.client import HttpSettings, VpcClient
from vnicheck.cloud.connect import connect
from vnicheck.cloud.errors import redact
from vnicheck.cloud.read import read_region
from vnicheck.model.words import one_line

Opener = Callable[[StandIn], VpcClient]


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (400, "api_refused", "refused"),
        (401, "api_unauthorized", "VPC_AUTH_TYPE=noauth of the environment"),
        (403, "api_forbidden", "Viewer"),
        (404, "api_not_found", "region"),
        (429, "api_rate_limited", "wait"),
        (500, "api_server_error", "again"),
        (503, "api_server_error", "again"),
        (599, "api_server_error", "again"),
        (302, "api_refused", "refused"),
    ],
)
def test_a_refusal_names_the_call_the_status_and_what_to_do(
    api: StandIn, to: Opener, status: int, code: str, says: str
) -> None:
    api.fail("/instances", status=status, times=None)
    error = failure(to(api))
    assert error.code == code
    assert "list_instances" in error.message
    assert str(status) in error.message
    assert api.url in error.message
    assert says in error.message


def test_a_redirect_is_not_followed(api: StandIn, to: Opener) -> None:
    api.fail("/instances", status=302, headers={"Location": f"{api.url}/vpcs"}, times=None)
    assert failure(to(api)).code == "api_refused"


def test_a_missing_bearer_token_is_unauthorized(world: World, to: Opener) -> None:
    with StandIn(world, token="t0p") as api:
        assert failure(to(api)).code == "api_unauthorized"


def test_too_many_requests_are_retried(api: StandIn, to: Opener) -> None:
    api.fail("/instances", status=429, headers={"Retry-After": "0"}, times=2)
    assert len(read_region(to(api)).servers) == 3
    assert sum(call.path == "/instances" for call in api.calls) == 3


@pytest.mark.parametrize("wait", ["3600", "99999999999999999999999"])
def test_a_retry_after_beyond_our_patience_is_told_at_once(api: StandIn, to: Opener, wait: str) -> None:
    api.fail("/instances", status=429, headers={"Retry-After": wait}, times=None)
    with ends_in_time():
        assert failure(to(api)).code == "api_rate_limited"
    assert sum(call.path == "/instances" for call in api.calls) == 1, "it was asked again before its time"


def test_a_retry_after_within_our_patience_is_honoured(api: StandIn) -> None:
    api.fail("/subnets", status=503, headers={"Retry-After": "1"})
    patient = HttpSettings(connect_timeout=1, read_timeout=1, retries=1, retry_wait=2)
    began = time.monotonic()
    assert read_region(connect(region=None, environ=api.environ, auth=None, http=patient)).fabric.missing == {}
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("wait", ["soon", "-1"])
def test_a_retry_after_that_is_nonsense_is_ignored(api: StandIn, to: Opener, wait: str) -> None:
    api.fail("/instances", status=503, headers={"Retry-After": wait})
    assert len(read_region(to(api)).servers) == 3


def test_server_errors_are_retried_so_often_and_no_more(api: StandIn, to: Opener) -> None:
    api.fail("/instances", status=500, times=None)
    assert failure(to(api)).code == "api_server_error"
    assert sum(call.path == "/instances" for call in api.calls) == FAST.retries + 1


def test_a_reset_connection_is_retried_once_and_then_told(api: StandIn, to: Opener) -> None:
    api.fail("/instances", reset=True)
    assert len(read_region(to(api)).servers) == 3
    api.fail("/instances", reset=True, times=None)
    error = failure(to(api))
    assert error.code == "api_unreachable"
    assert "0x" not in error.message


def test_a_slow_answer_times_out(api: StandIn) -> None:
    api.fail("/instances", delay=90, times=None)
    hurried = HttpSettings(connect_timeout=1, read_timeout=0.2, retries=1, retry_wait=0)
    client = connect(region=None, environ=api.environ, auth=None, http=hurried)
    with ends_in_time():
        assert failure(client).code == "api_timeout"


def test_nobody_listening_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {"VPC_URL": f"http://127.0.0.1:{port}/v1", "VPC_AUTH_TYPE": "noauth"}
    error = failure(connect(region=None, environ=environ, auth=None, http=FAST))
    assert error.code == "api_unreachable"
    assert "refused" in error.message


def test_a_server_without_tls_is_told_without_a_traceback(
    api: StandIn, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    environ = {"VPC_URL": api.url.replace("http://", "https://"), "VPC_AUTH_TYPE": "noauth"}
    error = failure(connect(region=None, environ=environ, auth=None, http=FAST))
    assert error.code in ("api_tls", "api_unreachable")
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        '"instances"',
        "{}",
        '{"instances": null}',
        '{"instances": {}}',
        '{"instances": [7]}',
        '{"instances": [], "next": "here"}',
        '{"instances": [], "next": {}}',
        '{"instances": [], "next": {"href": 7}}',
        '{"instances": [], "next": {"href": "https://evil.test/v1/instances"}}',
        '{"instances": [], "next": {"href": "http://[::1"}}',
        '{"instances": [' + "9" * 5000 + "]}",
        "[" * 100_000,
    ],
)
def test_an_answer_of_another_shape_is_malformed(api: StandIn, to: Opener, body: str) -> None:
    api.fail("/instances", status=200, body=body, times=None)
    error = failure(to(api))
    assert error.code == "api_malformed"
    assert "list_instances" in error.message


def test_a_page_that_is_no_json_is_malformed(api: StandIn, to: Opener) -> None:
    api.fail("/instances", status=200, body="<html>log in</html>", headers={"Content-Type": "text/html"}, times=None)
    assert failure(to(api)).code == "api_malformed"


@pytest.mark.parametrize("message", ['"x\\u001b[2J\\ny"', "7", "null", "[1]", '{"a": 1}', f'"{"z" * 100_000}"'])
def test_hostile_error_texts_become_one_short_line(api: StandIn, to: Opener, message: str) -> None:
    api.fail("/instances", status=403, body=f'{{"errors": [{{"message": {message}}}]}}', times=None)
    assert failure(to(api)).code == "api_forbidden"


@pytest.mark.parametrize("body", ["[]", '{"errors": []}', '{"errors": [7]}', "{", "null"])
def test_error_bodies_of_another_shape_do_no_harm(api: StandIn, to: Opener, body: str) -> None:
    api.fail("/instances", status=403, body=body, times=None)
    assert failure(to(api)).code == "api_forbidden"


def test_pages_are_followed_to_the_last(world: World, to: Opener) -> None:
    with StandIn(world, page_size=1) as api:
        region = read_region(to(api))
        assert {server.name for server in region.servers} == {"web-1", "old-1", "metal-1"}
        assert region.fabric.missing == {}
        assert len([call for call in api.calls if call.path == "/instances"]) == 2
        assert all(call.query["limit"] == "100" for call in api.calls)
        assert api.unexpected == []


def test_a_page_that_comes_again_and_again_is_an_error(world: World, to: Opener) -> None:
    with StandIn(world, page_size=1) as api:
        api.fail("/instances", repeat_page=True, times=None)
        error = failure(to(api))
        assert error.code == "api_malformed"
        assert "twice" in error.message
        assert len([call for call in api.calls if call.path == "/instances"]) < 5


@pytest.mark.parametrize(
    "name",
    [
        "virtual_network_interfaces",
        "floating_ips",
        "subnets",
        "vpcs",
        "security_groups",
        "network_acls",
        "load_balancers",
        "public_address_ranges",
    ],
)
@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 200, "body": "{}"}, {"reset": True}])
def test_a_secondary_list_that_fails_is_named_and_the_rest_read(
    api: StandIn, to: Opener, name: str, fault: dict[str, Any]
) -> None:
    api.fail(f"/{name}", times=None, **fault)
    region = read_region(to(api))
    assert list(region.fabric.missing) == [name]
    assert f"list_{name}" in region.fabric.missing[name]
    assert {server.name for server in region.servers} == {"web-1", "old-1", "metal-1"}


def test_bare_metal_servers_that_cannot_be_listed_are_a_problem_of_the_region(api: StandIn, to: Opener) -> None:
    api.fail("/bare_metal_servers", status=403, times=None)
    region = read_region(to(api))
    assert {server.name for server in region.servers} == {"web-1", "old-1"}
    assert [problem.code for problem in region.problems] == ["api_forbidden"]
    assert "bare metal" in region.problems[0].message


def test_one_line_and_redact() -> None:
    assert one_line("a\x00\x1b[1m\n\tb\u202e c") == "a [1m b c"
    assert one_line("x" * 50, 10) == "x" * 9 + "…"
    assert redact("a secret and a secret", ("secret", "")) == "a [hidden] and a [hidden]"
