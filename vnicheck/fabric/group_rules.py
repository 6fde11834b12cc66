"""The rules of some security groups, compiled: which remotes and ports they admit, and which rule decides."""

from collections.abc import Hashable, Iterable

from msgspec import Struct

from vnicheck.fabric.answers import AnswerBook, Answers
from vnicheck.fabric.transport import (
    DIRECTIONS,
    EVERY_PORT,
    KINDS,
    Kind,
    is_meant,
    not_understood,
    port_range,
    speaks,
    to_ports,
)
from vnicheck.model.address import LAST, Range, parse_address, prefix_range
from vnicheck.model.address_map import AddressMap, membership
from vnicheck.model.cloud import Fabric, SecurityGroup, SecurityGroupRule
from vnicheck.model.flow import Protocol
from vnicheck.model.words import one_line

EVERYWHERE = 1
"""The bit of all addresses."""


class Admission(Struct, frozen=True):
    """What the groups say of destination ports from `first` to `last`: admitted (None: they may be) by which line."""

    first: int
    last: int
    admitted: bool | None
    line: str


class _Rule(Struct, frozen=True):
    """A rule as it applies to packets of one kind. `remote`, `local`: the bits of its ends. `certain`: what it matches
    is admitted, else it may be, and `line` says why that is not known.
    """

    remote: int
    local: int
    ports: Range
    certain: bool
    line: str


class GroupRules:
    """The rules of the groups of a VNI, in order. Remotes and locals are known by the sets of them that rules name."""

    def __init__(self, fabric: Fabric, groups: list[SecurityGroup]) -> None:
        remotes, locals_ = _Sets(), _Sets()
        self._rules: dict[Kind, list[_Rule]] = {kind: [] for kind in KINDS}
        for group in groups:
            for rule in group.rules:
                self._add(fabric, group, rule, remotes, locals_)
        self.remotes = membership(remotes.ranges)
        self.locals = membership(locals_.ranges)
        self.read_locals = len(locals_.ranges) > 1
        self._answers = AnswerBook()
        self._admissions: dict[tuple[Kind, int, int], tuple[Admission, ...]] = {}
        self._alike: dict[frozenset[int], AddressMap[tuple[int, int]]] = {}
        self._effects: dict[tuple[Hashable, ...], int] = {}

    def answers(self, kind: Kind, remotes: tuple[int, ...], local: int, dports: tuple[Range, ...]) -> Answers:
        """What the rules say of packets between the remotes and a local address, with these destination ports."""
        question = (kind, remotes, self.locals.at(local), dports)
        known = self._answers.known(question)
        if known is not None:
            return known
        admissions = (
            (each.admitted, each.line)
            for remote in remotes
            for each in self.admissions(kind, remote, local)
            if any(first <= each.last and each.first <= last for first, last in dports)
        )
        return self._answers.note(question, admissions)

    def admitted(self, kind: Kind, remote: int, local: int, dports: Range) -> set[bool | None]:
        """What the rules come to for packets between two addresses with these destination ports."""
        first, last = dports
        every = self.admissions(kind, remote, local)
        return {each.admitted for each in every if first <= each.last and each.first <= last}

    def admissions(self, kind: Kind, remote: int, local: int) -> tuple[Admission, ...]:
        """What the rules say of a packet between two addresses, by its destination port, in order from port 0."""
        return self._of(kind, self.remotes.at(remote), self.locals.at(local))

    def alike(self, locals_: Iterable[int]) -> AddressMap[tuple[int, int]]:
        """Of each remote two values. Remotes of one first value are admitted alike, whatever the packet to or from one
        of the local addresses; those of one second value by the same rules.
        """
        bits = frozenset(map(self.locals.at, locals_))
        known = self._alike.get(bits)
        if known is None:
            known = self._alike[bits] = self.remotes.mapped(lambda remote: (self._effect(remote, bits), remote))
        return known

    def _effect(self, remote: int, locals_: frozenset[int]) -> int:
        """A number for these local ends and all that the rules come to between them and the remotes, whichever rule
        decides.
        """
        effect = tuple(
            (local, kind, tuple(outcomes(self._of(kind, remote, local)))) for local in sorted(locals_) for kind in KINDS
        )
        return self._effects.setdefault(effect, len(self._effects))

    def _of(self, kind: Kind, remote: int, local: int) -> tuple[Admission, ...]:
        known = self._admissions.get((kind, remote, local))
        if known is None:
            matching = [rule for rule in self._rules[kind] if rule.remote & remote and rule.local & local]
            known = self._admissions[kind, remote, local] = tuple(_by_port(matching))
        return known

    def _add(
        self, fabric: Fabric, group: SecurityGroup, rule: SecurityGroupRule, remotes: "_Sets", locals_: "_Sets"
    ) -> None:
        known = _remote_ranges(fabric, rule)
        extent = _inside(fabric) if known is None and rule.remote_group in fabric.security_groups else known
        doubtful = bool(rule.unmodelled) or known is None
        line = f"group {group.name}: {_line(fabric, rule)}"
        why = not_understood(rule) or "the addresses of its remote group are not all known"
        remote = EVERYWHERE
        if extent is not None and not rule.unmodelled:
            remote = remotes.bit("inside" if known is None else rule.remote or rule.remote_group, extent)
        local = EVERYWHERE if rule.local is None else locals_.bit(rule.local, [prefix_range(rule.local)])
        for kind, rules in self._rules.items():
            if not is_meant(rule, kind):
                continue
            spoken = speaks(rule.protocol, kind.protocol)
            ported = spoken and kind.protocol is not Protocol.ICMP
            ports = port_range(rule.port_min, rule.port_max) if ported else EVERY_PORT
            certain = bool(spoken) and rule.direction in DIRECTIONS and not doubtful
            rules.append(_Rule(remote, local, ports, certain, line if certain else f"{line}: {why}"))


