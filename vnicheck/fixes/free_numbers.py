"""Numbers that policy routing may take: routing tables and rule priorities that neither run nor are configured."""

from collections.abc import Iterable

from vnicheck.model.guest import LOCAL_TABLE, MAIN_PRIORITY, MAIN_TABLE, Guest, PolicyRule, RuleAction

FIRST = 1000
"""Tables and priorities of ours start here, where nothing else makes us start later."""
_LAST_TABLE = 2**31 - 1


def free_table(guest: Guest, wanted: int, taken: Iterable[int] = ()) -> int:
    """The first unused table from `wanted` on."""
    used = {route.table for route in guest.routes} | {rule.table for rule in guest.rules} | set(taken)
    used |= {link.vrf_table for link in guest.interfaces}
    if guest.boot is not None:
        used |= {route.table for route in guest.boot.routes} | {rule.table for rule in guest.boot.rules}
    return next(number for number in range(wanted, _LAST_TABLE) if number not in used)


def priorities_before_main(guest: Guest, wanted: int, count: int, *, ordered: bool) -> list[int] | None:
    """`count` priorities behind every rule of others that comes before the main table's, so that none of them is
    overruled; None where there is no room.

    Right before the main table's, all may share one priority with rules of others: the kernel puts a rule behind its
    equals (net/core/fib_rules.c). Not where their order matters (`ordered`), which the next boot may turn around.
    """
    main = _main_priority(guest.rules)
    others = [rule.priority for rule in guest.rules if rule.priority < main]
    if guest.boot is not None:
        others += [rule.priority for rule in guest.boot.rules if rule.priority is not None and rule.priority < main]
    first = max([wanted if wanted + count <= main else FIRST, *(priority + 1 for priority in others)])
    if first + count <= main:
        return list(range(first, first + count))
    return None if ordered or main - 1 not in others else [main - 1] * count


def priorities_before_others(guest: Guest, count: int) -> list[int] | None:
    """`count` priorities ahead of every rule of others, but behind that of the local table; None without room."""
    local = [rule.priority for rule in guest.rules if rule.table == LOCAL_TABLE and _matches_all(rule)]
    floor = local[0] if local else 0
    others = [rule.priority for rule in guest.rules if rule.priority > floor]
    last = min(others, default=MAIN_PRIORITY)
    return list(range(last - count, last)) if last - count > floor else None


def _main_priority(rules: Iterable[PolicyRule]) -> int:
    """The priority of the first rule that leads everything to the main table."""
    return next((rule.priority for rule in rules if rule.table == MAIN_TABLE and _matches_all(rule)), MAIN_PRIORITY)


def _matches_all(rule: PolicyRule) -> bool:
    """Whether nothing but the priority, the table and its evidence is set."""
    bare = PolicyRule(priority=rule.priority, action=RuleAction.TABLE, table=rule.table, text=rule.text)
    return rule == bare
