"""Two default routes by different interfaces have the same metric.

## What it finds

Default routes of one table, metric and type of service, of which at least two leave by interfaces of different VNIs.

## Why packets drop

Linux takes the first of them in the table's order, and may take another one while a gateway does not answer to ARP. The
order is that in which they were made, which may differ at the next boot or DHCP lease: what works today may leave by
the other VNI tomorrow.

## How to fix

Give them different metrics, or keep one in the main table and move the others to a table of their own, with a policy
rule for the addresses of their VNIs.

## How sure we are

Computed from the collected routes.

## Sources

Linux: net/ipv4/fib_semantics.c (fib_select_default), ip-route(8).
"""

from collections.abc import Iterator

from vnicheck.findings.evidence import guest_line
from vnicheck.findings.facts import Facts
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.grouped import grouped
from vnicheck.model.guest import RouteType
from vnicheck.model.words import listed


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each table and metric."""
    guest = facts.guest_with("routes")
    if guest is None:
        return
    alike = grouped(
        ((route.table, route.metric, route.tos), route)
        for route in guest.routes
        if route.prefix == "0.0.0.0/0" and route.type is RouteType.UNICAST
    )
    for (table, metric, tos), routes in alike.items():
        devices = [hop.interface for route in routes for hop in route.nexthops[:1] if hop.interface is not None]
        ours = list(dict.fromkeys(name for name in devices if facts.view.vni_of(name) is not None))
        if len(routes) < 2 or len(ours) < 2:
            continue
        yield observation(
            rule,
            facts,
            subject=(str(table), str(metric), str(tos)),
            what=(f"table {table} has default routes by {listed(ours)} of the same metric ({metric})"),
            why="; the first one counts, which depends on the order in which they were made.",
            evidence=[guest_line(facts, "ip route", route.text) for route in routes],
            about=[each for name in ours if (vni := facts.view.vni_of(name)) is not None for each in vni.addresses],
            fixes=(Fix("give the default routes different metrics, or tables of their own with policy rules"),),
        )


RULE = Rule("VNC204", "equal-defaults", __doc__, find, severity="warning", about="server", cause=CauseKind.EQUAL_ROUTES)
