"""A TCP reply crosses a VNI that filters protocol states and has not seen the connection's SYN.

## What it finds

Flows whose opening packet crosses one VNI and whose reply crosses another, with protocol state filtering in effect on
the one that the reply crosses.

## Why packets drop

A filtering VNI drops a TCP packet for which it has seen no opening SYN. The SYN-ACK of an asymmetric path is such a
packet. Security groups and ACLs are not at fault, though they are what people suspect. ICMP passes, so that ping works.

## How to fix

Policy routing, so that both directions cross one VNI. Or disable protocol state filtering on the VNI that sees half of
the connection: for inbound flows the one by which replies leave, for outbound flows the one that owns the address.
Where IP spoofing is not allowed, that does only if the spoofing check passes addresses of other VNIs of the server
(`spoofing-sibling`).

## How sure we are

Recorded in packet captures for the drop and for its cure; the effective mode of `auto` is documented.

## Sources

IBM Cloud Docs, VPC: vni-about. Captures in fixtures/article.
"""

from collections.abc import Iterator

from vnicheck.engine.open_assumptions import open_hops
from vnicheck.findings.broken_paths import broken_paths
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import protocol_words, who
from vnicheck.findings.path_finding import path_finding
from vnicheck.findings.rule import Rule
from vnicheck.fixes.advice import ways_back
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.flow import DropCode


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each pair of interfaces."""
    for path in broken_paths(facts, DropCode.PROTOCOL_STATE_FILTERING):
        way = "from" if path.direction == "inbound" else "to connections that the server opens from"
        subject = f"{protocol_words(path.caused)} replies {way} {who(facts, path)}"
        said = f"{subject} are dropped at {path.at}"
        vni = facts.vni_named(path.at)
        fixes = ways_back(facts, path.members)
        alone = all({drop.by for drop in flow.drops} == {path.code} for _, flow in path.flows)
        if vni is not None and not vni.legacy and alone:
            rests = any(True for _, flow in path.flows for _ in open_hops(flow))
            if_so = ", which helps only if spoofing-sibling is passed" if rests else ""
            other = "or " if fixes else ""
            fixes = (*fixes, Fix(f"{other}disable protocol state filtering on {vni.name} ({vni.id}){if_so}"))
        yield path_finding(rule, facts, path, what=said, fixes=fixes)


RULE = Rule("VNC102", "half-seen-connection", __doc__, find)
