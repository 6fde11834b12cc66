"""The server as the next boot would leave it, and which flows fare differently there."""

from collections.abc import Sequence

import msgspec

from vnicheck.engine.classify import predict_flows
from vnicheck.engine.refinement import pieces
from vnicheck.engine.server_view import ServerView
from vnicheck.findings.at_risk import at_risk_flows
from vnicheck.findings.broken_paths import broken_flows
from vnicheck.findings.facts import Facts
from vnicheck.model.flow import Flow, Verdict
from vnicheck.model.guest import DEFAULT_RULES, DEFAULT_TABLE, LOCAL_TABLE, MAIN_TABLE, BootConfig, Guest, PolicyRule
from vnicheck.model.words import listed

_KERNELS = (
    PolicyRule(priority=0, table=LOCAL_TABLE, text="0: from all lookup local"),
    PolicyRule(priority=32766, table=MAIN_TABLE, text="32766: from all lookup main"),
    PolicyRule(priority=32767, table=DEFAULT_TABLE, text="32767: from all lookup default"),
)
RebootChange = tuple[int, Flow]
"""The index of a flow as it is now, and one that it overlaps after the boot."""


def facts_with_guest(facts: Facts, guest: Guest) -> Facts:
    """The same server with another guest, all its flows predicted anew."""
    view = facts.view
    other = ServerView(msgspec.structs.replace(view.server, guest=guest), view.fabric, view.config, like=view)
    return Facts(other, predict_flows(other), facts.read_at)


def is_of_the_kernel(rule: PolicyRule) -> bool:
    """Whether a rule is one of the three that the kernel makes, wherever an agent moved it: it looks up local, main or
    default for all packets (net/ipv4/fib_rules.c, fib_default_rules_init).
    """
    return rule.table in DEFAULT_RULES.values() and rule.leads_all


def with_boot_rules(guest: Guest, lost: Sequence[PolicyRule]) -> Guest:
    """The guest with its rules as the next boot makes them: the kernel's three, where it puts them, and all others but
    those that are lost.
    """
    again = {(rule.priority, rule.table) for rule in (guest.boot.rules if guest.boot is not None else ())}
    moved = {rule for rule in guest.rules if is_of_the_kernel(rule) and (rule.priority, rule.table) not in again}
    kept = [rule for rule in guest.rules if rule not in lost and rule not in moved and rule not in _KERNELS]
    rules = sorted([*_KERNELS, *kept], key=lambda rule: rule.priority)
    return msgspec.structs.replace(guest, rules=tuple(rules))


def rp_filter_at_boot(boot: BootConfig, key: str) -> int | None:
    """What the key is after the boot: 0 where no file sets it (net/ipv4/devinet.c, ipv4_devconf); None: not known."""
    setting = boot.sysctls.get(key)
    return 0 if setting is None else setting.value


def with_boot_rp_filter(guest: Guest) -> Guest:
    """The guest with rp_filter as the next boot sets it, where that is known; as it is where `all` is not."""
    boot = guest.boot
    if boot is None or "sysctls" in boot.unknown:
        return guest
    values = {key: rp_filter_at_boot(boot, key) for key in guest.sysctls if key.endswith("/rp_filter")}
    if values.get("net/ipv4/conf/all/rp_filter") is None:
        return guest
    known = {key: value for key, value in values.items() if value is not None}
    return msgspec.structs.replace(guest, sysctls=guest.sysctls | known)


def breaking(now: Facts, then: Facts) -> list[RebootChange]:
    """Flows that are delivered now and would be dropped then, against what is meant."""
    return _changes(now.flows, Verdict.DELIVERED, _broken(then))


def endangering(now: Facts, then: Facts) -> list[RebootChange]:
    """Flows that are delivered now and would be at risk then, by an open assumption."""
    return _changes(now.flows, Verdict.DELIVERED, list(at_risk_flows(then).values()))


def fixing(now: Facts, then: Facts) -> list[RebootChange]:
    """Flows that are dropped now, against what is meant, and would be delivered then."""
    delivered = [flow for flow in then.flows if flow.verdict is Verdict.DELIVERED]
    broken = set(_broken(now))
    return [change for change in _changes(now.flows, Verdict.DROPPED, delivered) if now.flows[change[0]] in broken]


def flows_said(facts: Facts, changes: Sequence[RebootChange]) -> str:
    """`tcp and icmp flows to and opened from 10.0.0.12`."""
    ways: dict[tuple[str, str], list[str]] = {}
    for direction, word in (("inbound", "to"), ("outbound", "opened from"), ("transit", "through the server to")):
        flows = [flow for index, _ in changes if (flow := facts.flows[index]).direction == direction]
        if flows:
            protocols = listed(list(dict.fromkeys(flow.protocol.value for flow in flows)))
            addresses = listed(list(dict.fromkeys(flow.local for flow in flows)))
            ways.setdefault((protocols, addresses), []).append(word)
    return listed([f"{protocols} flows {listed(words)} {ends}" for (protocols, ends), words in ways.items()])


def _broken(facts: Facts) -> list[Flow]:
    return list(broken_flows(facts).values())


def _changes(before: Sequence[Flow], verdict: Verdict, after: Sequence[Flow]) -> list[RebootChange]:
    return [
        (piece.before, after[piece.after]) for piece in pieces(before, after) if before[piece.before].verdict is verdict
    ]
