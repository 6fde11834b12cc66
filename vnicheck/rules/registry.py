"""All rules, in the order in which findings of one severity are listed."""

import msgspec

from vnicheck.model.flow import Finding, Flow
from vnicheck.rules import (
    address_not_answered,
    broken_transit,
    floating_ip_elsewhere,
    foreign_source_address,
    half_seen_connection,
    no_way_back,
    reply_not_admitted,
    strict_reverse_path,
)
from vnicheck.rules.rule import Facts, Rule

RULES: tuple[Rule, ...] = (
    strict_reverse_path.RULE,
    half_seen_connection.RULE,
    foreign_source_address.RULE,
    no_way_back.RULE,
    floating_ip_elsewhere.RULE,
    reply_not_admitted.RULE,
    address_not_answered.RULE,
    broken_transit.RULE,
)

_RANK = {"error": 0, "warning": 1, "note": 2}


def find_all(facts: Facts) -> tuple[tuple[Flow, ...], tuple[Finding, ...]]:
    """The flows, each with the ids of the rules that found it, and the findings, the worst first."""
    findings = [finding for rule in RULES for finding in rule.find(rule, facts)]
    findings.sort(key=lambda finding: _RANK[finding.severity])  # stable: the order of the registry within a severity
    rules_of: dict[int, list[str]] = {}
    for finding in findings:
        for index in finding.flows:
            rules_of.setdefault(index, []).append(finding.rule)
    flows = tuple(
        msgspec.structs.replace(flow, findings=tuple(rules_of.get(index, ()))) for index, flow in enumerate(facts.flows)
    )
    return flows, tuple(findings)
