"""The rules of a network ACL, compiled: of packets between two addresses, what becomes of which ports."""

from collections.abc import Hashable, Iterable
from itertools import product

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
    representatives,
    speaks,
)
from vnicheck.model.address import Range, prefix_range
from vnicheck.model.address_map import AddressMap, membership
from vnicheck.model.cloud import AclRule, NetworkAcl
from vnicheck.model.flow import Protocol
from vnicheck.model.words import one_line

Alike = AddressMap[tuple[int, int]]


class _Rule(Struct, frozen=True):
    """A rule as it applies to packets of one kind. `source`, `destination`: the bits of its ends."""

    source: int
    destination: int
    sports: Range
    dports: Range
    passes: bool | None
    line: str

    @property
    def bounded(self) -> bool:
        """Whether it leaves out some ports."""
        return self.sports != EVERY_PORT or self.dports != EVERY_PORT


class AclRules:
    """The rules of an ACL, in order; what none matches is denied."""

    def __init__(self, acl: NetworkAcl) -> None:
        self.name = acl.name
        sources = {rule.source: 1 << number for number, rule in enumerate(acl.rules)}
        destinations = {rule.destination: 1 << number for number, rule in enumerate(acl.rules)}
        self.sources = membership([[prefix_range(rule.source)] for rule in acl.rules])
        self.destinations = membership([[prefix_range(rule.destination)] for rule in acl.rules])
        self._rules: dict[Kind, list[_Rule]] = {
            kind: [_compiled(rule, kind, sources, destinations) for rule in acl.rules if is_meant(rule, kind)]
            for kind in KINDS
        }
        self.read_ports = {kind: any(rule.bounded for rule in rules) for kind, rules in self._rules.items()}
        self._matching: dict[tuple[Kind, int, int], tuple[_Rule, ...]] = {}
        self._answers = AnswerBook()
        self._alike: dict[tuple[frozenset[int], frozenset[int]], tuple[Alike, Alike]] = {}
        self._effects: dict[tuple[Hashable, ...], int] = {}

    def answers(
        self, kind: Kind, remotes: tuple[int, ...], local: int, sports: tuple[Range, ...], dports: tuple[Range, ...]
    ) -> Answers:
        """What the rules say of packets between the remotes and a local address whose ports lie in these ranges."""
        inbound = kind.direction == "inbound"
        question = (kind, remotes, (self.destinations if inbound else self.sources).at(local), sports, dports)
        known = self._answers.known(question)
        if known is not None:
            return known
        ends = [(remote, local) if inbound else (local, remote) for remote in remotes]
        return self._answers.note(
            question,
            (
                answer
                for source, destination in ends
                for answer in _answers(kind, self._between(kind, source, destination), sports, dports)
            ),
        )

    def port_cuts(self, kind: Kind, source: int, destination: int, *, of_source: bool) -> set[int]:
        """The ports of one end at which the answers for packets between two addresses may change."""
        rules = self._between(kind, source, destination)
        return _cuts(rule.sports if of_source else rule.dports for rule in rules)

    def alike(self, locals_: Iterable[int]) -> tuple[Alike, Alike]:
        """Of each remote two values, for packets from it (the first map) and for packets to it, from or to any of the
        local addresses. Remotes of one first value fare alike; those of one second value meet the same rules.
        """
        locals_ = tuple(locals_)
        to, from_ = frozenset(map(self.destinations.at, locals_)), frozenset(map(self.sources.at, locals_))
        known = self._alike.get((to, from_))
        if known is None:
            known = self._alike[to, from_] = (
                self.sources.mapped(lambda remote: (self._effect("inbound", remote, to), remote)),
                self.destinations.mapped(lambda remote: (self._effect("outbound", remote, from_), remote)),
            )
        return known

    def alike_at_home(self, others: Iterable[int]) -> tuple[Alike, Alike]:
        """The same for the ACL of the remotes' own subnet: for packets from them (the first map) and to them, to or
        from any of the other addresses.
        """
        others = tuple(others)
        to, from_ = frozenset(map(self.destinations.at, others)), frozenset(map(self.sources.at, others))
        return (
            self.sources.mapped(lambda home: (self._effect("outbound", home, to, sends=True), home)),
            self.destinations.mapped(lambda home: (self._effect("inbound", home, from_, sends=False), home)),
        )

    def _effect(self, direction: str, remote: int, locals_: frozenset[int], *, sends: bool | None = None) -> int:
        """A number for these local ends and all that the rules of one direction come to between them and the remotes,
        whatever the rules are called. `sends`: whether packets are the remotes'; those that come in are, by default.
        """
        inbound = direction == "inbound" if sends is None else sends
        effect = tuple(
            (local, kind, tuple((rule.sports, rule.dports, rule.passes) for rule in self._of(kind, *ends)))
            for local in sorted(locals_)
            for ends in [(remote, local) if inbound else (local, remote)]
            for kind in KINDS
            if kind.direction == direction
        )
        return self._effects.setdefault(effect, len(self._effects))

    def _between(self, kind: Kind, source: int, destination: int) -> tuple[_Rule, ...]:
        """The rules for packets between two addresses."""
        return self._of(kind, self.sources.at(source), self.destinations.at(destination))

    def _of(self, kind: Kind, source: int, destination: int) -> tuple[_Rule, ...]:
        """The rules for packets whose ends are in these sets, up to the first that leaves no port out."""
        known = self._matching.get((kind, source, destination))
        if known is None:
            found = []
            for rule in self._rules[kind]:
                if rule.source & source and rule.destination & destination:
                    found.append(rule)
                    if not rule.bounded:
                        break
            known = self._matching[kind, source, destination] = tuple(found)
        return known


def _compiled(rule: AclRule, kind: Kind, sources: dict[str, int], destinations: dict[str, int]) -> _Rule:
    spoken = speaks(rule.protocol, kind.protocol)
    understood = spoken and not rule.unmodelled and rule.action in {"allow", "deny"} and rule.direction in DIRECTIONS
    ported = spoken and kind.protocol is not Protocol.ICMP
    why = "" if understood else f": {not_understood(rule) or f'action {one_line(rule.action, 40)}'}"
    return _Rule(
        source=sources[rule.source],
        destination=destinations[rule.destination],
        sports=port_range(rule.source_port_min, rule.source_port_max) if ported else EVERY_PORT,
        dports=port_range(rule.destination_port_min, rule.destination_port_max) if ported else EVERY_PORT,
        passes=rule.action == "allow" if understood else None,
        line=f"rule {rule.name}{why}",
    )


def _answers(
    kind: Kind, rules: tuple[_Rule, ...], sports: tuple[Range, ...], dports: tuple[Range, ...]
) -> Iterable[tuple[bool | None, str]]:
    ours = representatives(sports, _cuts(rule.sports for rule in rules))
    theirs = representatives(dports, _cuts(rule.dports for rule in rules))
    for sport, dport in product(ours, theirs):
        decides = next((rule for rule in rules if _covers(rule.sports, sport) and _covers(rule.dports, dport)), None)
        yield (False, f"no {kind.direction} rule matches") if decides is None else (decides.passes, decides.line)


def _covers(ports: Range, port: int) -> bool:
    return ports[0] <= port <= ports[1]


def _cuts(ranges: Iterable[Range]) -> set[int]:
    return {cut for ports in ranges if ports != EVERY_PORT for cut in (ports[0], ports[1] + 1)}