class _Sets:
    """Numbers sets of addresses, each once; number 0 is all of them."""

    def __init__(self) -> None:
        self.ranges: list[Iterable[Range]] = [[(0, LAST)]]
        self._bits: dict[Hashable, int] = {}

    def bit(self, key: Hashable, ranges: Iterable[Range]) -> int:
        """The bit of a set."""
        known = self._bits.get(key)
        if known is None:
            known = self._bits[key] = 1 << len(self.ranges)
            self.ranges.append(ranges)
        return known


def outcomes(admissions: Iterable[Admission]) -> list[tuple[int, bool | None]]:
    """What the groups come to from which port on, whichever rule decides."""
    found: list[tuple[int, bool | None]] = []
    for admission in admissions:
        if not found or found[-1][1] is not admission.admitted:
            found.append((admission.first, admission.admitted))
    return found


def _by_port(rules: list[_Rule]) -> Iterable[Admission]:
    """The first certain rule decides for a port; where there is none, the first doubtful one."""
    bounds = [rule.ports for rule in rules]
    edges = sorted({0, *(edge for first, last in bounds for edge in (first, last + 1) if edge <= EVERY_PORT[1])})
    found: list[Admission] = []
    for first, last in zip(edges, [*(edge - 1 for edge in edges[1:]), EVERY_PORT[1]], strict=True):
        covering = [rule for rule in rules if rule.ports[0] <= first and last <= rule.ports[1]]
        deciding = next((rule for rule in covering if rule.certain), covering[0] if covering else None)
        admitted, line = (False, "") if deciding is None else (deciding.certain or None, deciding.line)
        joined = bool(found) and (found[-1].admitted, found[-1].line) == (admitted, line)
        found.append(Admission(found.pop().first if joined else first, last, admitted, line))
    return found


def _line(fabric: Fabric, rule: SecurityGroupRule) -> str:
    """`inbound tcp 443 from group web`. What is absent is any."""
    words = [one_line(rule.direction, 40), one_line(rule.protocol, 40)]
    ports = to_ports(rule.port_min, rule.port_max)
    if ports:
        words.append(ports)
    if rule.icmp_type is not None:
        words.append(f"type {rule.icmp_type}")
    remote = rule.remote
    if rule.remote_group is not None:
        group = fabric.security_groups.get(rule.remote_group)
        remote = f"group {group.name if group is not None else rule.remote_group}"
    if remote is not None:
        words += ["from" if rule.direction == "inbound" else "to", remote]
    return " ".join(words)


def _inside(fabric: Fabric) -> list[Range] | None:
    """Where the targets of all groups are: in their VPC. None where its subnets were not all read."""
    if "subnets" in fabric.missing:
        return None
    prefixes = [prefix for vpc in fabric.vpcs.values() for prefix in vpc.prefixes]
    return [prefix_range(prefix) for prefix in (*prefixes, *(subnet.cidr for subnet in fabric.subnets.values()))]


def _remote_ranges(fabric: Fabric, rule: SecurityGroupRule) -> list[Range] | None:
    """The remote addresses that a rule names; None where they are not known."""
    if rule.remote is not None:
        return [prefix_range(rule.remote)]
    group = fabric.security_groups.get(rule.remote_group) if rule.remote_group is not None else None
    if group is None or group.addresses is None:
        return None
    return [(address, address) for address in map(parse_address, group.addresses)]
