"""What all possible worlds come to: one answer where they agree, and else what becomes of packets in each, and which
rule or route reads what is not known.
"""

from collections.abc import Hashable, Iterator, Sequence

from vnicheck.kernel.open_fields import DPORT, MARK, SPORT, TOS, UID, Box
from vnicheck.kernel.receive import Received, Reception
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Several as Several
from vnicheck.kernel.undetermined import Unknown, worlds_of
from vnicheck.model.address_map import AddressMap
from vnicheck.model.flow import GuestLines
from vnicheck.model.guest import Guest

Outcome = Received | Sent | NotSent | Unknown
Part = tuple[Box, Outcome]
"""Packets, and what becomes of them."""
ByPort = AddressMap[Outcome]
"""By the port that the flow is about, its destination port; that of one which has none is 0."""

HIDDEN = "it depends on whether rules or local routes were ever changed on the guest, which no dump shows"
_OPEN = {
    MARK: ("the packet's mark", "unmarked packets"),
    TOS: ("the packet's TOS", "packets of TOS 0"),
    UID: ("the user of the program", "packets of user 0"),
    SPORT: ("a port", "others"),
    DPORT: ("a port", "others"),
}
"""Of each field what it is, and the plainest packets by it; in the order in which they are named."""
_FIRST = SPORT
"""`Box.least` begins with this field."""


class Readers:
    """The policy rules and routes of a guest that read what a flow leaves open of its packets."""

    def __init__(self, guest: Guest) -> None:
        self._lines: dict[int, list[str]] = {field: [] for field in _OPEN}
        for rule in guest.rules:
            for field, reads in (
                (MARK, rule.fwmark is not None),
                (TOS, bool(rule.tos) or rule.dscp is not None),
                (UID, rule.uid_range is not None),
                (SPORT, rule.sport is not None),
                (DPORT, rule.dport is not None),
            ):
                if reads:
                    self._lines[field].append(f"rule '{rule.text}'")
        self._lines[TOS] += [f"route '{route.text}'" for route in guest.routes if route.tos]
        self.read_marks = bool(self._lines[MARK])

    def named(self, fields: set[int], outcomes: Sequence[Outcome]) -> str:
        """A line that reads one of the fields, one by which the packets go where there is such; with `and 2 more`."""
        lines = list(dict.fromkeys(line for field in _OPEN if field in fields for line in self._lines[field]))
        shown = {line for outcome in outcomes for line in _lines_of(outcome)}
        deciding = [line for line in lines if line in shown]
        ordered = list(dict.fromkeys([*deciding, *lines]))
        if not ordered:
            return ""
        more = f" and {len(ordered) - 1} more" if len(ordered) > 1 else ""
        return f"; {ordered[0]}{more} {'read' if more else 'reads'} it"


def common(worlds: list[list[Part]], readers: Readers) -> Outcome:
    """What becomes of the packets whatever the hidden state and whatever is open of them: the first packet's outcome,
    where all come to the same.
    """
    if len(worlds) == len(worlds[0]) == 1:
        return worlds[0][0][1]
    first_of: dict[Hashable, tuple[tuple[int, ...], Outcome]] = {}
    for each in worlds:
        for part, outcome in each:
            essence: Hashable = outcome.reason if isinstance(outcome, Unknown) else outcome.essence
            if essence not in first_of or part.least < first_of[essence][0]:
                first_of[essence] = (part.least, outcome)
    firsts = sorted(first_of.values(), key=lambda entry: entry[0])
    if len(firsts) == 1:
        return firsts[0][1]
    doubts = [outcome for _, outcome in firsts if isinstance(outcome, Unknown)]
    if doubts:
        return _doubted(doubts, [outcome for _, outcome in firsts])
    outcomes = [outcome for _, outcome in firsts if not isinstance(outcome, Unknown)]
    if any(_contradict(one, other) for rest in worlds[1:] for one in worlds[0] for other in rest):
        return Several(HIDDEN, tuple(outcomes))
    plainest = firsts[0][0]
    differing = {
        _FIRST + place for point, _ in firsts[1:] for place in range(len(plainest)) if point[place] != plainest[place]
    }
    names = " and ".join(dict.fromkeys(name for field, (name, _) in _OPEN.items() if field in differing))
    reason = f"it depends on {names}, which the flow leaves open{readers.named(differing, outcomes)}"
    if len(differing) == 1:
        (field,) = differing
        reason = f"{reason}; {_OPEN[field][1]} {_fate(outcomes[0])}"
    return Several(reason, tuple(outcomes))


def _doubted(doubts: Sequence[Unknown], outcomes: Sequence[Outcome]) -> Unknown:
    """Where some packets have several worlds of their own, all worlds; where nothing is known of some, nothing is."""
    plain = next((doubt for doubt in doubts if not isinstance(doubt, Several)), None)
    if plain is not None:
        return plain
    worlds = [world for each in outcomes for world in worlds_of(each)]
    return Several(doubts[0].reason, tuple({world.essence: world for world in worlds}.values()))


def _contradict(one: Part, other: Part) -> bool:
    """Whether some packet is in both parts, and fares differently in them."""
    (part, outcome), (same, different) = one, other
    if isinstance(outcome, Unknown) or isinstance(different, Unknown) or outcome.essence == different.essence:
        return False
    return all(values & others for values, others in zip(part, same, strict=True))


def _lines_of(outcome: Outcome) -> Iterator[str]:
    if isinstance(outcome, Unknown) or not isinstance(outcome.by, GuestLines):
        return
    yield f"rule '{outcome.by.rule}'"
    yield f"route '{outcome.by.route}'"


def _fate(outcome: Received | Sent | NotSent) -> str:
    if isinstance(outcome, Sent):
        return f"leave by {outcome.interface}"
    if isinstance(outcome, NotSent):
        return f"are not sent ({outcome.reason})"
    if outcome.reception is Reception.DELIVERED:
        return "are taken"
    if outcome.reception is Reception.FORWARDED:
        return "are forwarded"
    return f"are not taken ({outcome.reason})"
