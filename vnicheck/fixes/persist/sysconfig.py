"""Files of /etc/sysconfig that hold an interface's routes and rules, a line each: wicked's, and the network scripts'.

They may hold lines of others, so ours stand between marks (lines with # are comments to both).
"""

from collections.abc import Sequence
from typing import Any

from vnicheck.fixes.persist.share import Share
from vnicheck.fixes.persist.shell import lines_action
from vnicheck.model.guest import Route, RouteType
from vnicheck.model.lines import format_route, rule_words
from vnicheck.model.plan import Action

_ASSIGNMENTS = ("^[[:space:]]*(ADDRESS|GATEWAY)[0-9]+=", "is written in assignments, which know no tables")


def wicked(share: Share) -> tuple[Action, ...]:
    """ifroute-eth1 (`DESTINATION GATEWAY NETMASK INTERFACE OPTIONS`) and ifrule-eth1, ifroute(5) and ifrule(5)."""
    folder = "/etc/sysconfig/network"
    routes = [_columns(route) for route in share.routes]
    rules = [f"ipv4 {rule_words(rule)}" for rule in share.rules]
    return (
        *_lines(share, "wicked", f"{folder}/ifroute-{share.handle}", routes),
        *_lines(share, "wicked", f"{folder}/ifrule-{share.handle}", rules),
    )


def network_scripts(share: Share) -> tuple[Action, ...]:
    """route-eth1 and rule-eth1: the words of `ip route add` and `ip rule add`."""
    folder = "/etc/sysconfig/network-scripts"
    routes = [format_route(route) for route in share.routes]
    rules = [rule_words(rule) for rule in share.rules]
    return (
        *_lines(share, "network scripts", f"{folder}/route-{share.handle}", routes, refuse=_ASSIGNMENTS),
        *_lines(share, "network scripts", f"{folder}/rule-{share.handle}", rules),
    )


def _columns(route: Route) -> str:
    if route.type is not RouteType.UNICAST:
        return f"{route.prefix} - - - type {route.type.value} table {route.table}"
    (hop,) = route.nexthops
    options = [f"table {route.table}"]
    if route.metric:
        options.append(f"metric {route.metric}")
    if route.source is not None:
        options.append(f"src {route.source}")
    if "onlink" in hop.flags:
        options.append("onlink")
    destination = "default" if hop.gateway is not None and route.prefix == "0.0.0.0/0" else route.prefix
    return " ".join([destination, hop.gateway or "-", "-", hop.interface or "-", *options])


def _lines(share: Share, manager: str, path: str, lines: Sequence[str], **more: Any) -> tuple[Action, ...]:
    """Nothing where there is nothing to write."""
    return (lines_action(f"{manager}: {path} gets these lines", path, share.label, lines, **more),) if lines else ()
