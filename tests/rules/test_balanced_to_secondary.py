"""Members of load balancers that are addresses of secondary interfaces."""

from typing import Any

import msgspec
import pytest

from tests.support.servers import fabric, guest, report, server, two_vnis
from vnicheck.model.cloud import LoadBalancerMember, Ref
from vnicheck.model.finding import Finding
from vnicheck.model.snapshot import SCHEMA, Server, Snapshot, decode_snapshot, encode_snapshot

SERVER = server(*two_vnis(), guest=guest())


def member(address: str | None, **more: Any) -> LoadBalancerMember:
    fields: dict[str, Any] = {
        "load_balancer": Ref(id="lb-id", name="lb"),
        "family": "network",
        "vpc": SERVER.vpc.id,
        "pool": Ref(id="pool-id", name="pool"),
        "port": 443,
    }
    return LoadBalancerMember(address=address, **(fields | more))


def found(*members: LoadBalancerMember, of: Server = SERVER, **more: Any) -> list[Finding]:
    around = fabric(load_balancer_members=members, **more)
    return [finding for finding in report(of, around).findings if finding.rule == "VNC207"]


def test_an_address_of_a_secondary_interface() -> None:
    (finding,) = found(member("10.0.0.12"), member("10.0.0.11"))
    assert (finding.name, finding.severity, finding.confidence) == ("balanced-to-secondary", "warning", "computed")
    for words in ("load balancer lb has 10.0.0.12 in pool pool", "of vni-2", "primary interface (vni-1) only"):
        assert words in finding.message
    assert [(fact.source, fact.text) for fact in finding.evidence] == [
        ("GET /load_balancers/lb-id/pools/pool-id/members", "target.address = 10.0.0.12, port = 443"),
        ("GET /instances/server-id", "primary_network_attachment.virtual_network_interface.id = vni-id-1"),
    ]
    assert any("10.0.0.11 of vni-1" in fix.title for fix in finding.fixes)


def test_several_ports_are_one_finding_and_several_pools_are_not() -> None:
    other = member("10.0.0.12", pool=Ref(id="other-id", name="other"))
    findings = found(member("10.0.0.12", port=80), member("10.0.0.12", port=0), other)
    assert [len(finding.evidence) for finding in findings] == [3, 2]
    assert any("port = 0" in fact.text for fact in findings[0].evidence)
    assert len({finding.fingerprint for finding in findings}) == 2


@pytest.mark.parametrize(
    "healthy",
    [
        member("10.0.0.11"),
        member("10.0.0.12", family="application"),
        member("10.0.0.12", family="of tomorrow"),
        member("10.0.0.12", vpc="another"),
        member("10.0.0.77"),
        member(None, instance=SERVER.id),
        member(None),
    ],
)
def test_what_is_well(healthy: LoadBalancerMember) -> None:
    assert found(healthy) == []


def test_where_facts_are_missing_nothing_is_claimed() -> None:
    assert found(missing={"load_balancers": "403"}) == []
    nameless = tuple(msgspec.structs.replace(vni, primary=False) for vni in SERVER.vnis)
    assert found(member("10.0.0.12"), of=msgspec.structs.replace(SERVER, vnis=nameless)) == []


def test_unread_load_balancers_leave_a_server_complete() -> None:
    told = report(SERVER, fabric(missing={"load_balancers": "403"}))
    assert (told.status, told.problems) == ("analyzed", ())
    assert report(SERVER, fabric(missing={"network_acls": "403"})).status == "incomplete"


def test_members_survive_the_snapshot() -> None:
    around = fabric(load_balancer_members=(member("10.0.0.12", port=0), member(None, instance="i")))
    snapshot = Snapshot(schema=SCHEMA, tool_version="1", created_at="", servers=(SERVER,), fabric=around)
    assert decode_snapshot(encode_snapshot(snapshot)) == snapshot
