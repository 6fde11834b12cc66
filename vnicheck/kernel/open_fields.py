"""What a flow leaves open of its packets (mark, TOS, user, ports within ranges), as a tree of decisions.

Of each field there are as many values as policy rules and routes tell apart. A set of them is a number with a bit for
each, a box is such a set for every field, and a decision sends the part of a box that it holds one way, the rest the
other. So a field is split only where something that can still match reads it, and only within the splits made before.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, TypeVar

from vnicheck.kernel.packet import ICMP
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import Range
from vnicheck.model.guest import Guest, PolicyRule

T = TypeVar("T")
PORTS = 65536
MOST_MARKS = 256
"""More marks than this are not told apart."""
MOST_WORK = 4_000_000
"""Decisions taken and stretches made for one guest, before the rest is left unknown: seconds."""
TOS_MASK = 0x1C
"""IPTOS_RT_MASK: the bits of TOS that select routes and rules."""
ECHO_REQUEST_AS_PORT = 8 << 8
"""A lookup keeps type and code of an ICMP message where it keeps the destination port (struct flowi4, union uli)."""
PROTO, SPORT, DPORT, MARK, TOS, UID = range(6)
ZERO = 1
"""The set of the value 0 alone, or of those that nothing tells from it, whatever the field."""
EVERY_TOS = EVERY_PROTO = (1 << 256) - 1


class Box(NamedTuple):
    """Packets: a set of values for each field."""

    proto: int
    sport: int
    dport: int
    mark: int
    tos: int
    uid: int

    @property
    def least(self) -> tuple[int, ...]:
        """The least of its packets, by the values' places among those of their field."""
        return tuple((values & -values).bit_length() for values in self[SPORT:])

    def narrowed(self, field: int, values: int) -> "Box":
        """The same with another set for one field."""
        return Box._make((*self[:field], values, *self[field + 1 :]))


class Decision:
    """What becomes of packets by one of their fields: `yes` for those whose value is in the set, else `no`.

    Both are decisions, or what comes of the packet.
    """

    __slots__ = ("field", "no", "values", "yes")

    def __init__(self, field: int, values: int, yes: Any, no: Any) -> None:
        self.field = field
        self.values = values
        self.yes = yes
        self.no = no


Tree = Any
"""A Decision, or what comes of every packet."""


class Effort:
    """The work that may still be done for one guest, counted, so that it is the same on every machine."""

    def __init__(self, left: int = MOST_WORK) -> None:
        self.left = left

    def spend(self, amount: int) -> None:
        """Raises Undetermined where there is none left."""
        self.left -= amount
        if self.left < 0:
            raise Undetermined("the policy rules and routes tell too many packets apart")


