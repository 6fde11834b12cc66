"""The stand-in, asked over plain HTTP: what it answers, what it refuses, which failures it commits."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.api import StandIn, World

COMMON = "version=2026-10-06&generation=2"


def ask(url: str, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.fixture
def world() -> World:
    made = World().vpc("prod").subnet("a", "10.0.0.0/24")
    for number in range(5):
        made.instance(f"web-{number}", interfaces=[{"subnet": "a", "address": f"10.0.0.{number + 11}"}])
    return made


def test_pages_link_to_each_other(world: World) -> None:
    with StandIn(world, page_size=2) as api:
        url: str | None = f"{api.url}/instances?{COMMON}&limit=100"
        names = []
        while url is not None:
            status, page = ask(url)
            assert status == 200
            assert page["total_count"] == 5
            names += [item["name"] for item in page["instances"]]
            url = f"{page['next']['href']}&{COMMON}" if "next" in page else None
        assert names == [f"web-{number}" for number in range(5)]
        assert len(api.calls) == 3


@pytest.mark.parametrize(
    "query",
    ["", "version=2026-10-06", "generation=2&version=yesterday", f"{COMMON}&colour=red", f"{COMMON}&limit=101"],
)
def test_a_wrong_query_is_refused_and_noted(world: World, query: str) -> None:
    with StandIn(world) as api:
        status, answer = ask(f"{api.url}/instances?{query}")
        assert status == 400
        assert answer["errors"][0]["code"]
        assert len(api.unexpected) == 1


def test_unknown_paths_and_methods_are_refused_and_noted(world: World) -> None:
    with StandIn(world) as api:
        assert ask(f"{api.url}/volumes?{COMMON}")[0] == 400
        assert ask(f"{api.url}/instances?{COMMON}", "DELETE")[0] == 400
        assert ask(f"{api.root}/elsewhere")[0] == 400
        assert len(api.unexpected) == 3


def test_unknown_ids_are_404_and_no_surprise(world: World) -> None:
    with StandIn(world) as api:
        for path in ("instances/x", "virtual_network_interfaces/x", "vpcs/x/routing_tables"):
            status, answer = ask(f"{api.url}/{path}?{COMMON}")
            assert status == 404
            assert answer["errors"][0]["message"]
        assert api.unexpected == []


def test_filters_are_applied(world: World) -> None:
    with StandIn(world) as api:
        page = ask(f"{api.url}/instances?{COMMON}&name=web-3&vpc.name=prod")[1]
        assert [item["name"] for item in page["instances"]] == ["web-3"]


def test_a_patch_changes_the_world(world: World) -> None:
    changes: list[str] = []
    with StandIn(world, on_patch=lambda vni: changes.append(vni["protocol_state_filtering_mode"])) as api:
        url = f"{api.url}/virtual_network_interfaces/{world.vni_id('web-1')}?{COMMON}"
        patch = {"protocol_state_filtering_mode": "disabled", "allow_ip_spoofing": True}
        status, changed = ask(url, "PATCH", patch, **{"Content-Type": "application/merge-patch+json"})
        assert status == 200
        assert patch.items() <= changed.items()
        assert patch.items() <= ask(url)[1].items()
        assert changes == ["disabled"]
        assert api.calls[0].body == patch


@pytest.mark.parametrize(
    "patch", [{"name": "x"}, {}, [], {"protocol_state_filtering_mode": "off"}, {"allow_ip_spoofing": 1}]
)
def test_a_wrong_patch_is_refused_and_noted(world: World, patch: object) -> None:
    with StandIn(world) as api:
        url = f"{api.url}/virtual_network_interfaces/{world.vni_id('web-1')}?{COMMON}"
        before = ask(url)[1]
        assert ask(url, "PATCH", patch, **{"Content-Type": "application/merge-patch+json"})[0] == 400
        assert ask(url)[1] == before
        assert len(api.unexpected) == 1


def test_a_share_cannot_be_disabled(world: World) -> None:
    world.share_vni("share", subnet="a", address="10.0.0.99")
    with StandIn(world) as api:
        url = f"{api.url}/virtual_network_interfaces/{world.id('virtual-network-interface', 'share')}?{COMMON}"
        patch = {"protocol_state_filtering_mode": "disabled"}
        assert ask(url, "PATCH", patch, **{"Content-Type": "application/merge-patch+json"})[0] == 409


def test_a_token_is_demanded(world: World) -> None:
    with StandIn(world, token="t0p") as api:
        assert ask(f"{api.url}/vpcs?{COMMON}")[0] == 401
        assert ask(f"{api.url}/vpcs?{COMMON}", Authorization="Bearer t0p")[0] == 200


def test_faults_happen_as_often_as_told(world: World) -> None:
    with StandIn(world) as api:
        api.fail("/instances", status=429, times=2, headers={"Retry-After": "7"})
        statuses = [ask(f"{api.url}/instances?{COMMON}")[0] for _ in range(3)]
        assert statuses == [429, 429, 200]
        api.fail("/instances/*", reset=True)
        with pytest.raises(OSError, match=r"reset|closed"):
            ask(f"{api.url}/instances/x?{COMMON}")
        api.fail("/vpcs", status=200, body='{"vpcs": [')
        with pytest.raises(ValueError, match="Expecting"):
            ask(f"{api.url}/vpcs?{COMMON}")
        api.fail("/vpcs", delay=0.2)
        began = time.monotonic()
        assert ask(f"{api.url}/vpcs?{COMMON}")[0] == 200
        assert time.monotonic() - began >= 0.2


def test_the_program_serves_a_file(world: World, tmp_path: Path) -> None:
    world.data["faults"] = [{"path": "/vpcs", "status": 500}]
    path = world.save(tmp_path / "world.json")
    command = [sys.executable, "-m", "tests.api", str(path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as program:
        assert program.stdout is not None
        try:
            url = program.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            assert [ask(f"{url}/vpcs?{COMMON}")[0] for _ in range(2)] == [500, 200]
            calls = ask(url.removesuffix("/v1") + "/_calls")[1]
            assert calls == {"calls": ["GET /vpcs", "GET /vpcs"], "unexpected": []}
        finally:
            os.kill(program.pid, signal.SIGTERM)
    assert program.returncode == 0


def test_listeners_are_a_list_of_their_own_and_of_worlds_without_any_empty() -> None:
    world = World().vpc("prod").subnet("a", "10.0.0.0/24")
    world.load_balancer("nlb", subnet="a", members=[], listeners=[{"port": 443}])
    path = f"/load_balancers/{world.id('load-balancer', 'nlb')}/listeners"
    with StandIn(world) as api:
        status, answer = ask(f"{api.url}{path}?{COMMON}")
        assert status == 200
        assert [(each["port"], each["port_max"]) for each in answer["listeners"]] == [(443, 443)]
        del world.data["listeners"]
        assert ask(f"{api.url}{path}?{COMMON}") == (200, {"listeners": []})
        assert ask(f"{api.url}/load_balancers/gone/listeners?{COMMON}")[0] == 404
        assert api.unexpected == []


def test_spoofing_cannot_be_allowed_without_infrastructure_nat() -> None:
    world = World().vpc("prod").subnet("a", "10.0.0.0/24")
    world.bare_metal_server("metal", interfaces=[{"subnet": "a", "address": "10.0.0.4", "infrastructure_nat": False}])
    kind = {"Content-Type": "application/merge-patch+json"}
    with StandIn(world) as api:
        url = f"{api.url}/virtual_network_interfaces/{world.vni_id('metal')}?{COMMON}"
        assert ask(url, "PATCH", {"allow_ip_spoofing": True}, **kind)[0] == 409
        assert ask(url, "PATCH", {"allow_ip_spoofing": False}, **kind)[0] == 200
        assert api.unexpected == []
