"""A policy rule leads to a routing table that holds no route.

## What it finds

Policy rules that select by address or interface and lead to a table without any route.

## Why packets drop

A lookup in an empty table finds nothing, and the kernel goes on to the next rule: the packets go by the main table, as
if the rule were not there. Often the routes went when their interface was last down: the kernel deletes them then, and
nothing but the network manager's configuration brings them back.

## How to fix

Add the table's routes (the subnet, and a default by its gateway), in the configuration of the network manager too; or
delete the rule.

## How sure we are

Computed from the collected rules and routes. Rules that select marked packets (`fwmark`) or all packets belong to
other software (a VPN, a CNI plugin), whose tables may be empty on purpose.

## Sources

Linux: ip-rule(8), net/ipv4/fib_rules.c, net/ipv4/fib_frontend.c (fib_sync_down_dev).
"""

from collections.abc import Iterator

from vnicheck.engine.own_devices import owner_of
from vnicheck.findings.evidence import guest_line
from vnicheck.findings.facts import Facts
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.guest import DEFAULT_TABLE, LOCAL_TABLE, MAIN_TABLE, PolicyRule, RuleAction
from vnicheck.model.words import counted

_OF_THE_KERNEL = {DEFAULT_TABLE, MAIN_TABLE, LOCAL_TABLE}


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each table."""
    guest = facts.guest_with("rules", "routes", "routes_local")
    if guest is None:
        return
    filled = {route.table for route in guest.routes} | _OF_THE_KERNEL
    empty: dict[int, list[PolicyRule]] = {}
    for each in guest.rules:
        if each.action is not RuleAction.TABLE or each.table is None or each.table in filled:
            continue
        if each.fwmark is not None or each.unmodelled or not _selects_ours(each, facts):
            continue
        empty.setdefault(each.table, []).append(each)
    for table, rules in empty.items():
        yield observation(
            rule,
            facts,
            subject=(str(table),),
            what=(
                f"{counted(len(rules), 'policy rule leads', 'policy rules lead')} to routing table "
                f"{table}, which holds no route"
            ),
            why="; the packets go on to the next rule.",
            evidence=[guest_line(facts, "ip rule", each.text) for each in rules],
            about=[each.src.removesuffix("/32") for each in rules if each.src is not None],
            fixes=(Fix(f"add the routes of table {table}, or delete the rule"),),
        )


def _selects_ours(rule: PolicyRule, facts: Facts) -> bool:
    """Whether it selects by an address, or by an interface that container software has not made."""
    named = [name for name in (rule.iif, rule.oif) if name is not None]
    by_interface = any(name not in facts.view.own_devices and not _is_gone(name, facts) for name in named)
    return by_interface or rule.src is not None or rule.dst is not None


def _is_gone(name: str, facts: Facts) -> bool:
    """Whether it is the name of container software's devices, and no such device is there."""
    guest = facts.view.server.guest
    shown = guest is not None and any(link.name == name for link in guest.interfaces)
    return not shown and owner_of(name) is not None


RULE = Rule(
    "VNC203", "rule-without-table", __doc__, find, severity="warning", about="server", cause=CauseKind.EMPTY_TABLE
)
