"""Causes: the findings of a server that one thing makes, together."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, UnsetType

from vnicheck.findings.facts import Facts
from vnicheck.findings.published import is_published
from vnicheck.findings.rule import Rule
from vnicheck.findings.terms import CAUSES
from vnicheck.model.cause import Cause, CauseKind
from vnicheck.model.finding import SEVERITIES, Finding
from vnicheck.model.flow import Direction, DropCode, Flow, Scope
from vnicheck.model.words import counted, listed

_NAMED = 3
OF_THE_ADDRESS = {
    DropCode.NOT_LOCAL: CauseKind.ADDRESS_MISSING,
    DropCode.INTERFACE_DOWN: CauseKind.INTERFACE_DOWN,
    DropCode.NO_ROUTE: CauseKind.NO_ROUTE,
    DropCode.BLACKHOLE: CauseKind.NO_ROUTE,
    DropCode.UNREACHABLE: CauseKind.NO_ROUTE,
    DropCode.PROHIBIT: CauseKind.NO_ROUTE,
    DropCode.VPC_ROUTE: CauseKind.VPC_ROUTE,
}
"""Drops that have their cause whichever way packets take."""
OF_ONE_INTERFACE = {
    DropCode.NETWORK_ACL: CauseKind.NETWORK_ACL,
    DropCode.SECURITY_GROUP: CauseKind.SECURITY_GROUP,
    DropCode.RP_FILTER: CauseKind.SOURCE_CHECK,
    DropCode.MARTIAN_SOURCE: CauseKind.SOURCE_CHECK,
    DropCode.PROTOCOL_STATE_FILTERING: CauseKind.STATE_FILTER,
    DropCode.IP_SPOOFING_CHECK: CauseKind.SPOOFING_CHECK,
    DropCode.FLOATING_IP: CauseKind.FLOATING_IP,
    DropCode.NO_FLOATING_IP: CauseKind.FLOATING_IP,
}
"""Drops of packets that enter and leave by one interface."""
_HALF_ROUTING = {
    CauseKind.UNUSED_TABLE: "a routing table is there, and no rule uses it",
    CauseKind.EMPTY_TABLE: "the rule's routing table is empty",
    CauseKind.EQUAL_ROUTES: "two default routes of one metric",
}
"""What may be why replies leave by the wrong interface, in words."""


class _Group(Struct):
    """Findings of one cause, as they are collected, with their flows."""

    findings: list[Finding]
    flows: list[Flow]
    joined: list[CauseKind]
    """Of findings that would make a cause of their own."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of the flows; where there are none, of the server's, what the findings are about."""
        mine = [flow.local for flow in self.flows if flow.direction is not Direction.TRANSIT]
        return tuple(dict.fromkeys(mine or [address for each in self.findings for address in _about(each)]))


def causes_of(
    facts: Facts, flows: Sequence[Flow], findings: Sequence[Finding], rules: Mapping[str, Rule]
) -> tuple[Cause, ...]:
    """The causes, the worst first; every finding belongs to one. `rules` by their ids."""
    groups: dict[CauseKind, _Group] = {}
    for finding in findings:
        mine = [flows[index] for index in finding.flows]
        group = groups.setdefault(_kind(rules[finding.rule], mine), _Group([], [], []))
        group.findings.append(finding)
        group.flows += mine
    _join_routing(groups)
    _join_expectations(groups)
    causes = [_cause(facts, kind, group) for kind, group in groups.items()]
    order = list(CauseKind)
    return tuple(sorted(causes, key=lambda each: (SEVERITIES.index(each.severity), order.index(each.kind))))


def _kind(rule: Rule, flows: Sequence[Flow]) -> CauseKind:
    """What makes a finding: what its rule is about, or what its flows show."""
    if rule.cause is not None:
        return rule.cause
    first = flows[0]
    if first.direction is Direction.TRANSIT:
        return CauseKind.TRANSIT
    if first.dropped_by in OF_THE_ADDRESS:
        return OF_THE_ADDRESS[first.dropped_by]
    if any(flow.symmetric is False for flow in flows):
        return CauseKind.WRONG_INTERFACE
    return CauseKind.UNKNOWN_FLOWS if first.dropped_by is None else OF_ONE_INTERFACE[first.dropped_by]


def _join_routing(groups: dict[CauseKind, _Group]) -> None:
    """A table without a rule for addresses whose replies go wrong is why they do: one cause."""
    wrong = groups.get(CauseKind.WRONG_INTERFACE)
    if wrong is None:
        return
    concerned = set(wrong.addresses)
    for kind in _HALF_ROUTING:
        here = groups.pop(kind, _Group([], [], [])).findings
        apart = [each for each in here if concerned.isdisjoint(_about(each))]
        if len(apart) < len(here):
            wrong.findings += [each for each in here if each not in apart]
            wrong.joined.append(kind)
        if apart:
            groups[kind] = _Group(apart, [], [])


