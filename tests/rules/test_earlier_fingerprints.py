"""A finding that a newer version tells otherwise keeps its earlier fingerprints: a baseline covers what it covered."""

import json
from typing import Any

import pytest

from tests.support import cases
from tests.support.servers import TWO_DEFAULTS, guest, link, report, server
from vnicheck.findings.rule import fingerprint
from vnicheck.model.finding import Finding

LINKS = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"))
READS_MARKS = """0: from all lookup local
50: from all fwmark 0x1 lookup 7
32766: from all lookup main
32767: from all lookup default"""


def strict(**more: Any) -> list[Finding]:
    routes = TWO_DEFAULTS + "default via 10.0.0.1 dev eth1 table 7\n"
    of = server(guest=guest(*LINKS, routes=routes, rp_filter={"eth1": 1}, **more))
    return [finding for finding in report(of).findings if finding.rule == "VNC101"]


def test_a_path_whose_way_out_was_open_for_a_mark_keeps_its_fingerprint() -> None:
    """As earlier versions had it: the request is dropped, and the reply's way was not known."""
    (now,) = strict(rules=READS_MARKS)
    earlier = fingerprint("VNC101", server().crn, "rp_filter", "inbound", "vni-id-2", "-", "vni-id-2")
    assert now.fingerprints == (now.fingerprint, earlier)
    assert now.fingerprint != earlier


def test_without_marks_there_is_but_one() -> None:
    (now,) = strict()
    assert now.fingerprints == (now.fingerprint,)


RECORDED = json.loads((cases.CASES.parent / "earlier-fingerprints.json").read_text())
"""Of some cases the warnings and errors as versions of November 2026 had them: rules by fingerprint."""


@pytest.mark.parametrize("case", RECORDED)
def test_what_earlier_versions_found_is_covered_by_their_baselines(case: str) -> None:
    findings = cases.report_of(cases.snapshot_of(case), cases.config_of(case)).findings
    covered = {each: finding.rule for finding in findings for each in finding.fingerprints}
    assert RECORDED[case].keys() <= covered.keys(), [
        found for found in RECORDED[case].items() if found[0] not in covered
    ]
