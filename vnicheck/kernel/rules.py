"""Policy rules: which match a lookup, and the walk through them (net/core/fib_rules.c, net/ipv4/fib_rules.c)."""

from collections.abc import Sequence

from msgspec import Struct

from vnicheck.kernel.fib import TOS_MASK, Failure, NoMatch
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import mask, parse_prefix
from vnicheck.model.guest import PolicyRule, RuleAction

LOOPBACK = "lo"
DEFAULT_RULES = ((0, 255), (32766, 254), (32767, 253))
"""(priority, table) of the three rules that every network namespace starts with."""


_REFUSALS = {
    RuleAction.BLACKHOLE: Failure.BLACKHOLE,
    RuleAction.UNREACHABLE: Failure.UNREACHABLE,
    RuleAction.PROHIBIT: Failure.PROHIBIT,
}


class Lookup(Struct, frozen=True):
    """What one FIB lookup asks for (struct flowi4). None for `iif`/`oif`: not set. `tos` is the whole byte.

    `proto`, `sport`, `dport` are 0 where the kernel does not fill them in; `uid` is 0 for packets that come in.
    """

    destination: int
    source: int
    iif: str | None = None
    oif: str | None = None
    mark: int = 0
    tos: int = 0
    uid: int = 0
    proto: int = 0
    sport: int = 0
    dport: int = 0


def is_default(rules: Sequence[PolicyRule]) -> bool:
    """True where the rules are just the three that the kernel starts with."""
    plain = [PolicyRule(priority=priority, table=table) for priority, table in DEFAULT_RULES]
    return [(rule.priority, _selectors(rule)) for rule in rules] == [
        (rule.priority, _selectors(rule)) for rule in plain
    ]


def reads_ports(rules: Sequence[PolicyRule]) -> bool:
    """Whether input lookups carry protocol and ports: only if a rule that is not `iif lo` selects on them."""
    return any(
        rule.iif != LOOPBACK and (rule.ipproto is not None or rule.sport is not None or rule.dport is not None)
        for rule in rules
    )


def _selectors(rule: PolicyRule) -> tuple[object, ...]:
    return tuple(getattr(rule, field) for field in rule.__struct_fields__ if field not in {"text", "priority"})


class CompiledRule:
    """A policy rule with its prefixes as integers. `refusal` is how the rule ends a lookup, where its action does."""

    def __init__(self, rule: PolicyRule) -> None:
        self.rule = rule
        failure = _REFUSALS.get(rule.action)
        self.refusal = None if failure is None else NoMatch(failure, f"rule '{rule.text}'")
        absent = (rule.iif, rule.oif, rule.fwmark, rule.dscp, rule.ipproto, rule.sport, rule.dport, rule.uid_range)
        self._by_address_only = all(selector is None for selector in absent) and not (
            rule.tos or rule.invert or rule.l3mdev or rule.unmodelled
        )
        self._source = _compile_prefix(rule.src)
        self._destination = _compile_prefix(rule.dst)

    def matches(self, lookup: Lookup) -> bool:
        """Whether the rule applies. Raises Undetermined where that turns on a selector that is not modelled."""
        if self._by_address_only:
            return self._matches_addresses(lookup)
        known = self._matches_known(lookup)
        rule = self.rule
        if rule.unmodelled and (known or rule.invert):
            raise Undetermined(f"policy rule not understood: {rule.text} ({rule.unmodelled[0]})")
        if rule.l3mdev and rule.invert:
            raise Undetermined(f"policy rule that applies to all but VRFs: {rule.text}")
        return known is not rule.invert

    def _matches_known(self, lookup: Lookup) -> bool:
        """The conjunction of the selectors before `not`; one that is not understood is taken to match.

        Without a VRF in the lookup, and the model makes none with one, `l3mdev` matches nothing.
        """
        rule = self.rule
        return (
            not rule.l3mdev
            and self._matches_interfaces(lookup)
            and (rule.fwmark is None or (rule.fwmark ^ lookup.mark) & rule.fwmask == 0)
            and self._matches_addresses(lookup)
            and (rule.tos == 0 or rule.tos == lookup.tos & TOS_MASK)
            and (rule.dscp is None or rule.dscp == lookup.tos >> 2)
            and (rule.uid_range is None or rule.uid_range[0] <= lookup.uid <= rule.uid_range[1])
            and self._matches_transport(lookup)
        )

    def _matches_addresses(self, lookup: Lookup) -> bool:
        return (
            lookup.source & self._source[1] == self._source[0]
            and lookup.destination & self._destination[1] == self._destination[0]
        )

    def _matches_interfaces(self, lookup: Lookup) -> bool:
        rule = self.rule
        return (rule.iif is None or (not rule.iif_detached and rule.iif == lookup.iif)) and (
            rule.oif is None or (not rule.oif_detached and rule.oif == lookup.oif)
        )

    def _matches_transport(self, lookup: Lookup) -> bool:
        rule = self.rule
        return (
            (rule.ipproto is None or rule.ipproto == lookup.proto)
            and (rule.sport is None or rule.sport[0] <= lookup.sport <= rule.sport[1])
            and (rule.dport is None or rule.dport[0] <= lookup.dport <= rule.dport[1])
        )


def _compile_prefix(prefix: str | None) -> tuple[int, int]:
    if prefix is None:
        return 0, 0
    network, length = parse_prefix(prefix)
    return network, mask(length)
