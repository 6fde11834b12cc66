"""Policy rules or routes that no configuration sets: flows depend on them, and the next boot loses them.

## What it finds

Policy rules of one's own, and routes in tables of one's own, that run on the server and that none of its configuration
files, scripts and units sets at boot (NetworkManager, ifcfg, netplan, systemd-networkd, ifupdown, wicked, rc.local),
where flows that are delivered now would be dropped without them. A file for another interface, for one that boot does
not bring up, or that nothing runs, sets nothing.

## Why packets drop

`ip rule add` and `ip route add` change the running kernel alone. Without the rule, packets leave by the main table
again: by another interface than the one that they came in by, where the state filter, the spoofing check or rp_filter
drops them.

## How to fix

Write the rules and routes to the configuration of the server's network manager.

## How sure we are

The kernel makes `0: from all lookup local`, `32766: from all lookup main` and `32767: from all lookup default` itself
at every boot, wherever an agent has moved them since; they are never counted as lost.

Assumed: that no file which we read sets them does not prove that no program does. What the server does without them is
computed, with rp_filter as the next boot sets it where that is known. Nothing is said where a file that may set them
could not be read or was not understood.

## Sources

netplan(5), systemd.network(5), nm-settings-keyfile(5), interfaces(5), ifroute(5), ip-rule(8).
"""

from collections.abc import Iterator

import msgspec

from vnicheck.findings import evidence
from vnicheck.findings.facts import Facts
from vnicheck.findings.reboot import (
    breaking,
    endangering,
    facts_with_guest,
    flows_said,
    is_of_the_kernel,
    with_boot_rp_filter,
    with_boot_rules,
)
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Evidence, Finding, Fix
from vnicheck.model.guest import (
    DEFAULT_TABLE,
    LOCAL_TABLE,
    MAIN_TABLE,
    BootConfig,
    Guest,
    PolicyRule,
    Route,
    RuleAction,
)
from vnicheck.model.words import listed

_BY_HAND = {"boot", "static"}
"""Protocols of routes that people or managers add; the others belong to the kernel, DHCP or a routing daemon."""
_SHOWN = 4


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for all that would be lost, where flows break."""
    guest = facts.guest_with("rules", "routes", "interfaces")
    if guest is None or guest.boot is None or "routing" in guest.boot.unknown:
        return
    rules = [each for each in guest.rules if _is_own(each) and not _rule_is_set(each, guest.boot)]
    routes = [each for each in guest.routes if _is_own_route(each, guest) and not _route_is_set(each, guest.boot)]
    if not rules and not routes:
        return
    then = with_boot_rp_filter(guest)
    alone = {index for index, _ in breaking(facts, facts_with_guest(facts, then))} if then != guest else set()
    kept = msgspec.structs.replace(
        with_boot_rules(then, rules),
        routes=tuple(each for each in guest.routes if each not in routes),
    )
    after = facts_with_guest(facts, kept)
    broken = [change for change in breaking(facts, after) if change[0] not in alone]
    risky = [change for change in endangering(facts, after) if change[0] not in alone]
    if broken or risky:
        flows = sorted({index for index, _ in (*broken, *risky)})
        fates = {"dropped": broken, "at risk (spoofing-sibling)": risky}
        said = [f"{flows_said(facts, them)} are {fate}" for fate, them in fates.items() if them]
        manager = next(iter(guest.network_managers), "the server's network manager")
        yield observation(
            rule,
            facts,
            subject=sorted({vni.id for index in flows if (vni := facts.owner(facts.flows[index].local)) is not None}),
            what=f"from the next boot on, {listed(said)}",
            why=f": no configuration sets {_lost(rules, routes)}.",
            severity="warning",
            confidence="assumed",
            flows=flows,
            evidence=list(_evidence(facts, rules, routes)),
            fixes=(Fix(f"write {_lost(rules, routes)} to the configuration of {manager}"),),
        )


def _is_own(rule: PolicyRule) -> bool:
    return not is_of_the_kernel(rule) and rule.action is RuleAction.TABLE and rule.table is not None


def _is_own_route(route: Route, guest: Guest) -> bool:
    """In a table of one's own, and added by hand or by a manager; a VRF's table is its device's."""
    others = {MAIN_TABLE, LOCAL_TABLE, DEFAULT_TABLE, *(link.vrf_table for link in guest.interfaces)}
    return route.table not in others and route.protocol in _BY_HAND


def _rule_is_set(rule: PolicyRule, boot: BootConfig) -> bool:
    return any(
        (one.table, one.src, one.dst) == (rule.table, rule.src, rule.dst)
        and (one.priority is None or one.priority == rule.priority)
        for one in boot.rules
    )


def _route_is_set(route: Route, boot: BootConfig) -> bool:
    return any(one.table == route.table and one.prefix in {None, route.prefix} for one in boot.routes)


def _lost(rules: list[PolicyRule], routes: list[Route]) -> str:
    """The rules and routes in the words of `ip`, the first few of each."""
    return listed([*_few("rule", [rule.text for rule in rules]), *_few("route", [_worded(route) for route in routes])])


def _few(kind: str, texts: list[str]) -> list[str]:
    said = [f"{kind} '{text}'" for text in texts[:_SHOWN]]
    return [*said, f"{len(texts) - _SHOWN} more {kind}s"] if len(texts) > _SHOWN else said


def _worded(route: Route) -> str:
    return route.text if "table" in route.text.split() else f"{route.text} table {route.table}"


def _evidence(facts: Facts, rules: list[PolicyRule], routes: list[Route]) -> Iterator[Evidence]:
    for rule in rules:
        yield evidence.guest_line(facts, "ip rule", rule.text)
    for route in routes:
        yield evidence.guest_line(facts, "ip route", _worded(route))


RULE = Rule("VNC252", "runtime-only-policy-rule", __doc__, find, about="server", cause=CauseKind.LOST_AT_BOOT)
