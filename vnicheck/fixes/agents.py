"""Programs that own policy rules of a server, by what they set: priorities, marks, tables, devices, files. A plan says
which of them it found, what their rules read, and where ours stand.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from vnicheck.fixes.effects import AddRule, Effect
from vnicheck.model.grouped import grouped
from vnicheck.model.guest import LOCAL_TABLE, MAIN_TABLE, Guest, PolicyRule, Route, RouteType
from vnicheck.model.lines import short_prefix
from vnicheck.model.words import counted, listed

_NAMED = 3
_ROUTING_DAEMONS = {"bird", "80"}
"""`proto` of Calico's routes: BIRD's name, and Felix's number."""
_GOOGLE = "66"
"""`proto` of the routes that Google's guest agent makes."""


class Agent(Struct, frozen=True, kw_only=True):
    """What one of them makes: a rule is its own where `rules` says so, a route where `routes` does."""

    name: str
    rules: Callable[[PolicyRule], bool] = lambda _: False
    routes: Callable[[Route], bool] = lambda _: False


def _marked(rule: PolicyRule, mask: int, *marks: int) -> bool:
    return rule.fwmark is not None and rule.fwmask == mask and (not marks or rule.fwmark in marks)


def _is_amazon_like(rule: PolicyRule) -> bool:
    """512 to a pod, 1024 by the mark 0x80, 1536 from a pod (amazon-vpc-cni-k8s, pkg/networkutils)."""
    pod = rule.src if rule.priority == 1536 else rule.dst
    by_pod = rule.priority in (512, 1536) and pod is not None and pod.endswith("/32")
    return by_pod or (rule.priority == 1024 and _marked(rule, 0x80, 0x80))


_AGENTS = (
    Agent(
        name="Tailscale",
        rules=lambda rule: 5200 <= rule.priority < 5300 and (_marked(rule, 0xFF0000, 0x80000) or rule.table == 52),
        routes=lambda route: route.table == 52,
    ),
    Agent(
        name="Cilium",
        rules=lambda rule: _marked(rule, 0xF00, 0x200, 0xA00, 0xB00) or rule.table in (2004, 2005),
        routes=lambda route: any((hop.interface or "").startswith("cilium_") for hop in route.nexthops),
    ),
    Agent(name="a container network in the manner of amazon-vpc-cni", rules=_is_amazon_like),
    Agent(
        name="Calico",
        rules=lambda rule: rule.priority == 99 and _marked(rule, 0x100000),
        routes=lambda route: route.protocol in _ROUTING_DAEMONS,
    ),
    Agent(
        name="OVN-Kubernetes",
        rules=lambda rule: _marked(rule, 0xFFFFFFFF, 0x1745EC, 0x3F0) or rule.priority in (5999, 6000),
        routes=lambda route: any(hop.interface == "ovn-k8s-mp0" for hop in route.nexthops),
    ),
    Agent(
        name="nm-cloud-setup",
        rules=lambda rule: 30200 <= rule.priority < 30500 and rule.table is not None and 30200 <= rule.table < 30500,
    ),
    Agent(
        name="wg-quick",
        rules=lambda rule: rule.table == 51820 or (rule.table == MAIN_TABLE and rule.suppress_prefixlength == 0),
        routes=lambda route: route.table == 51820,
    ),
    Agent(
        name="NetBird", rules=lambda rule: _marked(rule, 0xFFFFFFFF, 0x1BD00), routes=lambda route: route.table == 7120
    ),
    Agent(
        name="Google's guest agent",
        routes=lambda route: route.table == LOCAL_TABLE and route.type is RouteType.LOCAL and route.protocol == _GOOGLE,
    ),
)
_CLOUD_INIT = re.compile(r"/etc/netplan/50-cloud-init\.yaml|/10-cloud-init-[^/]*\.network")
_NETPLAN = re.compile(r"/etc/netplan/|/run/netplan/")


def agents(guest: Guest | None, effects: Iterable[Effect]) -> tuple[str, ...]:
    """A sentence for each agent. `effects`: those of the plan, of which the rules stand behind an agent's or not."""
    if guest is None:
        return ()
    ours = [effect.rule for effect in effects if isinstance(effect, AddRule)]
    return tuple(_said(name, rules, routes, ours) for name, rules, routes in _found(guest))


def _found(guest: Guest) -> Iterator[tuple[str, list[PolicyRule], list[Route]]]:
    others = list(guest.rules)
    for agent in _AGENTS:
        rules = [rule for rule in others if agent.rules(rule)]
        routes = [route for route in guest.routes if agent.routes(route)]
        if rules or routes:
            others = [rule for rule in others if rule not in rules]
            yield agent.name, rules, routes
    for name, files in (("cloud-init", _CLOUD_INIT), ("netplan", _NETPLAN)):
        rules = [rule for rule in others if (source := _source(guest, rule)) is not None and files.search(source)]
        if rules:
            others = [rule for rule in others if rule not in rules]
            yield name, rules, []


def _source(guest: Guest, rule: PolicyRule) -> str | None:
    """The file and line that configures a rule."""
    for one in guest.boot.rules if guest.boot is not None else ():
        same = (one.src, one.dst, one.table) == (rule.src, rule.dst, rule.table)
        if same and one.priority in (None, rule.priority):
            return one.source
    return None


def _said(name: str, rules: list[PolicyRule], routes: list[Route], ours: list[PolicyRule]) -> str:
    if not rules:
        return f"{name} keeps {counted(len(routes), 'route', 'routes')} here, {_some(routes)}: a plan leaves them to it"
    numbers = [str(priority) for priority in sorted({rule.priority for rule in rules})]
    shown = ", ".join(numbers[:6]) + (" and more" if len(numbers) > 6 else "")
    owned = counted(len(rules), "policy rule", "policy rules")
    return f"{name} owns {owned} here ({shown}): {_reads(rules)}{_place(rules, ours)}"


def _reads(rules: list[PolicyRule]) -> str:
    by_what = grouped((_what(rule), rule) for rule in rules)
    parts = [f"{_some(alike)} {'reads' if len(alike) == 1 else 'read'} {what}" for what, alike in by_what.items()]
    return "; ".join(parts)


def _what(rule: PolicyRule) -> str:
    reads = {
        "the packet's mark": rule.fwmark is not None,
        "its TOS": bool(rule.tos) or rule.dscp is not None,
        "the user": rule.uid_range is not None,
        "protocol or ports": (rule.ipproto, rule.sport, rule.dport) != (None, None, None),
        "the incoming interface": rule.iif is not None,
        "the source address": rule.src is not None,
        "the destination": rule.dst is not None,
    }
    return listed([what for what, does in reads.items() if does] or ["nothing of the packet"])


def _some(lines: list[PolicyRule] | list[Route]) -> str:
    return listed([f"'{line.text}'" for line in lines], _NAMED)


def _place(rules: list[PolicyRule], ours: list[PolicyRule]) -> str:
    if not ours:
        return ""
    last = max(rule.priority for rule in rules)
    ahead = [short_prefix(rule.src or "all") for rule in ours if rule.priority < last]
    if not ahead:
        return "; ours come behind them"
    return f"; ours for {listed(ahead)} come ahead of some of them, and change no way that they lead on purpose"
