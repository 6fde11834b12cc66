"""Named sets of `nft list ruleset`, and rules that ask whether a packet is in one.

set blocked {
        type ipv4_addr
        flags timeout
        elements = { 192.0.2.1 timeout 4h expires 3h59m, 198.51.100.0/24,
                     203.0.113.7 comment "a, b" }
}
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from vnicheck.model.firewall import FirewallChain, FirewallRule, Match

_SET = re.compile(r"set (\S+) \{", re.ASCII)
_CHANGED = re.compile(r"\b(?:add|update|delete) [^@{}]*@([^\s{}]+)", re.ASCII)
"""A rule that changes a set as packets come (`add @met { ip saddr }`, `set add ip saddr @met`): what is in it then,
nobody knows."""
_ELEMENTS = re.compile(r"elements = \{(.*?)\}", re.ASCII)
_REMARK = re.compile(r'comment "[^"]*"')
_PLAIN = re.compile(r'"[^"\s]+"|[A-Za-z0-9_./*-]+', re.ASCII)
_TOLD_BESIDE = {"timeout", "expires", "counter", "comment"}


class NamedSets:
    """Those of one table, read line by line."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}
        self._open: list[str] = []
        self._changed: set[str] = set()

    def begin(self, line: str) -> None:
        """The first line of a block: of a set, or of something else (a map)."""
        match = _SET.fullmatch(line)
        self._open = [] if match is None else self._lines.setdefault(match[1], [])

    def read(self, line: str) -> None:
        """A further line of the block."""
        self._open.append(line)

    def meet_rule(self, line: str) -> None:
        """A line of a chain of the table, which may change sets."""
        self._changed.update(_CHANGED.findall(line))

    def filled_in(self, chains: Sequence[FirewallChain]) -> list[FirewallChain]:
        """The chains, their rules with what is in the sets that they ask for."""
        sets = {name: _elements(lines) for name, lines in self._lines.items() if name not in self._changed}
        return [
            msgspec.structs.replace(chain, rules=tuple(_with_elements(rule, sets) for rule in chain.rules))
            for chain in chains
        ]


def _elements(lines: Sequence[str]) -> tuple[str, ...] | None:
    """What is in a set, of the lines of its block; None where that is not understood."""
    match = _ELEMENTS.search(_REMARK.sub("comment", " ".join(lines)))
    found = []
    for element in match[1].split(",") if match is not None else ():
        value, *beside = element.split() or [""]
        if not _PLAIN.fullmatch(value) or (beside and beside[0] not in _TOLD_BESIDE):
            return None
        found.append(value.strip('"'))
    return tuple(found)


def _with_elements(rule: FirewallRule, sets: Mapping[str, tuple[str, ...] | None]) -> FirewallRule:
    """Where it is not known what is in a set, the rule asks what is not understood."""
    if not any(match.values[0].startswith("@") for match in rule.matches):
        return rule
    matches: list[Match] = []
    unmodelled = list(rule.unmodelled)
    for match in rule.matches:
        name = match.values[0]
        values = sets.get(name[1:]) if name.startswith("@") else match.values
        if values is None:
            unmodelled.append(name)
        else:
            matches.append(msgspec.structs.replace(match, values=values))
    return msgspec.structs.replace(rule, matches=tuple(matches), unmodelled=tuple(unmodelled))
