"""Flows at risk: asymmetric ones of which nothing is unknown but what becomes of them by an open assumption."""

from vnicheck.engine.open_assumptions import rests_on_open
from vnicheck.findings.broken_paths import broken_flows, to_no_host
from vnicheck.findings.expectations import expected_drops
from vnicheck.findings.facts import Facts
from vnicheck.model.flow import Flow


def at_risk_flows(facts: Facts) -> dict[int, Flow]:
    """Those of the server, by their index, but for the ones that are expected to be dropped."""

    def found() -> dict[int, Flow]:
        meant = expected_drops(facts.view, facts.flows)
        return {
            index: flow
            for index, flow in enumerate(facts.flows)
            if flow.symmetric is False and index not in meant and rests_on_open(flow) and not to_no_host(facts, flow)
        }

    return facts.once("at risk", found)


def flows_to_fix(facts: Facts) -> dict[int, Flow]:
    """The broken flows, and those at risk."""
    return dict(sorted((broken_flows(facts) | at_risk_flows(facts)).items()))
