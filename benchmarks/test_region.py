"""The made region: one region as a folder, over HTTP and in the model; what it promises; and its classes."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.region_files import snapshot, world, write_folder
from tests.api import StandIn
from tests.support.amounts import drawn
from tests.support.one_flow import PORTS, check
from tests.support.vpc_client import FAST
from vnicheck.analysis.server import analyze_server
from vnicheck.cloud.complete import complete
from vnicheck.cloud.connect import connect
from vnicheck.cloud.read import read_region
from vnicheck.collect.live import make_snapshot
from vnicheck.collect.snapshot_folder import SnapshotFolder
from vnicheck.engine.server_view import ServerView
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.snapshot import Server

SERVERS = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> SnapshotFolder:
    return write_folder(SERVERS, tmp_path_factory.mktemp("region"))


@pytest.fixture(scope="module")
def region(folder: SnapshotFolder) -> tuple[list[Server], Fabric]:
    return list(folder.servers("us-south")), folder.cloud("us-south").fabric


def test_the_api_and_the_folder_hold_one_region(folder: SnapshotFolder) -> None:
    with StandIn(world(SERVERS)) as api:
        client = connect(region=None, environ=api.environ, auth=None, http=FAST)
        region = read_region(client)
        whole = complete(client, region, region.servers)
        assert api.unexpected == []
    found = make_snapshot(whole, whole.servers, created_at="2026-01-01T00:00:00Z", everything=True)
    assert found == snapshot(SERVERS)
    assert found == folder.cloud("us-south")


def test_the_region_has_what_it_promises(region: tuple[list[Server], Fabric]) -> None:
    """Every kind of server and every sort of trouble that its makers name."""
    servers, fabric = region
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
    well = [
        report for report in reports if report.status == "analyzed" and {f.rule for f in report.findings} <= {"VNC402"}
    ]
    assert well, "nothing is wrong there; ACLs that decide by the clients' ports leave some flows unknown"


def test_the_same_number_gives_the_same_region(folder: SnapshotFolder, tmp_path: Path) -> None:
    again = write_folder(SERVERS, tmp_path)
    files = {path.relative_to(folder.path): path.read_bytes() for path in folder.path.rglob("*.json")}
    assert files == {path.relative_to(again.path): path.read_bytes() for path in again.path.rglob("*.json")}
    assert len(files) > SERVERS * 0.9


@settings(max_examples=drawn(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, SERVERS - 1), st.randoms(use_true_random=False))
def test_a_class_says_what_each_of_its_flows_meets(
    region: tuple[list[Server], Fabric], number: int, random: Any
) -> None:
    """With rules by the hundred, and groups as large as a region's."""
    servers, fabric = region
    neighbours = [address for vni in servers[number - 1].vnis for address in vni.addresses]
    partners = [rule.remote for group in fabric.security_groups.values() for rule in group.rules]
    given_partners = [remote for remote in partners if remote not in {None, "0.0.0.0/0"}]
    near = [prefix.partition("/")[0] for prefix in random.sample(given_partners, 4)]
    view = ServerView(servers[number], fabric, Config())
    check(view, [*neighbours[:2], *near, "8.8.8.8"], random.sample([*PORTS, 23, 445, 9100, 2100], 3))
