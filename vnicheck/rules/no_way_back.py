"""The guest has no route for what it would send: none at all, or one that refuses.

## What it finds

Flows for which the guest's lookup ends without a route, or in a blackhole, unreachable or prohibit route or rule.

## Why packets drop

The guest sends nothing; `IpOutNoRoutes` counts it.

## How to fix

Add the route, or remove the one that refuses. A refusal that is meant is policy: mute the finding.

## How sure we are

Computed from collected facts by the kernel's own rules, which are checked against a running kernel.

## Sources

Linux: net/ipv4/fib_trie.c, net/ipv4/fib_rules.c, ip-route(8).
"""

from collections.abc import Iterator

from vnicheck.findings.broken_paths import broken_paths, path_finding
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import next_drops, protocols, who
from vnicheck.findings.rule import Rule
from vnicheck.model.flow import DropCode, Finding, Leg


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each address and way in."""
    for path in broken_paths(facts, DropCode.NO_ROUTE, DropCode.BLACKHOLE, DropCode.UNREACHABLE, DropCode.PROHIBIT):
        rest = next_drops(facts, path)
        what = "replies" if path.hop.leg is Leg.REPLY else "packets"
        message = (
            f"the guest sends no {protocols(path.caused)} {what} from {who(facts, path)}: {path.hop.reason}.{rest}"
        )
        yield path_finding(rule, facts, path, message=message, fixes=("add the route, or remove the one that refuses",))


RULE = Rule(id="VNC104", name="no-way-back", page=__doc__, find=find)
