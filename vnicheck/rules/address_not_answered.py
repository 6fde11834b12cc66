"""The VPC delivers packets to an address that the guest does not answer for.

## What it finds

Reserved addresses of a VNI that the guest has not configured, and VNIs whose interface is down in the guest.

## Why packets drop

DHCP gives an interface its primary address only: secondary reserved addresses must be configured in the guest. A packet
to an address that the guest lacks is not for it, and dropped; `IpInAddrErrors` counts it. An interface that is down
receives nothing.

## How to fix

Configure the address in the guest or release it; bring the interface up.

## How sure we are

Computed from collected facts.

## Sources

IBM Cloud Docs, VPC: managing-ip-addresses. Linux: net/ipv4/route.c (ip_route_input_slow).
"""

from collections.abc import Iterator

from vnicheck.model.flow import DropCode, Finding
from vnicheck.rules.rule import Facts, Rule, broken_paths, finding
from vnicheck.rules.words import who


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each interface and cause."""
    for path in broken_paths(facts, DropCode.NOT_LOCAL, DropCode.INTERFACE_DOWN, leg="request"):
        if path.direction == "outbound":
            continue  # the guest opens nothing from an address that it lacks
        message = f"nothing answers for {who(facts, path)}: {path.hop.reason}."
        fix = "configure the address in the guest, or bring its interface up"
        yield finding(rule, facts, path, message=message, fixes=(fix,), severity="warning")


RULE = Rule(id="VNC107", name="address-not-answered", page=__doc__, find=find)
