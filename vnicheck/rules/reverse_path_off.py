"""Reverse path filtering is off on the interface of a VNI.

## What it finds

Interfaces of VNIs on which neither `net.ipv4.conf.all.rp_filter` nor the interface's own value asks for a check, and by
which no asymmetric path enters.

## Why it matters

Without the check the guest takes packets whose source address could never have come that way, such as those of another
of its networks. Loose mode (2) is enough against sources that the guest has no route to, and strict mode (1) works as
soon as every path is symmetric.

## How to fix

`net.ipv4.conf.<interface>.rp_filter=1` where every path is symmetric, `=2` otherwise, in a file of `/etc/sysctl.d`.

## How sure we are

Computed from the running values. Some distributions ship it off, as Debian does; whether that matters is yours to say.

## Sources

Linux: Documentation/networking/ip-sysctl.rst (rp_filter). RFC 3704.
"""

from collections.abc import Iterator

from vnicheck.findings.broken_paths import asymmetric_ingresses
from vnicheck.findings.evidence import rp_filter
from vnicheck.findings.facts import Facts
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.words import listed


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for the server."""
    guest = facts.guest_with("sysctls", "interfaces")
    if guest is None:
        return
    everywhere = guest.sysctls.get("net/ipv4/conf/all/rp_filter")
    if everywhere is None:
        return
    asymmetric = asymmetric_ingresses(facts)
    off = []
    for vni in facts.view.server.vnis:
        interface = facts.view.interface_of.get(vni.id)
        own = guest.sysctls.get(f"net/ipv4/conf/{interface}/rp_filter")
        if interface is not None and own is not None and max(everywhere, own) == 0 and interface not in asymmetric:
            off.append(interface)
    if off:
        yield observation(
            rule,
            facts,
            subject=(),
            what=f"rp_filter is off on {listed(off)}",
            why=": packets are taken from any source address.",
            evidence=list(dict.fromkeys(fact for name in off for fact in rp_filter(facts, name))),
            fixes=(
                Fix(
                    "set rp_filter of these interfaces to 1 in a file of /etc/sysctl.d, or to 2 where paths are "
                    "asymmetric"
                ),
            ),
        )


RULE = Rule(
    "VNC303", "reverse-path-off", __doc__, find, severity="note", about="server", cause=CauseKind.LOOSE_SETTINGS
)
