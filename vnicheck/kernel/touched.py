"""Which of a guest's own packets a change can touch, told by the change alone."""

from collections import Counter

from msgspec import Struct

from vnicheck.kernel.host import hidden_states
from vnicheck.model.address import parse_address
from vnicheck.model.guest import DEFAULT_TABLE, LOCAL_TABLE, MAIN_TABLE, Guest, PolicyRule, RuleAction

_CHANGING = {"routes", "rules", "sysctls"}


class Touched(Struct, frozen=True):
    """Packets from these addresses, and those that come in by these interfaces; no others of the guest's own."""

    sources: frozenset[int] = frozenset()
    interfaces: frozenset[str] = frozenset()


def touched(before: Guest, after: Guest) -> Touched | None:
    """What a change touches beside packets that the guest forwards; None: maybe all.

    A rule by source alone is met by packets from there, and by those to there in the lookup of their way back
    (net/ipv4/fib_rules.c, fib4_rule_match); a table only by rules that lead to it; rp_filter where packets come in.
    """
    fields = (name for name in Guest.__struct_fields__ if name not in _CHANGING)
    if any(getattr(before, name) is not getattr(after, name) for name in fields):
        return None
    rules, sources = _added_rules(before, after), []
    interfaces = _revalidating(before.sysctls, after.sysctls)
    if rules is None or interfaces is None or not _adds_unused_tables(before, after):
        return None
    for rule in rules:
        address, _, length = (rule.src or "").partition("/")
        if length != "32" or rule != PolicyRule(
            priority=rule.priority, src=rule.src, table=rule.table, text=rule.text
        ):
            return None
        sources.append(parse_address(address))
    return Touched(frozenset(sources), interfaces)


def _added_rules(before: Guest, after: Guest) -> list[PolicyRule] | None:
    """The rules that are new; None where others are not what they were, or may come to mean something else."""
    if before.rules is after.rules:
        return []
    left = iter(after.rules)
    if not all(any(rule is each for each in left) for rule in before.rules):
        return None
    jumps = any(rule.action is RuleAction.GOTO for rule in before.rules)
    if jumps or hidden_states(before) != hidden_states(after):
        return None
    old = Counter(map(id, before.rules))
    return [rule for rule in after.rules if not old[id(rule)]]


def _adds_unused_tables(before: Guest, after: Guest) -> bool:
    """Whether no route is new or gone but in tables that nothing led to."""
    if before.routes is after.routes:
        return True
    used = {rule.table for rule in before.rules} | {link.vrf_table for link in before.interfaces}
    used |= {LOCAL_TABLE, MAIN_TABLE, DEFAULT_TABLE}
    stay = len(before.routes)
    if len(after.routes) < stay or any(a is not b for a, b in zip(before.routes, after.routes, strict=False)):
        return False
    return all(route.table not in used and not route.realms and not route.unmodelled for route in after.routes[stay:])


def _revalidating(before: dict[str, int], after: dict[str, int]) -> frozenset[str] | None:
    """The interfaces of which rp_filter changes; None where any other sysctl does."""
    if before is after:
        return frozenset()
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    names = frozenset(path.removeprefix("net/ipv4/conf/").removesuffix("/rp_filter") for path in changed)
    whole = {f"net/ipv4/conf/{name}/rp_filter" for name in names} == changed
    return names if whole and names.isdisjoint({"all", "default"}) else None
