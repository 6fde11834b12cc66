"""Findings that one thing makes stand together, and every finding belongs to one cause."""

import pytest

from tests.support import cases
from tests.support.servers import TWO_DEFAULTS, fabric, guest, link, server, two_vnis, vni
from vnicheck.analysis.server import analyze_server, report_on
from vnicheck.demo.checks import AS_RECORDED, CHECKS, load_check
from vnicheck.findings import causes
from vnicheck.findings.terms import CAUSES, DROPS, SHORT, SHORT_STAGES, STAGES
from vnicheck.model.cause import Cause, CauseKind
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import DropCode, Stage
from vnicheck.model.report import InstanceReport

LINKS = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"))
TABLE = "10.0.0.0/24 dev eth1 table 7\ndefault via 10.0.0.1 dev eth1 table 7\n"


def reported(routes: str = TWO_DEFAULTS, *, plans: bool = True) -> InstanceReport:
    inside = guest(*LINKS, routes=routes, rp_filter={"eth1": 1})
    return analyze_server(server(*two_vnis(spoofing=False), guest=inside), fabric(), Config(), plans=plans)


def rules_of(report: InstanceReport, cause: Cause) -> list[str]:
    of = {finding.fingerprint: finding.rule for finding in report.findings}
    return sorted(of[each] for each in cause.findings)


@pytest.mark.recorded(2)
@pytest.mark.parametrize("name", cases.names())
def test_every_finding_belongs_to_one_cause(name: str) -> None:
    report = cases.report_of(cases.snapshot_of(name), cases.config_of(name))
    told = [each for cause in report.causes for each in cause.findings]
    assert sorted(told) == sorted({finding.fingerprint for finding in report.findings})


def test_replies_by_the_wrong_interface_are_one_cause_with_one_plan() -> None:
    report = reported()
    wrong = report.causes[0]
    assert wrong.kind is CauseKind.WRONG_INTERFACE
    assert wrong.title == "replies from 10.0.0.12 leave by eth0, not eth1 (no policy routing)"
    assert wrong.addresses == ("10.0.0.12",)
    assert set(rules_of(report, wrong)) == {"VNC101", "VNC102"}
    assert wrong.plan
    assert (wrong.plan.strategy, wrong.plan.proved, wrong.plan.whole) == ("policy-routing", True, True)
    assert wrong.plan.commands[-1].startswith("ip rule add from 10.0.0.12 ")
    assert wrong.plan.next_boot, "what a boot does to it is never left out"


def test_a_plan_is_said_of_the_findings_alone_that_it_ends() -> None:
    """A table that no rule uses stays so: the plan has a table of its own."""
    report = reported(TWO_DEFAULTS + TABLE)
    (wrong,) = [cause for cause in report.causes if cause.kind is CauseKind.WRONG_INTERFACE]
    rule_of = {finding.fingerprint: finding.rule for finding in report.findings}
    assert wrong.plan
    assert {rule_of[each] for each in wrong.plan.findings} == {"VNC101", "VNC102"}
    assert "VNC202" in rules_of(report, wrong)


def test_a_path_that_works_by_two_interfaces_is_ended_too() -> None:
    """The article's third check: nothing of VNC201 is dropped, and with the plan nothing of it is asymmetric."""
    report = report_on(load_check(CHECKS[2]), generated_at="2026-01-01T00:00:00Z", config=AS_RECORDED).instances[0]
    rule_of = {finding.fingerprint: finding.rule for finding in report.findings}
    assert report.causes[0].plan
    assert {rule_of[each] for each in report.causes[0].plan.findings} == {"VNC102", "VNC201"}


def test_a_path_that_the_plan_leaves_as_it_is_is_none_of_its_work() -> None:
    """10.0.0.12 is dropped by rp_filter; 10.0.0.13 works by two interfaces, and goes on so."""
    links = (*LINKS, link("eth2", 2, "10.0.0.13/24"))
    inside = guest(*links, routes=TWO_DEFAULTS, rp_filter={"eth1": 1, "eth2": 2})
    vnis = [vni(number, f"10.0.0.1{number + 1}", protocol_state_filtering_mode="disabled") for number in range(3)]
    passed = Config(assumptions=Assumptions(spoofing_sibling="passed"))
    report = analyze_server(server(*vnis, guest=inside), fabric(), passed, plans=True)
    by_fingerprint = {finding.fingerprint: finding for finding in report.findings}
    (wrong,) = [cause for cause in report.causes if cause.kind is CauseKind.WRONG_INTERFACE]
    assert wrong.plan
    assert {each.local for one in wrong.plan.findings for each in by_fingerprint[one].affected} == {"10.0.0.12"}
    left = [by_fingerprint[one] for one in wrong.findings if one not in wrong.plan.findings]
    assert {each.local for one in left if one.rule == "VNC201" for each in one.affected} == {"10.0.0.13"}


def test_without_proof_a_plan_is_only_named() -> None:
    (plan,) = [cause.plan for cause in reported(plans=False).causes if cause.kind is CauseKind.WRONG_INTERFACE]
    assert plan
    assert (plan.strategy, plan.proved, plan.commands) == ("policy-routing", False, ())


def test_a_table_without_a_rule_is_why_replies_go_wrong() -> None:
    report = reported(TWO_DEFAULTS + TABLE)
    (wrong,) = [cause for cause in report.causes if cause.kind is CauseKind.WRONG_INTERFACE]
    assert wrong.title.endswith("(a routing table is there, and no rule uses it)")
    assert "VNC202" in rules_of(report, wrong)
    assert not any(cause.kind is CauseKind.UNUSED_TABLE for cause in report.causes)


def test_a_table_of_an_address_that_is_well_is_a_cause_of_its_own() -> None:
    report = reported(TWO_DEFAULTS + TABLE.replace("eth1", "eth0"))
    kinds = {cause.kind for cause in report.causes}
    assert {CauseKind.WRONG_INTERFACE, CauseKind.UNUSED_TABLE} <= kinds


@pytest.mark.parametrize(
    ("name", "kind", "title"),
    [
        ("secondary-address-missing", CauseKind.ADDRESS_MISSING, "the server does not have"),
        ("interface-down", CauseKind.INTERFACE_DOWN, "eth1 is down"),
        ("network-acl-ports-known-clients", CauseKind.NETWORK_ACL, "network ACLs refuse replies to 10.0.0.11"),
        ("transit-one-arm", CauseKind.TRANSIT, "traffic through the server is lost"),
    ],
)
def test_kinds(name: str, kind: CauseKind, title: str) -> None:
    report = cases.report_of(cases.snapshot_of(name), cases.config_of(name))
    titles = [cause.title for cause in report.causes if cause.kind is kind]
    assert len(titles) == 1
    assert titles[0].startswith(title)


def test_every_drop_every_stage_and_every_kind_has_its_words() -> None:
    drops = causes.OF_THE_ADDRESS.keys() | causes.OF_ONE_INTERFACE.keys()
    assert drops == SHORT.keys() == DROPS.keys() == set(DropCode)
    assert SHORT_STAGES.keys() == STAGES.keys() == set(Stage)
    assert CAUSES.keys() == set(CauseKind)
