"""The metadata service, read over HTTP: what it tells, what it does not, and whatever goes wrong with it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.api import World
from tests.api.metadata import MetadataStandIn
from tests.api.tls import self_signed
from tests.support import cases
from tests.support.patience import ends_in_time
from tests.support.servers import guest, link
from tests.support.sshd import free_port
from vnicheck.analysis.diff import compare_reports
from vnicheck.analysis.server import report_on
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.local import local_region
from vnicheck.cloud.metadata import Times, read_metadata
from vnicheck.collect.live import make_snapshot
from vnicheck.model.config import Config
from vnicheck.model.flow import Verdict
from vnicheck.model.snapshot import Server, with_guest

FAST = Times(connect=1.0, read=1.0, total=2.0)


def failure(url: str, times: Times = FAST) -> CloudError:
    with pytest.raises(CloudError) as caught:
        read_metadata(url, times)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 700
    return caught.value


def local(world: World, name: str, **more: Any) -> tuple[Server, dict[str, str]]:
    with MetadataStandIn(world, name, **more) as service:
        region = local_region(read_metadata(service.url, FAST), None)
        assert service.unexpected == []
    (server,) = region.servers
    return server, region.fabric.missing


# --- what it tells ----------------------------------------------------------------------------------------------------


def test_an_instance_with_two_vnis(world: World) -> None:
    server, missing = local(world, "web-1")
    first, second = server.vnis
    assert (server.id, server.name, server.kind) == (world.id("instance", "web-1"), "web-1", "instance")
    assert (server.zone, server.region, server.vpc.name) == ("us-south-1", "us-south", "prod")
    assert (first.primary, second.primary) == (True, False)
    assert first.id == world.vni_id("web-1", 0)
    assert (first.mac, first.allow_ip_spoofing, first.protocol_state_filtering_mode) == (
        "02:00:05:02:70:58", True, "auto",
    )  # fmt: skip
    assert second.addresses == ("10.0.0.12", "10.0.0.13")
    assert second.protocol_state_filtering_mode == "disabled"
    assert second.security_groups == (world.id("security-group", "web"),)
    assert second.floating_ips == ()
    assert set(missing) == {
        "vpcs", "subnets", "security_groups", "network_acls", "routing_tables", "public_gateways", "floating_ips",
        "load_balancers", "public_address_ranges",
    }  # fmt: skip
    assert server.problems == ()


def test_an_instance_with_legacy_interfaces(world: World) -> None:
    server, missing = local(world, "old-1")
    assert [vni.legacy for vni in server.vnis] == [True, True]
    assert [vni.primary_address for vni in server.vnis] == ["10.0.0.21", "10.0.1.21"]
    assert [vni.allow_ip_spoofing for vni in server.vnis] == [True, False]
    assert [[each.address for each in vni.floating_ips] for vni in server.vnis] == [["203.0.113.21"], []]
    assert "floating_ips" not in missing


def test_the_older_field_of_a_legacy_interfaces_address(world: World) -> None:
    for interface in world.data["network_interfaces"][world.id("instance", "old-1")]:
        interface["primary_ipv4_address"] = interface.pop("primary_ip")["address"]
    server, _ = local(world, "old-1")
    assert [vni.primary_address for vni in server.vnis] == ["10.0.0.21", "10.0.1.21"]


def test_attachments_that_only_their_own_list_has(world: World) -> None:
    server, _ = local(world, "web-1", without={"network_attachments", "primary_network_attachment"}, page_size=1)
    assert [(vni.primary_address, vni.primary) for vni in server.vnis] == [("10.0.0.11", True), ("10.0.0.12", False)]


def test_fields_that_it_does_not_tell_are_unknown(world: World) -> None:
    fields = {"protocol_state_filtering_mode", "allow_ip_spoofing", "security_groups", "mac_address", "status"}
    server, _ = local(world, "web-1", without=fields)
    assert {vni.protocol_state_filtering_mode for vni in server.vnis} == {None}
    assert {vni.allow_ip_spoofing for vni in server.vnis} == {None}
    assert {vni.security_groups for vni in server.vnis} == {None}
    assert server.status == "running"


def test_virtual_network_interfaces_that_it_refuses_to_list(world: World) -> None:
    with MetadataStandIn(world, "web-1") as service:
        service.fail("/metadata/v1/virtual_network_interfaces", status=403, times=None)
        (server,) = local_region(read_metadata(service.url, FAST), None).servers
    assert [problem.code for problem in server.problems] == ["vni_unreadable"] * 2
    assert {vni.protocol_state_filtering_mode for vni in server.vnis} == {None}


def test_a_subnet_is_as_large_as_the_guest_says_and_else_no_more_than_the_address(world: World) -> None:
    with MetadataStandIn(world, "old-1") as service:
        metadata = read_metadata(service.url, FAST)
    seen = guest(link("eth0", 0, "10.0.0.21/24"), link("eth1", 1, "10.9.9.9/8"))
    subnets = {subnet.name: subnet.cidr for subnet in local_region(metadata, seen).fabric.subnets.values()}
    assert subnets == {"a": "10.0.0.0/24", "b": "10.0.1.21/32"}


# --- what may be said of it -------------------------------------------------------------------------------------------

INSTANCES = [
    name
    for name in cases.names()
    if any(
        each["name"] == cases.load(name).server or each["id"] == cases.load(name).server
        for each in json.loads((cases.CASES / name / cases.load(name).cloud).read_text())["instances"]
    )
]


@pytest.mark.recorded(3)
@pytest.mark.parametrize("name", INSTANCES)
def test_nothing_is_said_that_the_whole_vpc_would_contradict(name: str) -> None:
    """Each flow's verdict without the API is the one with it, or unknown."""
    whole = cases.snapshot_of(name)
    (server,) = whole.servers
    data = json.loads((cases.CASES / name / cases.load(name).cloud).read_text())
    with MetadataStandIn(data, server.name) as service:
        region = local_region(read_metadata(service.url, FAST), server.guest)
        assert service.unexpected == []
    alone = make_snapshot(
        region, [with_guest(each, server.guest) for each in region.servers], created_at="", everything=False
    )
    old, new = (
        report_on(snapshot, generated_at=whole.created_at, config=Config()).instances[0] for snapshot in (whole, alone)
    )
    assert new.id == old.id
    for flow in new.flows:
        assert flow.verdict is not Verdict.DELIVERED, "the security groups are not known"
    for change in compare_reports(old, new).flows:
        if change.old is not None and change.new is not None:
            assert change.new.verdict in (Verdict.UNKNOWN, change.old.verdict), change


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_nobody_answers() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    error = failure(url)
    assert error.code == "metadata_off"
    assert error.message.startswith(f"no answer from a metadata service at {url}; ")
    for way in ("instance-update INSTANCE --metadata-service true", "VNICHECK_METADATA_URL=https://", "analyze NAME"):
        assert way in error.message


