"""The guest has no route for what it would send, or one that refuses.

## What it finds

Flows for which the guest's lookup ends without a route. And, as a note, those for which it ends in a blackhole,
unreachable or prohibit route or rule: somebody put that there, a routing daemon for its own block of addresses or an
administrator as policy, so that nothing is to be fixed.

## Why packets drop

The guest sends nothing; `IpOutNoRoutes` counts it.

## How to fix

Add the route. Where a refusal is not meant, delete the route or rule that refuses.

## How sure we are

Computed from collected facts by the kernel's own rules, which are checked against a running kernel.

## Sources

Linux: net/ipv4/fib_trie.c, net/ipv4/fib_rules.c, ip-route(8).
"""

from collections.abc import Iterator

from vnicheck.findings.broken_paths import REFUSALS, broken_paths, to_no_host
from vnicheck.findings.evidence import of_hops
from vnicheck.findings.expectations import expected_drops
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import protocol_words, who
from vnicheck.findings.path_finding import path_finding
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.flow import DropCode, Hop, Leg


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each address and way in, then one for each kind of refusal."""
    for path in broken_paths(facts, DropCode.NO_ROUTE):
        what = "replies" if path.hop.leg is Leg.REPLY else "packets"
        said = f"the guest sends no {protocol_words(path.caused)} {what} from {who(facts, path)}"
        yield path_finding(rule, facts, path, what=said, fixes=(Fix("add the route"),))
    yield from _refusals(rule, facts)


def _refusals(rule: Rule, facts: Facts) -> Iterator[Finding]:
    meant = expected_drops(facts.view, facts.flows)
    refused: dict[DropCode, dict[int, Hop]] = {}
    for index, flow in enumerate(facts.flows):
        if index in meant or to_no_host(facts, flow) or not any(drop.by in REFUSALS for drop in flow.drops):
            continue
        for hop in flow.hops:
            if hop.drop is not None and hop.drop in REFUSALS:
                refused.setdefault(hop.drop, {})[index] = hop
    for code, hops in refused.items():
        first = next(iter(hops))
        told = [line for index, hop in hops.items() for line in of_hops(facts, facts.flows[index], [hop])]
        yield observation(
            rule,
            facts,
            subject=(code.value,),
            what="the guest refuses to send to some remotes",
            why=f": {hops[first].reason}. "
            "A route or rule that refuses was put there by somebody, and is taken to be meant.",
            severity="note",
            flows=list(hops),
            evidence=list(dict.fromkeys(told)),
        )


RULE = Rule("VNC104", "no-way-back", __doc__, find)
