"""All rules, in the order in which findings of one severity are listed."""

import msgspec

from vnicheck.findings.affected import affected_by
from vnicheck.findings.causes import causes_of
from vnicheck.findings.expectations import expected_drops
from vnicheck.findings.facts import Facts
from vnicheck.findings.managed import WHY, is_managed
from vnicheck.findings.rule import Rule
from vnicheck.model.cause import Cause
from vnicheck.model.finding import SEVERITIES, Finding, Fix
from vnicheck.model.flow import Flow
from vnicheck.model.grouped import grouped
from vnicheck.rules import (
    address_not_answered,
    asymmetric_path,
    balanced_to_secondary,
    broken_transit,
    equal_defaults,
    expectation_violated,
    filtering_disabled,
    floating_ip_elsewhere,
    foreign_source_address,
    guest_not_seen,
    half_seen_connection,
    loose_everywhere,
    no_way_back,
    own_network_led_out,
    reply_not_admitted,
    reverse_path_off,
    rule_never_matches,
    rule_without_table,
    runtime_only_policy_rule,
    runtime_only_rp_filter,
    second_interface_unseen,
    shared_subnet,
    sibling_source,
    spoofing_allowed,
    strict_reverse_path,
    table_without_rule,
    udp_from_elsewhere,
    unknown_flows,
    vni_without_interface,
)

RULES: tuple[Rule, ...] = (
    strict_reverse_path.RULE,
    half_seen_connection.RULE,
    foreign_source_address.RULE,
    no_way_back.RULE,
    floating_ip_elsewhere.RULE,
    reply_not_admitted.RULE,
    address_not_answered.RULE,
    broken_transit.RULE,
    udp_from_elsewhere.RULE,
    own_network_led_out.RULE,
    asymmetric_path.RULE,
    table_without_rule.RULE,
    rule_without_table.RULE,
    equal_defaults.RULE,
    shared_subnet.RULE,
    vni_without_interface.RULE,
    balanced_to_secondary.RULE,
    sibling_source.RULE,
    rule_never_matches.RULE,
    runtime_only_rp_filter.RULE,
    runtime_only_policy_rule.RULE,
    filtering_disabled.RULE,
    spoofing_allowed.RULE,
    reverse_path_off.RULE,
    loose_everywhere.RULE,
    guest_not_seen.RULE,
    unknown_flows.RULE,
    second_interface_unseen.RULE,
    expectation_violated.RULE,
)


BY_ID = {rule.id: rule for rule in RULES}


def find_all(facts: Facts) -> tuple[tuple[Flow, ...], tuple[Finding, ...], tuple[Cause, ...]]:
    """The flows, each with the ids of the rules that found it, and the findings and their causes, the worst first."""
    asked = [rule for rule in RULES if facts.every_flow or rule.about == "flows"]
    meant = expected_drops(facts.view, facts.flows)
    findings = [
        finding
        for rule in asked
        for finding in rule.find(rule, facts)
        if rule is expectation_violated.RULE or not finding.flows or not meant.issuperset(finding.flows)
    ]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))  # stable: within one as in the registry
    rules_of = grouped((index, finding.rule) for finding in findings for index in finding.flows)
    flows = tuple(
        msgspec.structs.replace(flow, findings=tuple(rules_of.get(index, ()))) for index, flow in enumerate(facts.flows)
    )
    told = (
        msgspec.structs.replace(
            each,
            affected=affected_by(flows[index] for index in each.flows),
            fixes=(Fix(WHY),) if each.fixes and is_managed(facts.view.server) else each.fixes,
        )
        for each in findings
    )
    return flows, tuple(told), causes_of(facts, flows, findings, BY_ID)
