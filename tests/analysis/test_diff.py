"""Two snapshots compared: exact on every single flow, and what could not be compared is said."""

import random
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from tests.support import cases
from tests.support.servers import (
    POLICY_ROUTING,
    POLICY_RULES,
    acl_rule,
    fabric,
    group_rule,
    guest,
    report,
    router,
    server,
    transit_fabric,
    two_vnis,
    vni,
)
from vnicheck.analysis.diff import assemble_diff, compare_reports, is_regression
from vnicheck.engine.refinement import difference, intersection, port_ranges, remote_ranges
from vnicheck.model.address import format_address, parse_address, prefix_range
from vnicheck.model.cloud import AclRule, NetworkAcl, SecurityGroup, SecurityGroupRule
from vnicheck.model.diff import Answer, ServerChange, Side, encode_diff
from vnicheck.model.expectation import EVERY_PORT
from vnicheck.model.flow import Flow
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import Problem

STRICT: dict[str, Any] = {"rp_filter": {"eth0": 1, "eth1": 1}}
LOOSE: dict[str, Any] = {"rp_filter": {"all": 2}}
ROUTED = guest(routes=POLICY_ROUTING, rules=POLICY_RULES, rp_filter={"eth0": 1, "eth1": 1})
REFUSED = Problem(code="ssh_refused", message="connection refused")
"""Why a guest is missing."""


