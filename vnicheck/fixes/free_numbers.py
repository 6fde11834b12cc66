"""Numbers that policy routing may take: routing tables and rule priorities that neither run nor are configured."""

from collections.abc import Iterable, Iterator

from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.guest import LOCAL_TABLE, MAIN_PRIORITY, MAIN_TABLE, Guest, PolicyRule

FIRST = 1000
"""Tables and priorities of ours start here, where nothing else makes us start later."""
_LAST_TABLE = 2**31 - 1


def free_table(guest: Guest, wanted: int, taken: Iterable[int] = ()) -> int:
    """The first unused table from `wanted` on."""
    used = {route.table for route in guest.routes} | {rule.table for rule in guest.rules} | set(taken)
    used |= {link.vrf_table for link in guest.interfaces}
    if guest.boot is not None:
        used |= {route.table for route in guest.boot.routes} | {rule.table for rule in guest.boot.rules}
        used |= set(guest.boot.idle_tables)
    return next(number for number in range(wanted, _LAST_TABLE) if number not in used)


def priorities_behind(guest: Guest, wanted: int, count: int) -> list[int] | None:
    """`count` priorities behind every rule of others that comes before the main table's, so that none of them is
    overruled; None where there is no room.

    Right before the main table's, all may share one with rules of others: the kernel puts a rule behind its equals
    (net/core/fib_rules.c). The next boot may turn that around.
    """
    main = _main_priority(guest.rules)
    others = [rule.priority for rule in guest.rules if rule.priority < main]
    if guest.boot is not None:
        others += [rule.priority for rule in guest.boot.rules if rule.priority is not None and rule.priority < main]
        others += [priority for priority in guest.boot.idle_priorities if priority < main]
    first = max([wanted if wanted + count <= main else FIRST, *(priority + 1 for priority in others)])
    if first + count <= main:
        return list(range(first, first + count))
    return [main - 1] * count if main - 1 > _local_priority(guest.rules) else None


def priorities_ahead(guest: Guest, address: str) -> Iterator[int]:
    """Priorities right ahead of the rules that what is sent from an address may meet before the main table's, from the
    last one to the first, and behind that of the local table.
    """
    main, local = _main_priority(guest.rules), _local_priority(guest.rules)
    takers = {rule.priority for rule in guest.rules if local < rule.priority < main and _may_take(rule, address)}
    yield from (priority - 1 for priority in sorted(takers, reverse=True) if priority - 1 > local)


def _may_take(rule: PolicyRule, address: str) -> bool:
    """Whether it may match plain packets that are sent from the address."""
    first, last = (0, 0xFFFFFFFF) if rule.src is None else prefix_range(rule.src)
    named = rule.iif not in (None, "lo") or rule.oif is not None or bool(rule.fwmark)
    return rule.invert or (first <= parse_address(address) <= last and not named)


def _main_priority(rules: Iterable[PolicyRule]) -> int:
    """The priority of the first rule that leads everything to the main table."""
    return next((rule.priority for rule in rules if rule.table == MAIN_TABLE and rule.leads_all), MAIN_PRIORITY)


def _local_priority(rules: Iterable[PolicyRule]) -> int:
    """The priority of the first rule that leads everything to the local table."""
    return next((rule.priority for rule in rules if rule.table == LOCAL_TABLE and rule.leads_all), 0)