def test_an_answer_that_does_not_come_in_time(world: World) -> None:
    with MetadataStandIn(world, "web-1") as service:
        service.fail("/identity/v1/token", method="PUT", delay=5, times=None)
        error = failure(service.url, Times(connect=0.5, read=0.3, total=5))
    assert (error.code, "no answer in time" in error.message) == ("metadata_off", True)


def test_a_service_that_drips_is_given_up_after_the_time_in_all(world: World) -> None:
    with MetadataStandIn(world, "web-1") as service:
        service.fail("/metadata/v1/instance", drip=0.1, times=None)
        with ends_in_time():
            assert failure(service.url, Times(total=1.0)).code == "metadata_timeout"


@pytest.mark.parametrize(
    ("path", "method", "fault", "code", "words"),
    [
        ("/identity/v1/token", "PUT", {"status": 404}, "metadata_other", "no virtual server of IBM Cloud VPC"),
        ("/identity/v1/token", "PUT", {"status": 403, "body": ""}, "metadata_other", "something else answers"),
        ("/identity/v1/token", "PUT", {"status": 403}, "metadata_refused", "injected by the test"),
        ("/identity/v1/token", "PUT", {"status": 302, "headers": {"Location": "/"}}, "metadata_other", "302"),
        ("/identity/v1/token", "PUT", {"status": 200, "body": "{}"}, "metadata_malformed", "no token"),
        ("/identity/v1/token", "PUT", {"status": 200, "body": '{"access_token": "a\\n"}'}, "metadata_malformed", "tok"),
        ("/identity/v1/token", "PUT", {"status": 200, "body": "<html>"}, "metadata_malformed", "not JSON"),
        ("/identity/v1/token", "PUT", {"reset": True}, "metadata_off", "no answer from"),
        ("/metadata/v1/instance", "GET", {"status": 404}, "metadata_other", "404"),
        ("/metadata/v1/instance", "GET", {"status": 500}, "metadata_refused", "run again"),
        ("/metadata/v1/instance", "GET", {"status": 200, "body": "[" * 100_000}, "metadata_malformed", "not JSON"),
        ("/metadata/v1/instance", "GET", {"status": 200, "body": '{"network_attachments": [1]}'}, "metadata_malformed",
         "no list network_attachments"),
        ("/metadata/v1/instance", "GET", {"status": 403, "body": '{"errors": [{"message": "x\\u001b[2J\\ny"}]}'},
         "metadata_refused", '"x [2J y"'),
    ],
)  # fmt: skip
def test_what_answers_wrongly_is_one_line(
    world: World, path: str, method: str, fault: dict[str, Any], code: str, words: str
) -> None:
    with MetadataStandIn(world, "web-1") as service:
        service.fail(path, method=method, times=None, **fault)
        error = failure(service.url)
    assert error.code == code
    assert words in error.message


