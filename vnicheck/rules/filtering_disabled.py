"""Protocol state filtering is disabled on a VNI, and no path of the server needs that.

## What it finds

VNIs of mode `disabled` on a server whose TCP paths are all symmetric.

## Why it matters

A VNI that filters protocol states drops packets of connections that nobody opened. Disabling it is meant for VNIs that
see one half of a connection. Where every path is symmetric it protects less, and gains nothing; often it is left from
a time before policy routing.

## How to fix

Set the mode back to `auto`.

## How sure we are

Computed from the predicted paths: only where none of them is unknown, and where mode auto comes to filtering (not on
bare metal servers).

## Sources

IBM Cloud Docs, VPC: vni-about.
"""

from collections.abc import Iterator

from vnicheck.findings.evidence import vni_field
from vnicheck.findings.facts import Facts
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.flow import Protocol, Verdict


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each VNI."""
    if facts.guest_with("interfaces", "rules", "routes") is None or not facts.view.auto_filters:
        return
    tcp = [flow for flow in facts.flows if flow.protocol is Protocol.TCP and not facts.is_inside(flow.egress)]
    if any(flow.symmetric is False or flow.verdict is Verdict.UNKNOWN for flow in tcp) or not tcp:
        return
    for vni in facts.view.server.vnis:
        if vni.legacy or vni.protocol_state_filtering_mode != "disabled":
            continue
        yield observation(
            rule,
            facts,
            subject=(vni.id,),
            what=f"protocol state filtering is disabled on {vni.name}, and every path of the server is symmetric",
            evidence=vni_field(facts, vni, "protocol_state_filtering_mode"),
            fixes=(Fix(f"set protocol_state_filtering_mode of {vni.name} ({vni.id}) to auto"),),
        )


RULE = Rule(
    "VNC301", "filtering-disabled", __doc__, find, severity="note", about="server", cause=CauseKind.LOOSE_SETTINGS
)
