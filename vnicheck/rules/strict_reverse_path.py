"""Requests are dropped by strict reverse path filtering.

## What it finds

Flows whose packets enter the guest by one interface while the route back to their sender leaves by another, where
`rp_filter` is strict (1), or loose (2) without any route back.

## Why packets drop

Linux looks up the way back to the sender of every packet that comes in. In strict mode the packet is dropped unless
that way leaves by the interface on which it came in. The value in force is the larger of `net.ipv4.conf.all.rp_filter`
and that of the interface. Nothing is logged unless `log_martians` is set; `TcpExtIPReversePathFilter` counts the drops.

## How to fix

Policy routing, so that replies leave by the interface of the address that they come from. Loosening the filter
(`net.ipv4.conf.<interface>.rp_filter=2`) lets the request in, but the reply then leaves by the other VNI, where the
VPC's own checks wait: the finding says which.

## How sure we are

Computed from collected facts by the kernel's own rules, which are checked against a running kernel.

## Sources

Linux: Documentation/networking/ip-sysctl.rst (rp_filter); net/ipv4/fib_frontend.c (__fib_validate_source).
"""

from collections.abc import Iterator

from vnicheck.findings.broken_paths import broken_paths
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import protocol_words, who
from vnicheck.findings.path_finding import path_finding
from vnicheck.findings.rule import Rule
from vnicheck.fixes.advice import ways_back
from vnicheck.model.finding import Finding
from vnicheck.model.flow import DropCode, Leg


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each pair of interfaces."""
    for path in broken_paths(facts, DropCode.RP_FILTER):
        what = "requests to" if path.hop.leg is Leg.REQUEST else "replies to flows that the server opens from"
        subject = f"{protocol_words(path.caused)} {what} {who(facts, path)}"
        said = f"{subject} are dropped as they come in"
        yield path_finding(rule, facts, path, what=said, fixes=ways_back(facts, path.members))


RULE = Rule("VNC101", "strict-reverse-path", __doc__, find)
