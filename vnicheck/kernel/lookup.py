"""FIB lookups as maps (fib_lookup, __fib_lookup): one end of the packet is free, all else is fixed or a decision.

Policy rules are composed from the last one back. With M(i) what happens from rule i on, M(i) is, where rule i matches,
what its table says, or else M(i+1), and M(i+1) elsewhere; a goto takes M(target).
"""

from collections.abc import Callable, Hashable, Iterator
from functools import partial

from vnicheck.kernel.fib import Failure, Match, NextHops, NoMatch, table_map, tables_of
from vnicheck.kernel.open_fields import Decision, Effort, OpenFields, Tree, Trees
from vnicheck.kernel.rules import EVERYWHERE, CompiledRule, Found
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import LAST
from vnicheck.model.address_map import AddressMap, choose, constant, joined
from vnicheck.model.guest import (
    DEFAULT_RULES,
    DEFAULT_TABLE,
    LOCAL_TABLE,
    MAIN_TABLE,
    Guest,
    Interface,
    PolicyRule,
    Route,
    RuleAction,
)
from vnicheck.model.lines import format_rule
from vnicheck.model.memo import Memo

Merge = Callable[[Tree, Tree], Tree]
_DEFAULT_TEXTS = {
    table: format_rule(PolicyRule(priority=priority, table=table)) for priority, table in DEFAULT_RULES.items()
}
_EMPTY: AddressMap[Tree] = constant(None)
"""A table without routes."""


class TableMaps:
    """The maps of routing tables, each made once for the routes that are in it. What is changed on trial shares those
    that it leaves as they were.
    """

    def __init__(self) -> None:
        self.trees = Trees()
        self.found = Memo()
        """What rules find in them, so that lookups that find the same do not differ."""
        self._known = Memo()

    def of(self, number: int, routes: list[Route], nexthops: NextHops) -> AddressMap[Tree]:
        """The table."""
        key = (number, tuple(map(id, routes)), nexthops.state)
        made: tuple[object, AddressMap[Tree]] = self._known.once(
            key, lambda: (routes, table_map(number, routes, self.trees, nexthops))
        )
        return made[1]  # the routes stay alive, and so their ids