@pytest.mark.parametrize("spoilt", ['{"id": 7}', "{}", '{"id": "x", "name": "x", "crn": "x", "vpc": {}, "zone": {}}'])
def test_an_instance_of_another_shape_is_one_line(world: World, spoilt: str) -> None:
    with MetadataStandIn(world, "old-1") as service:
        service.fail("/metadata/v1/instance", status=200, body=spoilt, times=None)
        with pytest.raises(CloudError) as caught:
            local_region(read_metadata(service.url, FAST), None)
    assert caught.value.code == "api_malformed"


def test_pages_that_do_not_end(world: World) -> None:
    body = json.dumps({"network_interfaces": [], "next": {"href": "http://x/?start=1"}})
    with MetadataStandIn(world, "old-1") as service:
        service.fail("/metadata/v1/instance/network_interfaces", status=200, body=body, times=None)
        error = failure(service.url)
    assert (error.code, "do not end" in error.message) == ("metadata_malformed", True)


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.send_response(200)
            self.end_headers()
            for _ in range(64):
                self.wfile.write(b" " * (1 << 20))

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Endless)
    threading.Thread(target=server.handle_request, daemon=True).start()
    error = failure(f"http://127.0.0.1:{server.server_address[1]}", Times(total=10))
    server.server_close()
    assert (error.code, "without end" in error.message) == ("metadata_malformed", True)


def test_no_proxy_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with MetadataStandIn(world, "web-1") as service:
        assert read_metadata(service.url, FAST).instance["name"] == "web-1"


def test_a_certificate_that_is_not_trusted(world: World, tmp_path: Path) -> None:
    with MetadataStandIn(world, "web-1", tls=self_signed(tmp_path)) as service:
        error = failure(service.url)
    assert (error.code, "no TLS connection" in error.message) == ("metadata_off", True)


@pytest.mark.parametrize("url", ["169.254.169.254", "ftp://x", "http://[::1", "http://"])
def test_an_address_that_is_none(url: str) -> None:
    assert failure(url).code == "bad_endpoint"


# --- the stand-in itself ----------------------------------------------------------------------------------------------


@pytest.fixture
def service(world: World) -> Iterator[MetadataStandIn]:
    with MetadataStandIn(world, "web-1") as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "body", "status"),
    [
        ("PUT", "/identity/v1/token", {"version": "2025-08-26"}, {}, b"", 400),
        ("PUT", "/identity/v1/token", {}, {"Metadata-Flavor": "ibm"}, b"", 400),
        ("PUT", "/identity/v1/token", {"version": "2025-08-26"}, {"Metadata-Flavor": "ibm"}, b'{"expires_in": 1}', 400),
        ("POST", "/identity/v1/token", {"version": "2025-08-26"}, {"Metadata-Flavor": "ibm"}, b"", 404),
        ("GET", "/metadata/v1/instances", {"version": "2025-08-26"}, {}, b"", 404),
        ("GET", "/metadata/v1/instance", {"version": "2025-08-26"}, {}, b"", 401),
        ("GET", "/metadata/v1/instance", {"version": "2025-08-26", "limit": "1"}, {}, b"", 400),
    ],
)
def test_the_stand_in_refuses_what_the_service_would(
    service: MetadataStandIn, method: str, path: str, query: Any, headers: Any, body: bytes, status: int
) -> None:
    assert service.answer(method, path, query, headers, body)[0] == status
    assert (service.unexpected == []) is (status == 401)
