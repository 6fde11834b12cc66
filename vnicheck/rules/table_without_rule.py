"""A routing table holds routes, and no policy rule asks it.

## What it finds

Routing tables beside `local`, `main` and `default` with routes by an interface of a VNI, which no policy rule leads to.

## Why packets drop

The kernel asks only the tables that rules name. Half of a policy routing is none: packets go by the main table, which
is the asymmetric path that the table was meant to end. Often the rule was added by hand and went with the last reboot,
while the routes are configured.

## How to fix

Add the rule, with the address that the table is for, or remove the routes.

## How sure we are

Computed from the collected rules and routes. Tables of VRF devices, and those that lead only to devices of container
software, are left out.

## Sources

Linux: ip-rule(8), net/ipv4/fib_rules.c.
"""

from collections.abc import Iterator

from vnicheck.findings.evidence import guest_line
from vnicheck.findings.facts import Facts
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.grouped import grouped
from vnicheck.model.guest import DEFAULT_TABLE, LOCAL_TABLE, MAIN_TABLE

_OF_THE_KERNEL = {0, DEFAULT_TABLE, MAIN_TABLE, LOCAL_TABLE}


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each table."""
    guest = facts.guest_with("rules", "routes", "routes_local", "interfaces")
    if guest is None or any(each.unmodelled for each in guest.rules):
        return
    vrf = {link.vrf_table for link in guest.interfaces}
    asked = {each.table for each in guest.rules} | vrf | _OF_THE_KERNEL
    tables = grouped((route.table, route) for route in guest.routes if route.table not in asked)
    for table, routes in tables.items():
        devices = {hop.interface for route in routes for hop in route.nexthops if hop.interface is not None}
        ours = sorted(device for device in devices if facts.view.vni_of(device) is not None)
        if not ours:
            continue
        addresses = [address for device in ours for address in _addresses(facts, device)]
        source = addresses[0] if len(addresses) == 1 else "ADDRESS"
        yield observation(
            rule,
            facts,
            subject=(str(table),),
            what=f"no policy rule leads to routing table {table}, whose routes leave by {', '.join(ours)}",
            evidence=[guest_line(facts, f"ip route show table {table}", route.text) for route in routes],
            about=addresses,
            fixes=(Fix("policy rule", (f"ip rule add from {source} table {table}",)),),
        )


def _addresses(facts: Facts, device: str) -> tuple[str, ...]:
    vni = facts.view.vni_of(device)
    return vni.addresses if vni is not None else ()


RULE = Rule(
    "VNC202", "table-without-rule", __doc__, find, severity="warning", about="server", cause=CauseKind.UNUSED_TABLE
)
