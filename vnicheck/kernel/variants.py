"""What a flow leaves open of its packets: their mark, TOS and user, and ports within ranges.

For each, a few values that stand for all: every rule and route answers alike for all that one of them stands for.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product

from vnicheck.kernel.fib import TOS_MASK
from vnicheck.kernel.packet import ICMP
from vnicheck.model.guest import PolicyRule, Route

Range = tuple[int, int]

MOST_MARKS = 256
"""More marks than this are not told apart one by one."""

ECHO_REQUEST_AS_PORT = 8 << 8
"""A lookup keeps type and code of an ICMP message where it keeps the destination port (struct flowi4, union uli)."""


def marks(rules: Iterable[PolicyRule]) -> tuple[int, ...] | None:
    """Marks, 0 first, of which one agrees with any possible mark in every `fwmark` selector. None: too many.

    Bits that the same selectors read form a group; in each group a mark equals one of the selectors' values there, or
    none of them.
    """
    selectors = list(dict.fromkeys((rule.fwmark, rule.fwmask) for rule in rules if rule.fwmark is not None))
    groups: dict[tuple[bool, ...], int] = {}
    for bit in (1 << position for position in range(32)):
        readers = tuple(bool(mask & bit) for _, mask in selectors)
        if any(readers):
            groups[readers] = groups.get(readers, 0) | bit
    choices = []
    for readers, bits in groups.items():
        values = {0} | {value & bits for (value, _), reads in zip(selectors, readers, strict=True) if reads}
        other = next((value for value in _values_of(bits) if value not in values), None)
        choices.append(sorted(values if other is None else values | {other}))
    count = 1
    for values_of_group in choices:
        count *= len(values_of_group)
    if count > MOST_MARKS:
        return None
    return tuple(sorted(sum(parts) for parts in product(*choices)))


def _values_of(bits: int) -> Iterator[int]:
    """The values that only these bits make, from 0 up."""
    value = 0
    while True:
        yield value
        value = (value - bits) & bits
        if value == 0:
            return


def tos_values(rules: Iterable[PolicyRule], routes: Iterable[Route]) -> tuple[int, ...]:
    """TOS bytes, 0 first, of which one agrees with any possible one in every `tos` and `dscp`."""
    rules = list(rules)
    classes = {0} | {rule.tos & TOS_MASK for rule in rules} | {route.tos & TOS_MASK for route in routes}
    named = {rule.dscp << 2 for rule in rules if rule.dscp is not None}
    classes |= {tos & TOS_MASK for tos in named}
    values = classes | named
    if named:
        for tos_class in classes:
            values.update(islice((tos for tos in range(tos_class, 256, 0x20) if tos not in named), 1))
    return tuple(sorted(values))


def users(rules: Iterable[PolicyRule]) -> tuple[int, ...]:
    """User ids, 0 first, one of each stretch between the edges of `uidrange` selectors."""
    ranges = [rule.uid_range for rule in rules if rule.uid_range is not None]
    return tuple(sorted({0} | {uid for first, last in ranges for uid in (first, last + 1) if uid < 0xFFFFFFFF}))


def port_cuts(rules: Iterable[PolicyRule]) -> tuple[int, ...]:
    """The ports, in order, at which some rule's answer may change."""
    ranges = [ports for rule in rules for ports in (rule.sport, rule.dport) if ports is not None]
    return tuple(sorted({port for first, last in ranges for port in (first, last + 1) if port <= 65535}))


def ports_within(cuts: Sequence[int], proto: int, ports: Range) -> tuple[int, ...]:
    """One port of each stretch of the range between two cuts."""
    first, last = ports
    return (first, *(cut for cut in cuts if proto != ICMP and first < cut <= last))