def within(number: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(first <= number <= last for first, last in ranges)


def answer_in(flows: Iterable[Flow], kind: tuple[object, ...], remote: int, end: int, port: int) -> Answer | None:
    """What is predicted of one flow: found by looking at every class."""
    for flow in flows:
        ends = None if isinstance(flow.local_prefixes, UnsetType) else map(prefix_range, flow.local_prefixes)
        if (
            (flow.direction, flow.protocol, flow.local) == kind
            and within(remote, remote_ranges(flow))
            and within(port, port_ranges(flow, EVERY_PORT))
            and (ends is None or within(end, ends))
        ):
            return Answer(verdict=flow.verdict, dropped_by=flow.dropped_by, egress=flow.egress)
    return None


def group(key: str, *rules: SecurityGroupRule) -> SecurityGroup:
    return SecurityGroup(id=key, name=key, rules=rules)


def acl(*rules: AclRule) -> NetworkAcl:
    return NetworkAcl(id="acl", name="acl", rules=rules)


WORLDS = {
    "policy routing": (server(guest=guest(**STRICT)), fabric(), server(guest=ROUTED), fabric()),
    "loose": (server(guest=guest(**STRICT)), fabric(), server(guest=guest(**LOOSE)), fabric()),
    "an address less": (
        server(vni(0, "10.0.0.11"), vni(1, "10.0.0.12", "10.0.0.13"), guest=guest(**STRICT)), fabric(),
        server(guest=guest(**STRICT)), fabric(),
    ),
    "ports and remotes of groups": (
        server(*two_vnis(security_groups=("web",)), guest=guest(**LOOSE)),
        fabric(groups=[group("web", group_rule("inbound", "tcp", "10.8.0.0/16", port_min=80, port_max=443),
                             group_rule("outbound"))]),
        server(*two_vnis(security_groups=("web",)), guest=ROUTED),
        fabric(groups=[group("web", group_rule("inbound", "tcp", "10.8.3.0/24", port_min=443, port_max=8443),
                             group_rule("outbound", remote="10.0.0.0/8"))]),
    ),
    "ACLs": (
        server(guest=guest(**LOOSE)), fabric(),
        server(guest=guest(**LOOSE)),
        fabric(acls=[acl(acl_rule("deny", "inbound", "tcp", "10.8.0.0/15"), acl_rule("allow", "inbound"),
                                 acl_rule("allow", "outbound"))]),
    ),
    "guest lost": (server(guest=guest(**STRICT)), fabric(), server(problems=(REFUSED,)), fabric()),
    "transit": (router(), transit_fabric(), router(forwarding=0), transit_fabric()),
}  # fmt: skip


@pytest.mark.parametrize("name", WORLDS)
def test_every_single_flow_is_told_if_and_only_if_its_answer_changed(name: str) -> None:
    old_server, old_fabric, new_server, new_fabric = WORLDS[name]
    old, new = report(old_server, old_fabric), report(new_server, new_fabric)
    changes = compare_reports(old, new).flows
    assert changes, "a comparison of two different worlds"
    for change in changes:
        assert change.old != change.new
    chance = random.Random(name)
    kinds = sorted({(flow.direction, flow.protocol, flow.local) for flow in (*old.flows, *new.flows)})
    edges = {edge for flow in (*old.flows, *new.flows) for pair in remote_ranges(flow) for edge in pair}
    doors = sorted(
        {port for flow in (*old.flows, *new.flows) for pair in port_ranges(flow, EVERY_PORT) for port in pair}
    )
    prefixes = {prefix for flow in (*old.flows, *new.flows) for prefix in flow.local_prefixes or ()}
    ends = sorted({end for prefix in prefixes for end in prefix_range(prefix)}) or [0]
    looked = 0
    for kind in kinds:
        for _ in range(150):
            remote = chance.choice([*edges, chance.randrange(2**32), parse_address("10.8.3.7"), *edges])
            end = chance.choice([*ends, *ends, chance.randrange(2**32)])
            port = chance.choice([*doors, chance.randrange(1, 65536)])
            was, now = (answer_in(side.flows, kind, remote, end, port) for side in (old, new))
            told = [
                (change.old, change.new)
                for change in changes
                if (change.direction, change.protocol, change.local) == kind
                and within(remote, map(prefix_range, change.remote))
                and (change.ports is UNSET or any(_holds(ports, port) for ports in change.ports))
                and (change.local_prefixes is UNSET or within(end, map(prefix_range, change.local_prefixes)))
            ]
            assert told == ([(was, now)] if was != now else []), (kind, format_address(remote), port)
            looked += was != now
    assert looked > 20, "hardly any sample was of a flow that changed"


def _holds(ports: str, port: int) -> bool:
    first, _, last = ports.partition("-")
    return int(first) <= port <= int(last or first)


@pytest.mark.recorded(3)
@pytest.mark.parametrize("name", cases.names())
def test_a_snapshot_does_not_differ_from_itself(name: str) -> None:
    snapshot = cases.snapshot_of(name)
    instance = cases.report_of(snapshot)
    change = compare_reports(instance, instance)
    assert (change.findings, change.flows) == ((), ())
    assert change.certain is (not instance.problems)
    diff = assemble_diff(Side(read_at={}), Side(read_at={}), [change])
    assert (diff.summary.same, len(diff.servers)) == ((1, 0) if change.certain else (0, 1))


def rules(change: ServerChange, kind: str) -> list[tuple[str, bool]]:
    return [(each.rule, each.certain) for each in change.findings if each.change == kind]


def test_findings_are_new_or_gone_by_their_fingerprints() -> None:
    strict, routed = report(server(guest=guest(**STRICT))), report(server(guest=ROUTED))
    fixed = compare_reports(strict, routed)
    assert ("VNC101", True) in rules(fixed, "gone")
    assert not [each for each in fixed.findings if is_regression(each) and each.severity == "error"]
    broken = compare_reports(routed, strict)
    assert ("VNC101", True) in rules(broken, "new")
    assert [each.rule for each in broken.findings if is_regression(each)] == [rule for rule, _ in rules(broken, "new")]


def test_a_finding_that_became_worse_counts_and_one_that_became_milder_does_not() -> None:
    instance = report(server(guest=guest(**STRICT)))
    milder = msgspec.structs.replace(
        instance, findings=tuple(msgspec.structs.replace(each, severity="note") for each in instance.findings)
    )
    (worse,) = (each for each in compare_reports(milder, instance).findings if each.rule == "VNC101")
    assert (worse.change, worse.severity, worse.was, is_regression(worse)) == ("severity", "error", "note", True)
    (better,) = (each for each in compare_reports(instance, milder).findings if each.rule == "VNC101")
    assert (better.severity, better.was, is_regression(better)) == ("note", "error", False)


def test_what_is_gone_because_it_could_not_be_seen_is_not_said_to_be_gone_for_certain() -> None:
    seen, unseen = report(server(guest=guest(**STRICT))), report(server(problems=(REFUSED,)))
    change = compare_reports(seen, unseen)
    assert not change.certain
    assert change.reasons["new"] == (REFUSED,)
    assert ("VNC101", False) in rules(change, "gone")
    assert {flow.new.verdict for flow in change.flows if flow.new is not None} <= {"unknown", "dropped"}
    back = compare_reports(unseen, seen)
    assert ("VNC101", False) in rules(back, "new")


def test_a_server_without_flows_is_not_compared_flow_by_flow() -> None:
    running = report(server(guest=guest(**STRICT)))
    stopped = report(server(status="stopped"))
    assert stopped.flows == ()
    change = compare_reports(running, stopped)
    assert (change.flows, change.certain) == ((), False)
    assert [problem.code for problem in change.reasons["new"]] == ["not_running"]


def test_servers_of_one_snapshot_only() -> None:
    instance = report(server(guest=guest(**STRICT)))
    came, went = compare_reports(None, instance), compare_reports(instance, None)
    assert (came.presence, came.certain, went.presence, went.certain) == ("only_new", True, "only_old", True)
    assert ("VNC101", True) in rules(came, "new")
    assert ("VNC101", True) in rules(went, "gone")
    lost = compare_reports(instance, None, absent=Problem(code="servers_unread", message="403"))
    assert (lost.certain, [each.code for each in lost.reasons["new"]]) == (False, ["servers_unread"])
    assert ("VNC101", False) in rules(lost, "gone")
    with pytest.raises(ValueError, match="neither"):
        compare_reports(None, None)


def test_the_document_counts_what_it_lists_and_is_the_same_each_time() -> None:
    old, new = report(server(guest=guest(**STRICT))), report(server(guest=guest(**LOOSE)))

    def document() -> bytes:
        changes = [compare_reports(old, new), compare_reports(old, old), compare_reports(None, renamed(new, "other"))]
        return encode_diff(assemble_diff(Side(read_at={"a": "t"}), Side(read_at={"a": "u"}), changes))

    diff = msgspec.json.decode(document())
    assert document() == document()
    assert [each["presence"] for each in diff["servers"]] == ["both", "only_new"]
    assert (diff["complete"], diff["summary"]["same"], diff["summary"]["changed"]) == (True, 1, 1)
    listed = [each for of in diff["servers"] for each in of["findings"] if each["change"] == "new"]
    assert sum(diff["summary"]["new_findings"].values()) == len(listed)
    assert diff["summary"]["changed_flows"] == len(diff["servers"][0]["flows"]) > 0


def renamed(instance: InstanceReport, name: str) -> InstanceReport:
    return msgspec.structs.replace(instance, id=name, name=name)


def test_ranges() -> None:
    assert difference([(1, 10)], []) == [(1, 10)]
    assert difference([(1, 10)], [(1, 10)]) == []
    assert difference([(1, 10), (20, 30)], [(3, 4), (8, 25)]) == [(1, 2), (5, 7), (26, 30)]
    assert difference([(5, 6)], [(1, 4), (7, 9)]) == [(5, 6)]
    chance = random.Random(1)
    for _ in range(300):
        some, others = (sorted(chance.sample(range(60), 8)) for _ in range(2))
        left = [(some[i], some[i + 1]) for i in range(0, 8, 2)]
        right = [(others[i], others[i + 1]) for i in range(0, 8, 2)]
        numbers = {n for first, last in left for n in range(first, last + 1)}
        taken = {n for first, last in right for n in range(first, last + 1)}
        assert {n for a, b in difference(left, right) for n in range(a, b + 1)} == numbers - taken
        assert {n for a, b in intersection(left, right) for n in range(a, b + 1)} == numbers & taken
