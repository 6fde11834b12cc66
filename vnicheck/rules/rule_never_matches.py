"""A policy rule never takes a packet that the server sends.

## What it finds

- Rules that come behind one which takes everything: it selects nothing, and its table has a default route, or it
  refuses. No packet gets past it.
- Rules by an interface that does not exist (`[detached]`).
- Rules by an incoming interface (`iif eth1`) that lead to a routing table, on a server that forwards nothing from it: a
  reply is looked up as coming from `lo`, whichever interface the request came in by.

## Why it matters

Whoever made such a rule meant it to lead packets. They go by the rules before it, or by the main table; the path stays
as asymmetric as it was.

## How to fix

Rules of policy routing select by source address (`from`), and come before that of the main table (32766). Delete those
that are not needed.

## How sure we are

Computed from the collected rules and routes. Rules that jump over others (`goto`) make us say nothing of what is behind
them. Devices of container software, which come and go, are left out.

## Sources

Linux: ip-rule(8), net/core/fib_rules.c (fib_rule_match), net/ipv4/route.c (ip_route_output_key_hash).
"""

from collections.abc import Iterator

from vnicheck.engine.own_devices import owner_of
from vnicheck.findings.evidence import guest_line
from vnicheck.findings.facts import Facts
from vnicheck.findings.reboot import is_of_the_kernel
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.guest import DEFAULT_RULES, Guest, PolicyRule, RouteType, RuleAction
from vnicheck.model.words import counted, listed

_REFUSING = {RuleAction.BLACKHOLE, RuleAction.UNREACHABLE, RuleAction.PROHIBIT}
_OF_THE_KERNEL = set(DEFAULT_RULES.values())
_NAMED = 3


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each way in which rules match nothing."""
    guest = facts.guest_with("rules", "routes", "routes_local", "interfaces")
    if guest is None or any(each.unmodelled for each in guest.rules):
        return
    behind, last = _behind_all(guest)
    gone = [each for each in guest.rules if _names_what_is_gone(each, guest)]
    incoming = [each for each in guest.rules if _selects_incoming(each, facts, guest)]
    for subject, rules, why in (
        ("behind", behind, f"no packet gets past '{last.text if last is not None else ''}', which takes everything"),
        ("gone", gone, "the interface that is named does not exist"),
        ("incoming", incoming, "a reply is looked up as coming from lo, not from where the request came in"),
    ):
        if rules:
            names = listed([f"'{each.text}'" for each in rules[:_NAMED]])
            more = f" and {len(rules) - _NAMED} more" if len(rules) > _NAMED else ""
            takes = counted(len(rules), "policy rule takes", "policy rules take")
            yield observation(
                rule,
                facts,
                subject=(subject,),
                what=f"{takes} nothing that the server sends",
                why=f": {names}{more}; {why}.",
                evidence=[guest_line(facts, "ip rule", each.text) for each in rules],
                fixes=(
                    Fix("select by source address ('from'), before the rule of the main table, or delete the rule"),
                ),
            )


def _behind_all(guest: Guest) -> tuple[list[PolicyRule], PolicyRule | None]:
    """The rules that are never asked, and the one that takes everything before them."""
    for place, each in enumerate(guest.rules):
        if each.action is RuleAction.GOTO:
            return [], None
        if _takes_all(each, guest):
            return [other for other in guest.rules[place + 1 :] if not is_of_the_kernel(other)], each
    return [], None


def _takes_all(rule: PolicyRule, guest: Guest) -> bool:
    if rule.l3mdev:
        return False
    bare = PolicyRule(
        priority=rule.priority, action=rule.action, table=rule.table, realms=rule.realms, text=rule.text, goto=rule.goto
    )
    if rule != bare:
        return False
    return rule.action in _REFUSING or any(
        route.table == rule.table
        and route.prefix == "0.0.0.0/0"
        and route.tos == 0
        and not route.unmodelled
        and route.type is not RouteType.THROW
        and not any("dead" in hop.flags or "linkdown" in hop.flags for hop in route.nexthops)
        for route in guest.routes
    )


def _names_what_is_gone(rule: PolicyRule, guest: Guest) -> bool:
    links = {link.name for link in guest.interfaces}
    named = [name for name in (rule.iif, rule.oif) if name is not None and name not in links]
    return bool(named) and not rule.invert and all(owner_of(name) is None for name in named)


def _selects_incoming(rule: PolicyRule, facts: Facts, guest: Guest) -> bool:
    name = rule.iif
    if name is None or facts.view.vni_of(name) is None or rule.invert or rule.action is not RuleAction.TABLE:
        return False
    leads = any(route.table == rule.table and route.type is RouteType.UNICAST for route in guest.routes)
    forwards = guest.sysctls.get(f"net/ipv4/conf/{name}/forwarding")
    return rule.table not in _OF_THE_KERNEL and leads and forwards == 0


RULE = Rule("VNC209", "rule-never-matches", __doc__, find, severity="note", about="server", cause=CauseKind.IDLE_RULE)
