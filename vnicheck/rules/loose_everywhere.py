"""One interface needs loose reverse path filtering, and `all` loosens every interface.

## What it finds

Servers with `net.ipv4.conf.all.rp_filter` at 2 or above, of which an asymmetric path needs it on some interfaces of
VNIs while others, whose own value is lower, do without.

## Why it matters

The value in force on an interface is the larger of its own and that of `all`: a 2 in `all` loosens the strict filter of
every interface, and of those that come later. On one whose own value is 0 it does the opposite, and switches a check on
that was off: packets without any route back to their source are then dropped.

## How to fix

Set 2 on the interface that needs it, and leave `all` at 0. Or policy routing, with which none needs it.

## How sure we are

Computed from the running values and the predicted paths.

## Sources

Linux: Documentation/networking/ip-sysctl.rst (rp_filter); include/linux/inetdevice.h (IN_DEV_RPFILTER).
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
    guest = facts.guest_with("sysctls", "interfaces", "rules", "routes")
    if guest is None or guest.sysctls.get("net/ipv4/conf/all/rp_filter", 0) < 2:
        return
    asymmetric = asymmetric_ingresses(facts)
    names = [name for vni in facts.view.server.vnis if (name := facts.view.interface_of.get(vni.id)) is not None]
    needing = [name for name in names if name in asymmetric]
    own = {name: guest.sysctls.get(f"net/ipv4/conf/{name}/rp_filter", 2) for name in names}
    others = [name for name in names if name not in asymmetric and own[name] == 1]
    if not needing or not others:
        return
    changed = "; ".join(f"{name} would be strict by its own value (1)" for name in others)
    yield observation(
        rule,
        facts,
        subject=(),
        what=f"all.rp_filter loosens every interface, and only {listed(needing)} needs it",
        why=f": {changed}.",
        evidence=list(dict.fromkeys(fact for name in (*needing, *others) for fact in rp_filter(facts, name))),
        fixes=(Fix("set rp_filter of the interfaces that need it to 2, then that of all to 0"),),
    )


RULE = Rule(
    "VNC304", "loose-everywhere", __doc__, find, severity="note", about="server", cause=CauseKind.LOOSE_SETTINGS
)