class Trees:
    """Makes decisions, the same one for the same parts."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int, int, int], Decision] = {}

    def decide(self, field: int, values: int, yes: Tree, no: Tree) -> Tree:
        """The tree in which packets with one of the values take `yes`."""
        if yes is no or values == 0:
            return no
        key = (field, values, id(yes), id(no))
        known = self._made.get(key)
        if known is None:
            known = self._made[key] = Decision(field, values, yes, no)  # keeps both alive, and so their ids
        return known


def leaves(tree: Tree, box: Box, effort: Effort) -> Iterator[tuple[Box, Any]]:
    """What comes of the packets of a box, part by part."""
    waiting: list[tuple[Tree, Box]] = [(tree, box)]
    while waiting:
        at, part = waiting.pop()
        steps = 0
        while isinstance(at, Decision):
            steps += 1
            values = part[at.field]
            inside = values & at.values
            if not inside:
                at = at.no
            elif inside == values:
                at = at.yes
            else:
                waiting.append((at.no, part.narrowed(at.field, values & ~at.values)))
                at, part = at.yes, part.narrowed(at.field, inside)
        effort.spend(steps)
        yield part, at


class Unlike:
    """What comes of the same packets by two trees, where that differs: pairs of leaves. The trees are to live as long
    as what tells them apart.
    """

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self._below: dict[tuple[int, int], int] = {}
        """Of two trees the pairs below them, a bit for each."""
        self._found = 0

    def pairs(self, one: Tree, other: Tree, box: Box) -> Iterator[tuple[Any, Any]]:
        """Each pair that some packet of the box comes to, once."""
        sought = self._pairs_below(one, other)
        waiting: list[tuple[Tree, Tree, Box]] = [(one, other, box)]
        while waiting and sought:
            here, there, part = waiting.pop()
            self._effort.spend(1)
            below = self._below[id(here), id(there)]
            if not sought & below:
                continue
            by = _deciding(here, there)
            if by is None:
                sought ^= below
                yield here, there
                continue
            sets = part[by.field] & ~by.values, part[by.field] & by.values
            for values, sides in zip(sets, _sides(here, there, by), strict=True):
                if values:
                    waiting.append((*sides, part.narrowed(by.field, values)))

    def _pairs_below(self, one: Tree, other: Tree) -> int:
        """Also those that no packet comes to, for it would have two values of a field."""
        waiting = [(one, other)]
        while waiting:
            here, there = waiting[-1]
            self._effort.spend(1)
            by = None if here is there else _deciding(here, there)
            sides = () if by is None else _sides(here, there, by)
            first = [side for side in sides if (id(side[0]), id(side[1])) not in self._below]
            if first:
                waiting += first
                continue
            waiting.pop()
            below = 0
            for left, right in sides:
                below |= self._below[id(left), id(right)]
            if by is None and here is not there and (id(here), id(there)) not in self._below:
                below = 1 << self._found
                self._found += 1
            self._below.setdefault((id(here), id(there)), below)
        return self._below[id(one), id(other)]


def _deciding(here: Tree, there: Tree) -> Decision | None:
    return here if isinstance(here, Decision) else there if isinstance(there, Decision) else None


def _sides(here: Tree, there: Tree, by: Decision) -> tuple[tuple[Tree, Tree], ...]:
    """What is left of two trees where a decision was no, and where it was yes."""
    halves = [
        (tree.no, tree.yes)
        if isinstance(tree, Decision) and (tree.field, tree.values) == (by.field, by.values)
        else (tree, tree)
        for tree in (here, there)
    ]
    return tuple(zip(*halves, strict=True))


def merged(parts: Iterable[tuple[Box, T]], sense: Callable[[T], Hashable]) -> list[tuple[Box, T]]:
    """The same packets in fewer boxes: those of one sense that differ in one field alone become one."""
    found = list(parts)
    if len(found) == 1:
        return found
    varying = [field for field, sets in enumerate(zip(*[box for box, _ in found], strict=True)) if len(set(sets)) > 1]
    for field in varying:
        kept: dict[Hashable, tuple[Box, T]] = {}
        wider: dict[Hashable, int] = {}
        for box, value in found:
            key = (sense(value), *[box[other] for other in varying if other != field])
            kept.setdefault(key, (box, value))
            wider[key] = wider.get(key, 0) | box[field]
        found = [(box.narrowed(field, wider[key]), value) for key, (box, value) in kept.items()]
    return found


class OpenFields:
    """The values of each field that the rules of a guest tell apart."""

    def __init__(self, guest: Guest, *, marks_told_apart: bool = True) -> None:
        """`marks_told_apart`: else there is no mark but 0."""
        rules = guest.rules
        self.port_cuts = _cuts([ports for rule in rules for ports in (rule.sport, rule.dport) if ports], PORTS)
        self._ports = (0, *self.port_cuts)
        self._users = (0, *_cuts([rule.uid_range for rule in rules if rule.uid_range is not None], 0xFFFFFFFF))
        self._marks = marks(rules) if marks_told_apart else (0,)
        self._selectors = {(rule.fwmark, rule.fwmask) for rule in rules if rule.fwmark is not None}
        self.read_transport = bool(self.port_cuts) or any(rule.ipproto is not None for rule in rules)

    def box(
        self, proto: int, sports: Range, dports: Range, *, sending: bool, marks: Collection[int] | None = None
    ) -> Box:
        """All packets of a flow; those that the guest sends may be any user's. `marks`: those that they may carry;
        None: any.
        """
        theirs = self.ports(*dports)
        if proto == ICMP and sending:
            theirs |= self.ports(ECHO_REQUEST_AS_PORT, ECHO_REQUEST_AS_PORT)
        every_user = (1 << len(self._users)) - 1 if sending else ZERO
        box = Box(1 << proto, self.ports(*sports), theirs, ZERO, EVERY_TOS, every_user)
        if marks is None:
            return self.of_any_mark(box)
        return box.narrowed(MARK, sum(1 << place for place in {self._place_of(mark) for mark in marks}))

    def everything(self) -> Box:
        """All packets that the guest may send."""
        ports = (1 << len(self._ports)) - 1
        users = (1 << len(self._users)) - 1
        return self.of_any_mark(Box(EVERY_PROTO, ports, ports, ZERO, EVERY_TOS, users))

    @property
    def too_many_marks(self) -> bool:
        """Whether the marks are not told apart for there are too many."""
        return self._marks is None

    def of_any_mark(self, box: Box) -> Box:
        """The same packets of any mark."""
        return box.narrowed(MARK, (1 << len(self._marks or (0,))) - 1)

    def ports(self, first: int, last: int) -> int:
        """The set of ports that meets a range."""
        if first > last:
            return 0
        low, high = bisect_right(self._ports, first) - 1, bisect_right(self._ports, last)
        return (1 << high) - (1 << low)

    def port_starts(self) -> Sequence[int]:
        """The first port of each stretch that the rules tell apart."""
        return self._ports

    def users(self, first: int, last: int) -> int:
        """The set of users of a selector."""
        if first > last:
            return 0
        return (1 << bisect_right(self._users, last)) - (1 << bisect_right(self._users, first) - 1)

    def marks(self, value: int, mask: int) -> int | None:
        """The set of marks of a selector; None where too many marks are told apart."""
        if self._marks is None:
            return None
        return sum(1 << number for number, mark in enumerate(self._marks) if (mark ^ value) & mask == 0)

    def _place_of(self, mark: int) -> int:
        """Of the mark that nothing tells from it."""
        return next((place for place, known in enumerate(self._marks or ()) if self._alike(known, mark)), 0)

    def _alike(self, one: int, other: int) -> bool:
        return all(((one ^ value) & mask == 0) is ((other ^ value) & mask == 0) for value, mask in self._selectors)


def tos_class(tos: int) -> int:
    """The set of TOS bytes that select a route or rule with this TOS."""
    return sum(1 << byte for byte in range(256) if byte & TOS_MASK == tos)


def dscp_class(dscp: int) -> int:
    """The set of TOS bytes with a DSCP."""
    return 0b1111 << (dscp << 2)


def _cuts(ranges: Iterable[Range], end: int) -> tuple[int, ...]:
    return tuple(sorted({edge for first, last in ranges for edge in (first, last + 1) if 0 < edge < end}))


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
