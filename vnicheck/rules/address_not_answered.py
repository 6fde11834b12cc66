"""The VPC delivers packets to an address that the guest does not answer for, or answers by a dead interface.

## What it finds

Reserved addresses of a VNI that the guest has not configured, and VNIs whose interface is down or without carrier in
the guest, for packets that come in by it or should leave by it.

## Why packets drop

DHCP gives an interface its primary address only: secondary reserved addresses must be configured in the guest. A packet
to an address that the guest lacks is not for it, and dropped; `IpInAddrErrors` counts it. An interface that is down
receives nothing; one without carrier keeps its routes, and what the guest sends by it is lost.

It is an error for a VNI's primary address and for a dead interface, and a warning for secondary addresses alone, which
may be reserved for later.

## How to fix

Configure the address in the guest or release it; bring the interface up.

## How sure we are

Computed from collected facts.

## Sources

IBM Cloud Docs, VPC: managing-ip-addresses. Linux: net/ipv4/route.c (ip_route_input_slow).
"""

from collections.abc import Iterator

from vnicheck.findings.broken_paths import BrokenPath, broken_paths
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import who
from vnicheck.findings.path_finding import path_finding
from vnicheck.findings.rule import Rule
from vnicheck.model.finding import Finding, Fix, Severity
from vnicheck.model.flow import Direction, DropCode, Leg


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each interface and cause."""
    for path in broken_paths(facts, DropCode.NOT_LOCAL, DropCode.INTERFACE_DOWN):
        down = path.code is DropCode.INTERFACE_DOWN
        if path.direction is Direction.OUTBOUND and not (down and path.hop.leg is Leg.REQUEST):
            continue  # the guest opens nothing from an address that it lacks, or that no reply reaches
        fix = Fix(
            "bring the interface up, then analyze again"
            if down
            else "configure the address in the guest, or release it"
        )
        if path.published and not down:
            fix = Fix("let the guest forward again: sysctl -w net.ipv4.ip_forward=1, and in a file of /etc/sysctl.d")
        if path.direction is Direction.OUTBOUND or path.hop.leg is Leg.REPLY:
            said = f"packets that the guest sends from {who(facts, path)} are lost"
        else:
            said = f"nothing answers for {who(facts, path)}"
        severity: Severity = "error" if down or _is_primary(facts, path) else "warning"
        yield path_finding(rule, facts, path, what=said, fixes=(fix,), severity=severity)


def _is_primary(facts: Facts, path: BrokenPath) -> bool:
    """Whether the path is of a VNI's primary address, too: DHCP would have set that."""
    primary = {vni.primary_address for vni in facts.view.server.vnis}
    return any(flow.local in primary for flow in path.caused)


RULE = Rule("VNC107", "address-not-answered", __doc__, find)
