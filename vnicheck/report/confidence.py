"""How sure a finding is, in words, where it is less than computed."""

from collections.abc import Sequence

from vnicheck.model.finding import Finding
from vnicheck.model.flow import Flow, Outcome
from vnicheck.model.words import listed


def confidence_words(finding: Finding, flows: Sequence[Flow]) -> str:
    """`rests on an assumption: spoofing-sibling`; empty where all is computed or was seen. `flows`: the finding's."""
    if finding.confidence != "assumed":
        return ""
    ids = {
        hop.assumption: None
        for flow in flows
        for hop in flow.hops
        if hop.assumption is not None and hop.outcome is not Outcome.PASS
    }
    if not ids:
        return f"rests on an assumption, which 'vnicheck explain {finding.rule}' states"
    return f"rests on {'an assumption' if len(ids) == 1 else 'assumptions'}: {listed(list(ids))}"
