"""A client of the internet comes in by a floating IP, and the reply leaves by another VNI.

## What it finds

Inbound flows from the internet through a floating IP whose replies the guest sends by an interface other than that of
the VNI which holds the floating IP.

## Why packets drop

The address translation of the floating IP happens on its own VNI. Neither disabling protocol state filtering nor
allowing IP spoofing helps.

## How to fix

Policy routing, so that replies leave by the VNI that holds the floating IP.

## How sure we are

Documented by IBM, and stated by the article.

## Sources

IBM Cloud Docs, VPC: fip-create, ip-spoofing-about.
"""

from collections.abc import Iterator

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
    for path in broken_paths(facts, DropCode.FLOATING_IP):
        subject = f"{protocol_words(path.caused)} replies to the internet from {who(facts, path)}"
        said = f"{subject} are lost"
        fixes = ways_back(facts, path.members)
        elsewhere = (Fix("let replies leave by the VNI that holds the floating IP"),)
        yield path_finding(rule, facts, path, what=said, fixes=fixes or elsewhere)


RULE = Rule("VNC105", "floating-ip-elsewhere", __doc__, find)
