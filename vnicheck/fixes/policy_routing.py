"""Policy routing as effects."""

from collections.abc import Iterable

from vnicheck.fixes.effects import AddRoutes, AddRule, Effect
from vnicheck.rules.policy_routing import own_tables
from vnicheck.rules.rule import Facts


def propose(facts: Facts, locals_: Iterable[str], *, behind: bool = True) -> tuple[Effect, ...]:
    """The routes and rules for these addresses; `behind` the rules of others, or ahead of them."""
    effects: list[Effect] = []
    for own in own_tables(facts, locals_, behind=behind):
        if own.routes:
            effects.append(AddRoutes(table=own.table, routes=own.routes))
        effects += [AddRule(rule=rule) for rule in own.rules]
    return tuple(effects)
