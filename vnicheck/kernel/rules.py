"""Policy rules, compiled: what each wants of a packet, and what it leads to (net/core/fib_rules.c,
net/ipv4/fib_rules.c). What a rule reads beside addresses and interfaces becomes a decision; `lookup` composes them.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from vnicheck.kernel.fib import Failure, Match, NoMatch
from vnicheck.kernel.open_fields import DPORT, MARK, PROTO, SPORT, TOS, UID, OpenFields, dscp_class, tos_class
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import LAST, prefix_range
from vnicheck.model.flow import GuestLines
from vnicheck.model.guest import DEFAULT_RULES, PolicyRule, RuleAction

LOOPBACK = "lo"
REFUSALS = {
    RuleAction.BLACKHOLE: Failure.BLACKHOLE,
    RuleAction.UNREACHABLE: Failure.UNREACHABLE,
    RuleAction.PROHIBIT: Failure.PROHIBIT,
}
EVERYWHERE = (0, LAST)
Test = tuple[int, int]
"""A field, and the set of its values that a rule wants."""


class Found(Struct, frozen=True, eq=False):
    """A lookup's answer with the policy rule that led to it."""

    match: Match | NoMatch
    rule: str


def is_default(rules: Sequence[PolicyRule]) -> bool:
    """True where the rules are just the three that the kernel starts with."""
    plain = [PolicyRule(priority=priority, table=table) for priority, table in DEFAULT_RULES.items()]
    return [(rule.priority, _selectors(rule)) for rule in rules] == [
        (rule.priority, _selectors(rule)) for rule in plain
    ]


def reads_ports(rules: Sequence[PolicyRule]) -> bool:
    """Whether input lookups carry protocol and ports: only if a rule that is not `iif lo` selects on them."""
    return any(
        rule.iif != LOOPBACK and (rule.ipproto is not None or rule.sport is not None or rule.dport is not None)
        for rule in rules
    )


def may_ask_for_gateway(rule: PolicyRule, gateway: int) -> bool:
    """Whether its selectors (before `not`) may match the lookup of a gateway of a route that is made: it comes from lo,
    and has an outgoing interface or none; mark, source, TOS, protocol, ports and user are 0.
    """
    first, last = EVERYWHERE if rule.dst is None else prefix_range(rule.dst)
    return (
        first <= gateway <= last
        and (rule.src is None or prefix_range(rule.src)[0] == 0)
        and rule.iif in {None, LOOPBACK}
        and (rule.fwmark is None or rule.fwmark & rule.fwmask == 0)
        and not (rule.tos or rule.dscp or rule.ipproto or rule.sport or rule.dport)
        and (rule.uid_range is None or rule.uid_range[0] == 0)
    )


def _selectors(rule: PolicyRule) -> tuple[object, ...]:
    return tuple(getattr(rule, field) for field in rule.__struct_fields__ if field not in {"text", "priority"})


class CompiledRule:
    """A policy rule, its prefixes as ranges and its other selectors as sets of values."""

    def __init__(self, rule: PolicyRule, fields: OpenFields) -> None:
        self.rule = rule
        self.source = EVERYWHERE if rule.src is None else prefix_range(rule.src)
        self.destination = EVERYWHERE if rule.dst is None else prefix_range(rule.dst)
        failure = REFUSALS.get(rule.action)
        self.refusal = None if failure is None else Found(NoMatch(failure, GuestLines(rule=rule.text)), rule.text)
        self.doubt: Unknown | None = None
        if rule.unmodelled:
            self.doubt = Unknown(f"policy rule not understood: {rule.text} ({rule.unmodelled[0]})")
        elif rule.l3mdev and rule.invert:
            self.doubt = Unknown(f"policy rule that applies to all but VRFs: {rule.text}")
        elif rule.fwmark is not None and fields.marks(rule.fwmark, rule.fwmask) is None:
            self.doubt = Unknown("the policy rules tell too many packet marks apart")
        self.suppresses = rule.suppress_prefixlength is not None or rule.suppress_ifgroup is not None
        self.tests: tuple[Test, ...] = tuple(_tests(rule, fields))

    def may_match(self, iif: str, source: int | None, destination: int | None) -> bool:
        """Whether its selectors (before `not`) can match a lookup with this interface, and with these ends where they
        are told. Without a VRF in the lookup, and the model makes none with one, `l3mdev` matches nothing; no lookup of
        ours names an `oif`.
        """
        rule = self.rule
        if rule.l3mdev or rule.oif is not None or (rule.iif is not None and (rule.iif != iif or rule.iif_detached)):
            return False
        ends = ((source, self.source), (destination, self.destination))
        return all(end is None or first <= end <= last for end, (first, last) in ends)


def _tests(rule: PolicyRule, fields: OpenFields) -> Iterator[Test]:
    if rule.ipproto is not None:
        yield PROTO, 1 << rule.ipproto
    if rule.sport is not None:
        yield SPORT, fields.ports(*rule.sport)
    if rule.dport is not None:
        yield DPORT, fields.ports(*rule.dport)
    if rule.fwmark is not None and (marks := fields.marks(rule.fwmark, rule.fwmask)) is not None:
        yield MARK, marks
    if rule.tos:
        yield TOS, tos_class(rule.tos)
    if rule.dscp is not None:
        yield TOS, dscp_class(rule.dscp)
    if rule.uid_range is not None:
        yield UID, fields.users(*rule.uid_range)
