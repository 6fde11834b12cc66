"""Every rule: where it fires, where it must not, and where facts are missing."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.drop_cases import FIRES, FLOATING, INBOUND_ONLY, OPEN_DISABLED
from tests.support.servers import (
    BOTH_WAYS,
    POLICY_ROUTING,
    POLICY_RULES,
    TWO_DEFAULTS,
    fabric,
    group_rule,
    guest,
    link,
    report,
    router,
    server,
    transit_fabric,
    two_vnis,
    vni,
)
from vnicheck.model.cloud import SecurityGroup
from vnicheck.model.snapshot import Server
from vnicheck.rules.registry import RULES

SECTIONS = ("## What it finds", "## Why packets drop", "## How to fix", "## How sure we are", "## Sources")
DROPS = "VNC2"
"""The rules of drops have ids below."""
GROUP_INBOUND_ONLY = [SecurityGroup(id="open", name="open", rules=(group_rule("inbound"),))]


def found(of: Server, around: Any = None) -> list[tuple[str, str, str]]:
    return [(finding.rule, finding.severity, finding.confidence) for finding in report(of, around).findings]


def drops(of: Server, around: Any = None) -> list[tuple[str, str, str]]:
    return [each for each in found(of, around) if each[0] < DROPS]


def policy_routed(*vnis: Any, **more: Any) -> Server:
    return server(*(vnis or two_vnis()), guest=guest(routes=POLICY_ROUTING, rules=POLICY_RULES, **more))


@pytest.mark.parametrize("rule", FIRES)
def test_where_a_rule_fires(rule: str) -> None:
    of, around, expected = FIRES[rule]
    instance = report(of, around)
    assert (
        set(found(of, around)) & {(rule, s, c) for s in ("error", "warning", "note") for c in ("computed", "assumed")}
        == expected
    )
    for finding in [each for each in instance.findings if each.rule == rule]:
        assert finding.message.endswith(".")
        assert finding.flows
        assert finding.evidence
        assert finding.fixes
        for index in finding.flows:
            assert rule in instance.flows[index].findings
            assert instance.flows[index].verdict == "dropped"


@pytest.mark.parametrize("rule", FIRES)
def test_where_no_rule_fires(rule: str) -> None:
    """The same server with policy routing, everything configured, up and admitted."""
    healthy = {
        "VNC101": policy_routed(rp_filter={"eth0": 1, "eth1": 1}),
        "VNC102": server(*OPEN_DISABLED, guest=guest()),
        "VNC103": policy_routed(*two_vnis(spoofing=False)),
        "VNC104": policy_routed(),
        "VNC105": policy_routed(*FLOATING),
        "VNC106": policy_routed(),
        "VNC107": server(
            vni(0, "10.0.0.11", "10.0.0.13"),
            guest=guest(link("eth0", 0, "10.0.0.11/24", "10.0.0.13/24"), routes="default via 10.0.0.1 dev eth0"),
        ),
        "VNC108": router(BOTH_WAYS, protocol_state_filtering_mode="disabled"),
    }[rule]
    assert drops(healthy, transit_fabric() if rule == "VNC108" else None) == []


UNTOLD = {
    "no guest": None,
    "no rules": msgspec.structs.replace(guest(), rules=(), missing={"rules": "timed out"}),
    "no routes": msgspec.structs.replace(guest(), routes=(), missing={"routes": "timed out"}),
    "no interfaces": msgspec.structs.replace(guest(), interfaces=(), missing={"interfaces": "ip: not found"}),
}


@pytest.mark.parametrize("missing", UNTOLD)
@pytest.mark.parametrize("rule", FIRES)
def test_where_facts_are_missing_nothing_is_claimed(rule: str, missing: str) -> None:
    of, around, _ = FIRES[rule]
    assert drops(msgspec.structs.replace(of, guest=UNTOLD[missing]), around) == []


@pytest.mark.parametrize(
    ("rule", "changes"),
    [("VNC102", {"protocol_state_filtering_mode": None}), ("VNC102", {"protocol_state_filtering_mode": "later"})],
)
def test_unreadable_settings_of_the_vpc_are_no_finding(rule: str, changes: dict[str, Any]) -> None:
    assert drops(server(*two_vnis(**changes), guest=guest())) == []


def test_an_unreadable_spoofing_check_is_no_finding() -> None:
    assert (
        found(
            server(
                *two_vnis(allow_ip_spoofing=None),
                guest=guest(),
            )
        )
        != []
    )
    disabled = two_vnis(allow_ip_spoofing=None, protocol_state_filtering_mode="disabled")
    assert drops(server(*disabled, guest=guest())) == []


def test_the_lowest_confidence_counts_and_an_assumption_alone_is_no_error() -> None:
    of = server(*OPEN_DISABLED, guest=guest())
    assert drops(of, fabric(groups=GROUP_INBOUND_ONLY)) == [("VNC106", "warning", "assumed")]
    both = report(of, fabric(groups=GROUP_INBOUND_ONLY, acls=INBOUND_ONLY))
    asymmetric = [finding for finding in both.findings if "10.0.0.12" in finding.message]
    assert [(finding.severity, finding.confidence) for finding in asymmetric] == [("warning", "assumed")]


def test_findings_come_the_worst_first() -> None:
    ranks = [
        {"error": 0, "warning": 1, "note": 2}[severity]
        for _, severity, _ in found(server(*two_vnis(spoofing=False), guest=guest(rp_filter={"eth1": 1})))
    ]
    assert ranks == sorted(ranks)
    assert ranks[:2] == [0, 1]


# --- the catalogue ----------------------------------------------------------------------------------------------------


def test_ids_and_names_are_unique_and_well_formed() -> None:
    assert [rule.id for rule in RULES] == sorted({rule.id for rule in RULES})
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.id.startswith("VNC")
        assert rule.id[3:].isdigit()
        assert rule.name == rule.name.lower()
        assert " " not in rule.name
        assert not rule.name.startswith(("avoid-", "use-", "no-rule"))
    tested = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [rule.id for rule in RULES if f'"{rule.id}"' not in tested] == [], "every rule has its cases here"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_its_page(rule: Any) -> None:
    lines = rule.page.strip().splitlines()
    assert lines[0].endswith(".")
    assert len(lines[0]) <= 110
    why = "## Why it matters" if "## Why it matters" in lines else SECTIONS[1]
    positions = [lines.index(section if section != SECTIONS[1] else why) for section in SECTIONS]
    assert positions == sorted(positions)
    for position in positions:
        assert lines[position + 2], "an empty section"


# --- fingerprints -----------------------------------------------------------------------------------------------------


def fingerprints(of: Server, around: Any = None) -> set[tuple[str, str]]:
    return {(each.rule, each.fingerprint) for each in report(of, around).findings if each.rule < DROPS}


def test_fingerprints_are_unique_in_a_report() -> None:
    for of, around, _ in FIRES.values():
        findings = report(of, around).findings
        assert len({finding.fingerprint for finding in findings}) == len(findings)


def test_fingerprints_survive_new_addresses_order_time_and_names() -> None:
    before = server(guest=guest(rp_filter={"eth1": 1}))
    inside = guest(
        link("ens4", 1, "10.0.0.78/24"),
        link("ens3", 0, "10.0.0.77/24"),
        routes=TWO_DEFAULTS.replace("eth0", "ens3").replace("eth1", "ens4").replace(".11", ".77").replace(".12", ".78"),
        rp_filter={"ens4": 1},
        collected_at="2027-01-01T00:00:00Z",
    )
    first, second = vni(0, "10.0.0.77", allow_ip_spoofing=True), vni(1, "10.0.0.78", allow_ip_spoofing=True)
    after = server(second, first, guest=inside, name="renamed")
    assert fingerprints(after) == fingerprints(before)
    assert len(fingerprints(before)) == 2


def test_fingerprints_tell_servers_and_vnis_apart() -> None:
    before = server(guest=guest())
    assert fingerprints(before).isdisjoint(fingerprints(msgspec.structs.replace(before, crn="crn:v1:other")))
    other = server(*(msgspec.structs.replace(each, id=f"{each.id}-new") for each in two_vnis()), guest=guest())
    assert fingerprints(before).isdisjoint(fingerprints(other))