def _join_expectations(groups: dict[CauseKind, _Group]) -> None:
    """An expectation that does not hold for what a cause breaks is its work, too."""
    violated = groups.get(CauseKind.EXPECTATION)
    if violated is None:
        return
    for finding in list(violated.findings):
        for kind, group in groups.items():
            broken = {index for each in group.findings for index in each.flows}
            if kind is not CauseKind.EXPECTATION and finding.flows and broken.issuperset(finding.flows):
                group.findings.append(finding)
                violated.findings.remove(finding)
                break
    if not violated.findings:
        del groups[CauseKind.EXPECTATION]


def _about(finding: Finding) -> tuple[str, ...]:
    return () if isinstance(finding.about, UnsetType) else finding.about


def _cause(facts: Facts, kind: CauseKind, group: _Group) -> Cause:
    scopes = {flow.remote_scope for flow in group.flows}
    return Cause(
        kind=kind,
        title=_title(facts, kind, group),
        severity=min((each.severity for each in group.findings), key=SEVERITIES.index),
        findings=tuple(dict.fromkeys(each.fingerprint for each in group.findings)),
        addresses=group.addresses,
        scopes=tuple(scope for scope in Scope if scope in scopes),
    )


def _title(facts: Facts, kind: CauseKind, group: _Group) -> str:
    """What is wrong, of this server: a clause."""
    if kind is CauseKind.WRONG_INTERFACE:
        return _wrong_interface(facts, group)
    addresses = group.addresses
    if kind is CauseKind.ADDRESS_MISSING and all(map(is_published, group.flows)):
        return f"the server forwards nothing between {_some(addresses)} and containers that answer there"
    if kind is CauseKind.ADDRESS_MISSING:
        return f"the server does not have {_some(addresses)}"
    if kind is CauseKind.INTERFACE_DOWN:
        return f"{_some(_places(group))} {'is' if len(_places(group)) == 1 else 'are'} down"
    if kind in _REFUSED:
        opened = all(flow.direction is Direction.OUTBOUND for flow in group.flows)
        return f"{_REFUSED[kind]} refuse replies {'to' if opened else 'from'} {_some(addresses)}"
    if kind is CauseKind.NO_ROUTE:
        return f"the server has no route for what it sends from {_some(addresses)}"
    return CAUSES[kind]


_REFUSED = {CauseKind.NETWORK_ACL: "network ACLs", CauseKind.SECURITY_GROUP: "security groups"}


def _places(group: _Group) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(drop.at for flow in group.flows for drop in flow.drops if drop.by is DropCode.INTERFACE_DOWN)
    )


def _wrong_interface(facts: Facts, group: _Group) -> str:
    """`replies from 10.0.0.12 leave by eth0, not eth1 (no policy routing)`."""
    ways: dict[tuple[str, str], dict[str, None]] = {}
    inbound = [flow for flow in group.flows if flow.direction is Direction.INBOUND]
    for flow in inbound or group.flows:
        if flow.symmetric is False and flow.ingress is not None and flow.egress is not None:
            ways.setdefault((flow.ingress, flow.egress), {})[flow.local] = None
    addresses = [address for locals_ in ways.values() for address in locals_]
    what = "replies from" if inbound else "packets from"
    if len(ways) == 1:
        ((ingress, egress),) = ways
        said = f"{what} {_some(addresses)} leave by {egress}, not {ingress}"
    elif len({egress for _, egress in ways}) == 1:
        said = f"{what} {_some(addresses)} leave by {next(iter(ways))[1]}, not by their own interfaces"
    else:
        each = [f"{_some(list(locals_))} by {egress}" for (_, egress), locals_ in ways.items()]
        more = "" if len(each) <= _NAMED else ", ..."
        said = f"packets leave by the wrong interface: from {', from '.join(each[:_NAMED])}{more}"
    why = _why(facts, group, set(addresses))
    return f"{said} ({why})" if why else said


def _why(facts: Facts, group: _Group, addresses: set[str]) -> str:
    """What of the server's policy routing is not there, where that is known."""
    guest = facts.guest_with("rules")
    if guest is None:
        return ""
    if group.joined:
        return listed([_HALF_ROUTING[kind] for kind in group.joined])
    if all(map(is_published, group.flows)):
        return "containers answer from there with their own addresses"
    ruled = {rule.src.removesuffix("/32") for rule in guest.rules if rule.src is not None}
    return "no policy routing" if ruled.isdisjoint(addresses) else "policy rules lead elsewhere"


def _some(names: Iterable[str]) -> str:
    shown = list(names)
    return listed(shown) if len(shown) <= _NAMED else counted(len(shown), "address", "addresses")
