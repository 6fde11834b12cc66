"""What busybox's `ip` does not show. Its dumps look complete and are not, so what they may hide is marked unmodelled.

Seen with BusyBox 1.35: of a rule it leaves out `not`, oif, ipproto, ports, uidrange, tun_id, [detached] and the target
of a goto; of a route its protocol, tos, `linkdown` and `dead`, an IPv6 gateway, nexthop lists and nexthop object.
"""

from collections.abc import Iterable

import msgspec

from vnicheck.guest.parsers.routes import with_text
from vnicheck.model.guest import DEFAULT_TABLE, LOCAL_TABLE, MAIN_TABLE, PolicyRule, Route

_KERNEL_RULES = {(0, LOCAL_TABLE), (32766, MAIN_TABLE), (32767, DEFAULT_TABLE)}
_HIDDEN = "busybox ip does not show every selector"


def doubt_busybox_rules(rules: Iterable[PolicyRule]) -> tuple[PolicyRule, ...]:
    """The rules, each but the kernel's own three marked: it may have selectors that were not shown."""
    return tuple(
        rule if _is_kernels_own(rule) else msgspec.structs.replace(rule, unmodelled=(*rule.unmodelled, _HIDDEN))
        for rule in rules
    )


def _is_kernels_own(rule: PolicyRule) -> bool:
    bare = PolicyRule(priority=rule.priority, table=rule.table, text=rule.text) if rule.table is not None else None
    return (rule.priority, rule.table) in _KERNEL_RULES and rule == bare


def doubt_busybox_routes(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes with their protocol, which is not shown, as `unknown`."""
    return tuple(with_text(msgspec.structs.replace(route, protocol="unknown")) for route in routes)
