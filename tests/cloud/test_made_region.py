"""A made region over HTTP: the same facts as its snapshot folder holds, in calls that are pages and not servers."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.region_files import snapshot, world, write_folder
from tests.api import StandIn
from vnicheck.analysis.server import analyze_server
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.complete import complete
from vnicheck.cloud.read import LISTS, read_region
from vnicheck.collect.live import make_snapshot
from vnicheck.collect.snapshot_folder import SnapshotFolder
from vnicheck.model.config import Config
from vnicheck.model.snapshot import Snapshot

Opener = Callable[[StandIn], VpcClient]
SERVERS = 120
PAGE = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> SnapshotFolder:
    return write_folder(SERVERS, tmp_path_factory.mktemp("region"))


def read(api: StandIn, to: Opener) -> Snapshot:
    client = to(api)
    region = read_region(client)
    whole = complete(client, region, region.servers)
    return make_snapshot(whole, whole.servers, created_at="2026-01-01T00:00:00Z", everything=True)


def test_the_api_and_the_folder_hold_one_region(to: Opener, folder: SnapshotFolder) -> None:
    with StandIn(world(SERVERS)) as api:
        found = read(api, to)
        assert api.unexpected == []
    made = folder.cloud("us-south")
    assert found == snapshot(SERVERS)
    assert found == made


def test_calls_are_pages_but_for_legacy_and_bare_metal_servers(to: Opener) -> None:
    made = world(SERVERS)
    with StandIn(made, page_size=PAGE) as api:
        found = read(api, to)
        calls = Counter(call.path for call in api.calls)
    for name in LISTS:
        assert calls.pop(f"/{name}") == max(1, -(-len(made.data[name]) // PAGE)), name
    apart = {server.id for server in found.servers if server.kind != "instance" or any(v.legacy for v in server.vnis)}
    of_servers = {
        path: count for path, count in calls.items() if path.startswith(("/instances/", "/bare_metal_servers/"))
    }
    assert {path.split("/")[2] for path in of_servers} == apart
    assert set(of_servers.values()) == {1}
    assert 0 < len(apart) < SERVERS / 10
    of_vpcs = {path: count for path, count in calls.items() if path.startswith("/vpcs/")}
    assert len(of_vpcs) == 2 + len(found.fabric.routing_tables)
    assert of_servers.keys() | of_vpcs.keys() == calls.keys()


def test_the_region_has_what_it_promises(folder: SnapshotFolder) -> None:
    """Every kind of server and every sort of trouble that its makers name."""
    servers = list(folder.servers("us-south"))
    fabric = folder.cloud("us-south").fabric
    assert {len(server.vnis) for server in servers} >= {2, 3, 4, 15}
    assert {server.kind for server in servers} == {"instance", "bare_metal_server"}
    assert {server.status for server in servers} == {"running", "stopped"}
    assert max(len(group.rules) for group in fabric.security_groups.values()) == 250
    assert max(len(vni.security_groups or ()) for server in servers for vni in server.vnis) == 5
    assert any(rule.remote_group for group in fabric.security_groups.values() for rule in group.rules)
    guests = [server.guest for server in servers if server.guest is not None]
    assert {guest.os.id for guest in guests} == {"rhel", "ubuntu", "debian", "sles"}
    assert {link.name for guest in guests for link in guest.interfaces} >= {"docker0", "cilium_host", "vlan101"}
    reports = [analyze_server(server, fabric, Config()) for server in servers]
    assert {report.status for report in reports} == {"analyzed", "incomplete", "skipped"}
    assert {"VNC101", "VNC102", "VNC201", "VNC202", "VNC251"} <= {f.rule for report in reports for f in report.findings}
    assert any(report.status == "analyzed" and not report.findings for report in reports)


def test_the_same_number_gives_the_same_region(folder: SnapshotFolder, tmp_path: Path) -> None:
    again = write_folder(SERVERS, tmp_path)
    files = {path.relative_to(folder.path): path.read_bytes() for path in folder.path.rglob("*.json")}
    assert files == {path.relative_to(again.path): path.read_bytes() for path in again.path.rglob("*.json")}
    assert len(files) > SERVERS * 0.9