class Lookups:
    """The lookups of one guest whose rules were changed once (local and main are two tables), or never were (one)."""

    def __init__(
        self,
        guest: Guest,
        *,
        custom_rules: bool,
        fields: OpenFields,
        tables: TableMaps,
        effort: Effort,
        nexthops: NextHops,
    ) -> None:
        self._custom_rules = custom_rules
        self._trees, self._found = tables.trees, tables.found
        self._effort = effort
        self._interfaces = {interface.name: interface for interface in guest.interfaces}
        by_table = tables_of(guest.routes)
        if not custom_rules:
            by_table[MAIN_TABLE] = by_table.pop(LOCAL_TABLE, []) + by_table.get(MAIN_TABLE, [])
        self.tables = {number: tables.of(number, routes, nexthops) for number, routes in by_table.items()}
        self._effort.spend(sum(len(table.starts) for table in self.tables.values()))
        self._rules = [CompiledRule(rule, fields) for rule in guest.rules] if custom_rules else []
        self._first_with = {rule.priority: i for i, rule in reversed(list(enumerate(guest.rules)))}
        self._known = Memo()
        self._from_rule: dict[Hashable, AddressMap[Tree]] = {}
        """What happens from a rule on, by the rule and what happens from the next one on."""

    def by_destination(self, source: int, iif: str) -> AddressMap[Tree]:
        """What lookups with a source find, by destination: a Found or an Unknown."""
        if not self._custom_rules:
            return self._known.once("merged", self._merged)
        relevant = tuple(self._relevant(iif, source, None))
        return self._known.once(relevant, lambda: self._composed(relevant, None))

    def by_source(self, destination: int, iif: str) -> AddressMap[Tree]:
        """What lookups with a destination find, by source."""
        if not self._custom_rules:
            return constant(self._known.once("merged", self._merged).at(destination))
        relevant = tuple(self._relevant(iif, None, destination))
        return self._known.once((destination, relevant), lambda: self._composed(relevant, destination))

    def _merged(self) -> AddressMap[Tree]:
        """Local and main, which are one, then default, as no rule was ever changed."""
        found: AddressMap[Tree] = constant(Found(NoMatch(Failure.NO_ROUTE, "no routing table has a route"), ""))
        for number in (DEFAULT_TABLE, MAIN_TABLE):
            table = self.tables.get(number, _EMPTY)
            found = self._over(found, 0, LAST, table, partial(self._graft, compiled=None, number=number))
        return found

    def _relevant(self, iif: str, source: int | None, destination: int | None) -> Iterator[tuple[int, bool]]:
        """The rules that count for lookups with this interface and fixed end (None: the free one), up to the first that
        has an answer for every such packet, but for jumps past it: whether lookups may match each (else all do).
        """
        jumps = False
        for index, compiled in enumerate(self._rules):
            applies = compiled.may_match(iif, source, destination)
            if applies or compiled.rule.invert:
                yield index, applies
                jumps = jumps or compiled.rule.action is RuleAction.GOTO
                if not jumps and self._has_the_last_word(compiled, destination):
                    return

    def _has_the_last_word(self, compiled: CompiledRule, destination: int | None) -> bool:
        """Whether it has an answer for every packet, or for every one to a destination."""
        rule = compiled.rule
        free = compiled.destination if destination is None else compiled.source
        if compiled.tests or compiled.doubt or rule.invert or compiled.suppresses or free != EVERYWHERE:
            return False
        table = self.tables.get(rule.table if rule.table is not None else -1, _EMPTY)
        said = table.values if destination is None else (table.at(destination),)
        return all(isinstance(each, Match | NoMatch) for each in said)

    def _composed(self, relevant: tuple[tuple[int, bool], ...], destination: int | None) -> AddressMap[Tree]:
        """The rules from the last one back; `destination`: the fixed end, where the source is the free one."""
        nowhere = Found(NoMatch(Failure.NO_ROUTE, "no policy rule leads to a route"), "")
        current = self._found.once("nowhere", lambda: constant(nowhere))
        targets = sorted(target for index, _ in relevant if (target := self._target(index)) is not None)
        from_rule: dict[int, AddressMap[Tree]] = {}
        for index, applies in reversed(relevant):
            while targets and targets[-1] > index:
                from_rule[targets.pop()] = current
            key = (index, applies, destination, current)
            known = self._from_rule.get(key)
            if known is None or self._rules[index].rule.action is RuleAction.GOTO:
                known = self._with_rule(index, current, from_rule, destination, applies=applies)
                self._from_rule[key] = known
            current = known
        return current

    def _target(self, index: int) -> int | None:
        rule = self._rules[index].rule
        return None if rule.action is not RuleAction.GOTO or rule.goto is None else self._first_with.get(rule.goto)

    def _with_rule(
        self,
        index: int,
        rest: AddressMap[Tree],
        from_rule: dict[int, AddressMap[Tree]],
        destination: int | None,
        *,
        applies: bool,
    ) -> AddressMap[Tree]:
        """What happens from this rule on, where `rest` happens from the next one on."""
        compiled = self._rules[index]
        rule = compiled.rule
        then: AddressMap[Tree]
        merge: Merge
        first, last = compiled.destination if destination is None else compiled.source
        if compiled.doubt is not None:
            if rule.invert:
                return constant(compiled.doubt)
            then, merge = constant(compiled.doubt), _first
        elif rule.action is RuleAction.NOP:
            return rest
        elif rule.action is RuleAction.GOTO:
            target = self._target(index)
            if target is None:  # an unresolved goto is passed over
                return rest
            backwards = Unknown(f"policy rule that goes back, which no kernel takes: {rule.text}")
            then, merge = from_rule.get(target, constant(backwards)), _first
        elif compiled.refusal is not None:
            then, merge = constant(compiled.refusal), _first
        else:
            table = self.tables.get(rule.table if rule.table is not None else -1)
            if table is None:
                return rest
            then = table if destination is None else constant(table.at(destination))
            merge = partial(self._graft, compiled=compiled)
        if not applies:  # no lookup has what it names, so `not` takes all of them
            return self._over(rest, 0, LAST, then, merge)
        whole = self._deciding(compiled, merge)
        if not rule.invert:
            return self._over(rest, first, last, then, whole)
        for low, high in ((0, first - 1), (last + 1, LAST)):
            rest = self._over(rest, low, high, then, merge) if low <= high else rest
        return self._over(rest, first, last, then, whole) if compiled.tests else rest

    def _deciding(self, compiled: CompiledRule, merge: Merge) -> Merge:
        """The same where the packet has what the rule reads beside addresses and interfaces, the rest else."""
        if not compiled.tests:
            return merge

        def decided(tree: Tree, rest: Tree) -> Tree:
            matched = merge(tree, rest)
            yes, no = (rest, matched) if compiled.rule.invert else (matched, rest)
            for field, values in reversed(compiled.tests):
                yes = self._trees.decide(field, values, yes, no)
            return yes

        return decided

    def _over(
        self, rest: AddressMap[Tree], first: int, last: int, then: AddressMap[Tree], merge: Merge
    ) -> AddressMap[Tree]:
        """`rest`, but within a range what `merge` makes of `then` and it."""
        known: dict[tuple[int, int], Tree] = {}
        parts: list[tuple[int, Tree]] = []
        ours, theirs = then.stretches(first, last), rest.stretches(first, last)
        at, (_, our_last, tree), (_, their_last, other) = first, next(ours), next(theirs)
        while True:
            key = (id(tree), id(other))
            if key not in known:
                known[key] = merge(tree, other)
            parts.append((at, known[key]))
            at = min(our_last, their_last) + 1
            if at > last:
                break
            if our_last < at:
                _, our_last, tree = next(ours)
            if their_last < at:
                _, their_last, other = next(theirs)
        self._effort.spend(len(parts))
        parts[0] = (0, parts[0][1])
        return choose([(first, last)], joined(parts), rest)

    def _graft(self, tree: Tree, rest: Tree, compiled: CompiledRule | None, number: int = MAIN_TABLE) -> Tree:
        """What a table says, and the rest where it says nothing or the rule suppresses it."""
        if tree is None:
            return rest
        if isinstance(tree, Decision):
            yes = self._graft(tree.yes, rest, compiled, number)
            return self._trees.decide(tree.field, tree.values, yes, self._graft(tree.no, rest, compiled, number))
        if isinstance(tree, Unknown):
            return tree
        if compiled is None:
            shown = tree.route.table if isinstance(tree, Match) else number
            text = _DEFAULT_TEXTS.get(shown, _DEFAULT_TEXTS[DEFAULT_TABLE])
        else:
            text = compiled.rule.text
            suppressed = isinstance(tree, Match) and self._suppressed(compiled, tree)
            if isinstance(suppressed, Unknown):
                return suppressed
            if suppressed:
                return rest
        return self._found.once((id(tree), text), lambda: Found(tree, text))

    def _suppressed(self, compiled: CompiledRule, match: Match) -> bool | Unknown:
        rule = compiled.rule
        if not compiled.suppresses:
            return False
        if rule.suppress_prefixlength is not None and match.length <= rule.suppress_prefixlength:
            return True
        if rule.suppress_ifgroup is None:
            return False
        device = match.route.nexthops[0].interface
        interface: Interface | None = self._interfaces.get(device) if device is not None else None
        if interface is None:
            return Unknown(f"policy rule selects by the group of an interface not collected: {rule.text}")
        return interface.group == rule.suppress_ifgroup


def _first(tree: Tree, rest: Tree) -> Tree:  # noqa: ARG001 - as those that need the rest
    return tree
