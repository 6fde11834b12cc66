"""Which of a guest's own packets a change can touch, told by the change alone."""

from collections import Counter
from collections.abc import Hashable

from msgspec import Struct

from vnicheck.kernel.host import hidden_states
from vnicheck.model.address import parse_address
from vnicheck.model.guest import DEFAULT_TABLE, LOCAL_TABLE, MAIN_TABLE, Guest, PolicyRule, Route, RouteType, RuleAction

_CHANGING = {"routes", "rules", "sysctls"}


class Touched(Struct, frozen=True):
    """What is changed for packets from single addresses, and for those that come in by single interfaces; nothing for
    others of the guest's own.
    """

    by_source: dict[int, tuple[Hashable, ...]]
    by_interface: dict[str, Hashable]

    def of(self, source: int, interface: str | None) -> Hashable:
        """What is changed for packets from an address, and from others to it that come in by an interface."""
        return self.by_source.get(source, ()), self.by_interface.get(interface or "")


def touched(before: Guest, after: Guest) -> Touched | None:
    """What a change touches beside packets that the guest forwards; None: maybe all.

    A rule by source alone is met by packets from there, and by those to there in the lookup of their way back
    (net/ipv4/fib_rules.c, fib4_rule_match); a table only by rules that lead to it; rp_filter where packets come in.
    """
    fields = (name for name in Guest.__struct_fields__ if name not in _CHANGING)
    if any(getattr(before, name) is not getattr(after, name) for name in fields):
        return None
    rules, routes = _added_rules(before, after), _added_routes(before, after)
    by_interface = _revalidated(before.sysctls, after.sysctls)
    if rules is None or routes is None or by_interface is None:
        return None
    by_source: dict[int, tuple[Hashable, ...]] = {}
    for rule in rules:
        address, _, length = (rule.src or "").partition("/")
        plain = PolicyRule(priority=rule.priority, src=rule.src, table=rule.table, text=rule.text)
        if length != "32" or rule != plain:
            return None
        source = parse_address(address)
        table = tuple(route for route in routes if route.table == rule.table)
        by_source[source] = (*by_source.get(source, ()), rule, table)
    return Touched(by_source, by_interface)


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


def _added_routes(before: Guest, after: Guest) -> tuple[Route, ...] | None:
    """The routes that are new; None where one is gone, or is in a table that something led to."""
    if before.routes is after.routes:
        return ()
    used = {rule.table for rule in before.rules} | {link.vrf_table for link in before.interfaces}
    used |= {LOCAL_TABLE, MAIN_TABLE, DEFAULT_TABLE}
    kept, added = after.routes[: len(before.routes)], after.routes[len(before.routes) :]
    if len(kept) < len(before.routes) or any(a is not b for a, b in zip(before.routes, kept, strict=True)):
        return None
    return added if all(route.table not in used and _is_plain(route) for route in added) else None


def _is_plain(route: Route) -> bool:
    """Whether it counts for lookups in its table alone, and makes no address the guest's own."""
    own = route.type is RouteType.LOCAL or route.scope in {"host", "nowhere"}
    return not (own or route.tos or route.realms or route.unmodelled)


def _revalidated(before: dict[str, int], after: dict[str, int]) -> dict[str, Hashable] | None:
    """The new rp_filter of the interfaces of which it changes; None where any other sysctl does."""
    if before is after:
        return {}
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    names = {path: path.removeprefix("net/ipv4/conf/").removesuffix("/rp_filter") for path in changed}
    if any(f"net/ipv4/conf/{name}/rp_filter" != path or name in ("all", "default") for path, name in names.items()):
        return None
    return {name: after.get(path) for path, name in names.items()}
