"""The familiar `ip route` and `ip rule` line of a struct, as `ip` shows it whichever dump the struct was read from, and
as `ip` takes it to make one.
"""

import re

from vnicheck.model.guest import (
    DEFAULT_TABLE,
    LOCAL_TABLE,
    MAIN_TABLE,
    NextHop,
    PolicyRule,
    Route,
    RouteType,
    RuleAction,
)

_TABLES = {LOCAL_TABLE: "local", MAIN_TABLE: "main", DEFAULT_TABLE: "default"}
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}", re.ASCII)
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}


def table_name(table: int) -> str:
    """`main`, `local`, `default`, or the number."""
    return _TABLES.get(table, str(table))


def short_prefix(prefix: str) -> str:
    """As `ip` prints it: without the length of a single address."""
    return prefix.removesuffix("/32")


def format_route(route: Route) -> str:
    """`default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.11 metric 100`; several nexthops follow on the same line."""
    words = [] if route.type is RouteType.UNICAST else [route.type.value]
    words.append("default" if route.prefix == "0.0.0.0/0" else short_prefix(route.prefix))
    if route.tos:
        words.append(f"tos 0x{route.tos:02x}")
    if route.nexthop_id is not None:
        words.append(f"nhid {route.nexthop_id}")
    single = route.nexthops[0] if len(route.nexthops) == 1 else None
    if single is not None:
        words += _hop_words(single)
    if route.table != MAIN_TABLE:
        words.append(f"table {table_name(route.table)}")
    if route.protocol != "boot":
        words.append(f"proto {route.protocol}")
    if route.scope != "global":
        words.append(f"scope {route.scope}")
    if route.source is not None:
        words.append(f"src {route.source}")
    if route.metric:
        words.append(f"metric {route.metric}")
    if single is not None:
        words += single.flags
    else:
        for hop in route.nexthops:
            words += ["nexthop", *_hop_words(hop), f"weight {hop.weight}", *hop.flags]
    return " ".join(words)


def _hop_words(hop: NextHop) -> list[str]:
    words = []
    if hop.gateway is not None:
        words.append(f"via {hop.gateway}")
    if hop.interface is not None:
        words.append(f"dev {hop.interface}")
    return words


def format_rule(rule: PolicyRule) -> str:
    """`100: not from 10.0.0.0/24 fwmark 0x1/0xff iif eth0 lookup main suppress_prefixlength 0`."""
    words = [f"{rule.priority}:"]
    if rule.invert:
        words.append("not")
    words.append(f"from {'all' if rule.src is None else short_prefix(rule.src)}")
    if rule.dst is not None:
        words.append(f"to {short_prefix(rule.dst)}")
    return " ".join([*words, *_selectors(rule), *_action(rule)])


def _selectors(rule: PolicyRule) -> list[str]:
    words = []
    if rule.tos:
        words.append(f"tos 0x{rule.tos:02x}")
    if rule.dscp is not None:
        words.append(f"dscp {rule.dscp}")
    if rule.fwmark is not None:
        mark = f"0x{rule.fwmark:x}" if rule.fwmark else "0"
        words.append(f"fwmark {mark}" if rule.fwmask == 0xFFFFFFFF else f"fwmark {mark}/0x{rule.fwmask:x}")
    if rule.iif is not None:
        words.append(f"iif {rule.iif}" + (" [detached]" if rule.iif_detached else ""))
    if rule.oif is not None:
        words.append(f"oif {rule.oif}" + (" [detached]" if rule.oif_detached else ""))
    if rule.uid_range is not None:
        words.append(f"uidrange {rule.uid_range[0]}-{rule.uid_range[1]}")
    if rule.ipproto is not None:
        words.append(f"ipproto {_PROTOCOLS.get(rule.ipproto, rule.ipproto)}")
    for name, ports in (("sport", rule.sport), ("dport", rule.dport)):
        if ports is not None:
            words.append(f"{name} {ports[0]}" if ports[0] == ports[1] else f"{name} {ports[0]}-{ports[1]}")
    return words


def _action(rule: PolicyRule) -> list[str]:
    if rule.action is RuleAction.GOTO:
        return [f"goto {rule.goto}"]
    if rule.action is not RuleAction.TABLE:
        return [rule.action.value]
    words = []
    if rule.l3mdev:
        words.append("lookup [l3mdev-table]")
    elif rule.table is not None:
        words.append(f"lookup {table_name(rule.table)}")
    if rule.suppress_prefixlength is not None:
        words.append(f"suppress_prefixlength {rule.suppress_prefixlength}")
    if rule.suppress_ifgroup is not None:
        words.append(f"suppress_ifgroup {rule.suppress_ifgroup}")
    return words


def is_plain_interface(name: str) -> bool:
    """Whether an interface's name (at most 15 characters) means nothing but itself to a shell, to `ip`, in YAML or an
    ini file: no other stands in a command or a file that we propose.
    """
    return _PLAIN.fullmatch(name) is not None


def route_words(route: Route) -> str:
    """`10.0.0.0/24 dev eth1 table 1003` or `throw 10.9.0.0/16 table 1003`: a route with one next hop, or one that has
    none for its type, as `ip route add` takes it.
    """
    kind = [] if route.type is RouteType.UNICAST else [route.type.value]
    prefix = "default" if route.prefix == "0.0.0.0/0" else route.prefix
    hops = [word for hop in route.nexthops for word in _hop_words(hop)]
    return " ".join([*kind, prefix, *hops, f"table {route.table}"])


def rule_words(rule: PolicyRule) -> str:
    """`from 10.0.0.12 table 1003 priority 1003`: a rule by its source, as `ip rule add` takes it."""
    source = f"from {'all' if rule.src is None else short_prefix(rule.src)}"
    return f"{source} table {table_name(MAIN_TABLE if rule.table is None else rule.table)} priority {rule.priority}"
