"""Every case under fixtures/cases comes out as its case.toml says."""

import pytest

from tests.support import cases
from tests.support.reports import render
from vnicheck.analysis.server import assemble_report
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.fixes.planner import plan_server
from vnicheck.model.config import Config
from vnicheck.model.finding import Fix
from vnicheck.model.snapshot import Snapshot, decode_snapshot, encode_snapshot


@pytest.mark.parametrize("name", cases.names())
def test_case(name: str) -> None:
    snapshot = cases.snapshot_of(name)
    assert decode_snapshot(encode_snapshot(snapshot)) == snapshot
    check_case(snapshot, cases.load(name), cases.config_of(name))


@pytest.mark.long(3)
@pytest.mark.parametrize("name", [name for name in cases.names() if cases.variants(name)])
def test_variants(name: str) -> None:
    for case in cases.variants(name):
        check_case(cases.snapshot_of(name, case), case, cases.config_of(name, case))


def check_case(snapshot: Snapshot, case: cases.Case, config: Config) -> None:
    instance = cases.report_of(snapshot, config)
    told_problems = [f"{problem.code}: {problem.message}" for problem in instance.problems]
    assert len(told_problems) == len(case.problems), told_problems
    for said, wanted in zip(told_problems, case.problems, strict=True):
        assert said.startswith(wanted)
    assert instance.status == case.status
    matched = {
        each.vni.name: each.name if each.in_guest else "-" for each in instance.interfaces if each.vni is not None
    }
    assert matched.items() >= case.interfaces.items()
    text = " ".join(render(assemble_report((instance,), generated_at=snapshot.created_at), 100, explain=True).split())
    for words in case.text:
        assert words in text
    assert {each.rule for each in instance.findings} >= set(case.findings), case.title
    if case.errors is not None:
        assert {each.rule for each in instance.findings if each.severity == "error"} == set(case.errors), case.title
    for expected in case.expect:
        flow = cases.find(instance, expected.flow)
        told = [f"{drop.by} at {drop.at}" for drop in flow.drops]
        reasons = [hop.reason for hop in flow.hops if hop.outcome != "pass"]
        assert (flow.verdict, told) == (expected.verdict, list(expected.drops)), (case.title, expected.flow, reasons)
        if expected.reason:
            assert expected.reason in reasons[0]
        for words in expected.says:
            assert any(words in hop.reason for hop in flow.hops), [hop.reason for hop in flow.hops]
        if expected.way is not None:
            assert f"{flow.ingress} -> {flow.egress}" == expected.way
    if case.plan is not None:
        check_plan(snapshot, case.plan, config, [fix for finding in instance.findings for fix in finding.fixes])


def check_plan(snapshot: Snapshot, wanted: cases.PlanExpectation, config: Config, told: list[Fix]) -> None:
    """The plan is as the case says, and nothing but that stays broken; findings tell its commands and no others."""
    (server,) = snapshot.servers
    proof = plan_server(server, snapshot.fabric, config)
    assert proof is not None
    plan = proof.document.plan
    assert (plan.strategy, plan.remaining == 0) == (wanted.strategy, not wanted.unfixed), plan.why_not
    commands = [step.command for action in plan.immediate for step in action.steps]
    assert set(wanted.commands) <= set(commands), commands
    for words in wanted.unfixed:
        assert any(words in said for said in proof.document.unfixed), proof.document.unfixed
    for words in wanted.agents:
        assert any(words in said for said in proof.document.agents), proof.document.agents
    routed = {command for fix in told if fix.title == "policy routing" for command in fix.commands}
    assert routed == (set(commands) if plan.strategy == "policy-routing" else set())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"check-{check.number}")
def test_the_packaged_demo_is_the_case(check: object) -> None:
    """`make demo-snapshot` writes it anew."""
    packaged = load_check(check)  # type: ignore[arg-type]
    assert packaged == cases.snapshot_of(f"article-check-{check.number}")  # type: ignore[attr-defined]
