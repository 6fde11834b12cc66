"""Two VNIs are in one subnet, and its hosts are answered by the wrong one.

## What it finds

Servers with two VNIs in one subnet whose flows with hosts of that subnet are asymmetric, while those with remotes
beyond it are not: policy routing that forgot the subnet itself.

## Why packets drop

Both interfaces have a route to the subnet, and the main table's first one takes all. A rule that leaves the subnet to
the main table, or that comes after one which does, does not separate the two interfaces for their neighbours. What
drops the packets then is said by other findings.

## How to fix

Let the policy rules cover the subnet too: no rule before them that looks the subnet up in the main table, and in each
table the subnet's own route.

## How sure we are

Computed from collected facts.

## Sources

Linux: ip-rule(8), net/ipv4/fib_trie.c.
"""

from collections.abc import Iterator

from vnicheck.findings.evidence import back_lines, subnet_field
from vnicheck.findings.facts import Facts
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.flow import Direction, Flow, Scope


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each pair of VNIs."""
    beyond = {_way(flow) for flow in facts.flows if flow.remote_scope is not Scope.SUBNET and flow.symmetric is False}
    pairs: dict[tuple[str, str], list[tuple[int, Flow]]] = {}
    for index, flow in enumerate(facts.flows):
        asymmetric = flow.remote_scope is Scope.SUBNET and flow.symmetric is False
        if not asymmetric or flow.direction is Direction.TRANSIT or _way(flow) in beyond:
            continue
        if flow.ingress is not None and flow.egress is not None:
            pairs.setdefault((flow.ingress, flow.egress), []).append((index, flow))
    for (ingress, egress), indexed in pairs.items():
        arriving, leaving = facts.view.vni_of(ingress), facts.view.vni_of(egress)
        if arriving is None or leaving is None or arriving.subnet != leaving.subnet:
            continue
        subnet = facts.view.subnet(arriving)
        said = (
            f"{arriving.name} ({ingress}) and {leaving.name} ({egress}) are both in subnet {subnet.name} "
            f"({subnet.cidr}), whose hosts reach the server by {ingress} and are answered by {egress}"
        )
        yield observation(
            rule,
            facts,
            subject=(arriving.id, leaving.id),
            what=said,
            flows=[index for index, _ in indexed],
            evidence=[
                subnet_field(facts, arriving),
                *back_lines(facts, indexed[0][1]),
            ],
            fixes=(Fix("let the policy rules cover the subnet itself too"),),
        )


def _way(flow: Flow) -> tuple[str | None, str | None]:
    return flow.ingress, flow.egress


RULE = Rule("VNC205", "shared-subnet", __doc__, find, severity="note", cause=CauseKind.WRONG_INTERFACE)
