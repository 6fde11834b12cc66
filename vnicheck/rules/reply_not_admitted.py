"""A reply is refused by security groups or a network ACL on its own way.

## What it finds

Flows whose opening packet is admitted and whose reply is not: the security groups of another VNI than the one that let
the opening packet through, or the stateless ACL of the subnet that the reply crosses.

## Why packets drop

Security groups are stateful on the VNI that has seen the opening packet. On another VNI the reply is a stranger, and
must be admitted by the rules themselves. Network ACLs never keep state.

## How to fix

Policy routing, so that both directions cross one VNI; or a rule that admits the reply.

## How sure we are

For ACLs documented; that the groups of the other VNI judge the reply statelessly is inferred from the documentation.

## Sources

IBM Cloud Docs, VPC: using-security-groups, using-acls, par-about.
"""

from collections.abc import Iterator

from vnicheck.findings.broken_paths import broken_paths
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import protocol_words, who
from vnicheck.findings.path_finding import path_finding
from vnicheck.findings.rule import Rule
from vnicheck.fixes.advice import ways_back
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.flow import Direction, DropCode, Leg


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each pair of interfaces."""
    for path in broken_paths(facts, DropCode.SECURITY_GROUP, DropCode.NETWORK_ACL, leg=Leg.REPLY):
        way = "to" if path.direction is Direction.OUTBOUND else "from"
        said = f"{protocol_words(path.caused)} replies {way} {who(facts, path)} are refused"
        routed = ways_back(facts, path.members) if path.ingress != path.egress else ()
        yield path_finding(rule, facts, path, what=said, fixes=routed or (Fix("admit the reply in the ACL"),))


RULE = Rule("VNC106", "reply-not-admitted", __doc__, find)
