"""Every case under fixtures/cases comes out as its case.toml says."""

import pytest

from tests import cases
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.snapshot import decode_snapshot, encode_snapshot


@pytest.mark.parametrize("name", cases.names())
def test_case(name: str) -> None:
    snapshot = cases.snapshot_of(name)
    assert decode_snapshot(encode_snapshot(snapshot)) == snapshot
    instance = cases.report_of(snapshot)
    expectations = cases.load(name).expect
    assert expectations
    for expected in expectations:
        flow = cases.find(instance, expected.flow)
        told = [f"{drop.by} at {drop.at}" for drop in flow.drops]
        reasons = [hop.reason for hop in flow.hops if hop.outcome != "pass"]
        assert (flow.verdict, told) == (expected.verdict, list(expected.drops)), (expected.flow, reasons)
        if expected.reason:
            assert expected.reason in reasons[0]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"check-{check.number}")
def test_the_packaged_demo_is_the_case(check: object) -> None:
    """`make demo-snapshots` writes them anew."""
    packaged = load_check(check)  # type: ignore[arg-type]
    assert packaged == cases.snapshot_of(f"article-check-{check.number}")  # type: ignore[attr-defined]
