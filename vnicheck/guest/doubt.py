"""What busybox's `ip` does not show. Its dumps look complete and are not, so what they may hide is marked unmodelled.

Seen with BusyBox 1.35: of a rule it leaves out `not`, oif, ipproto, ports, uidrange, tun_id, [detached] and the target
of a goto; of a link its kind; of a route its protocol, tos, `linkdown` and `dead`, an IPv6 gateway, nexthop
lists and nexthop object.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec

from vnicheck.guest.parsers.routes import with_text
from vnicheck.model.guest import DEFAULT_RULES, PolicyRule, Route, RouteType
from vnicheck.model.interface import Interface

_HIDDEN = "busybox ip does not show every selector"
_NO_TOS = "busybox ip does not show tos"
_NO_KIND = "busybox ip does not show what kind of device the master is"


def doubt_busybox_rules(rules: Iterable[PolicyRule]) -> tuple[PolicyRule, ...]:
    """The rules, each but the kernel's own three marked: it may have selectors that were not shown."""
    return tuple(
        rule
        if (rule.priority, rule.table) in DEFAULT_RULES.items() and rule.leads_all
        else msgspec.structs.replace(rule, unmodelled=(*rule.unmodelled, _HIDDEN))
        for rule in rules
    )


def doubt_busybox_routes(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes with their protocol, which is not shown, as `unknown`.

    Two to one prefix by one metric in one table are for different TOS, or one was appended: which it is, is not shown.
    """
    routes = tuple(routes)
    count = Counter(_place(route) for route in routes)
    return tuple(
        with_text(
            msgspec.structs.replace(
                route,
                protocol="unknown",
                unmodelled=route.unmodelled if count[_place(route)] == 1 else (*route.unmodelled, _NO_TOS),
            )
        )
        for route in routes
    )


def _place(route: Route) -> tuple[object, ...]:
    """What no two routes have in common, but for their TOS. The kernel makes routes that do: of
    two interfaces in one subnet, with their broadcasts."""
    own = route.type is RouteType.BROADCAST or (route.scope == "link" and route.source is not None)
    return route.table, route.prefix, route.metric, route.nexthops if own else None


def doubt_busybox_links(links: Iterable[Interface]) -> tuple[Interface, ...]:
    """The interfaces; one with an address and a master may belong to a VRF, of which the kind is not shown."""
    return tuple(
        msgspec.structs.replace(link, unmodelled=(*link.unmodelled, _NO_KIND))
        if link.master is not None and link.addresses and not link.kind_shown
        else link
        for link in links
    )
