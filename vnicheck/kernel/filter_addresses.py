"""Which rules of a firewall name which addresses."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from vnicheck.kernel.filter_match import Packets, address_range
from vnicheck.model.address import Range
from vnicheck.model.firewall import FirewallRule, Selector


def address_sets(rules: Iterable[FirewallRule], ends: Collection[Selector]) -> Iterator[list[Range]]:
    """The sets of addresses that rules name for these ends of packets."""
    told = {match.values for rule in rules for match in rule.matches if match.selector in ends}
    for values in sorted(told):
        yield [each for value in values if (each := address_range(value)) is not None]


class ByAddress:
    """The rules of a chain, of which many may be for a single address each."""

    def __init__(self, rules: Sequence[FirewallRule]) -> None:
        self._rules = rules
        self._single: dict[tuple[Selector, int], list[int]] = {}
        self._others: list[int] = []
        self._met: dict[tuple[int | None, int | None], Sequence[FirewallRule]] = {}
        for place, rule in enumerate(rules):
            address = _single_address(rule)
            places = self._others if address is None else self._single.setdefault(address, [])
            places.append(place)

    def met(self, packets: Packets) -> Sequence[FirewallRule]:
        """Those that such packets may meet, in their order."""
        source, destination = (Selector.SOURCE, packets.source), (Selector.DESTINATION, packets.destination)
        key = (source[1] if source in self._single else None, destination[1] if destination in self._single else None)
        if key not in self._met:
            places = [*self._others, *self._single.get(source, ()), *self._single.get(destination, ())]
            self._met[key] = [self._rules[place] for place in sorted(places)]
        return self._met[key]


def _single_address(rule: FirewallRule) -> tuple[Selector, int] | None:
    for match in rule.matches:
        if match.selector in {Selector.SOURCE, Selector.DESTINATION} and len(match.values) == 1 and not match.negated:
            told = address_range(match.values[0])
            if told is not None and told[0] == told[1]:
                return match.selector, told[0]
    return None
