"""Flows of which it is not known what the guest does with their packets: the path in each world that may be.

Worlds are compared by what becomes of the flow, not by its way: dropped in all of them is dropped, delivered in all is
delivered.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import msgspec

from vnicheck.engine.ports import port_classes
from vnicheck.engine.remotes import Remotes
from vnicheck.engine.walk import Opening, Path, Ranges, Walk
from vnicheck.kernel.worlds import ByPort, Several
from vnicheck.model.address_map import constant
from vnicheck.model.flow import Direction, Outcome

MOST_WORLDS = 16
"""More are not compared."""
PathOf = Callable[[Walk, Opening], Path]


def paths_by_ports(walk: Walk, direction: Direction, whole: Opening, path_of: PathOf) -> Iterator[tuple[Ranges, Path]]:
    """The ports of the opening, cut into sets that fare alike, each with its path."""
    for alike in port_classes(walk, direction, whole):
        opening = whole if alike == whole.ports else whole.at(alike)
        remotes, port = opening.remotes, alike[0][0]
        possible = walk.once(("worlds", remotes, port), partial(_worlds, remotes, port)) if remotes.several else ()
        worlds = [msgspec.structs.replace(opening, remotes=each) for each in possible]
        if not worlds:
            yield alike, path_of(walk, opening)
            continue
        cut = [alike]
        for world in worlds:
            cut = [finer for ports in cut for finer in port_classes(walk, direction, world.at(ports))]
        for ports in cut:
            paths = [path_of(walk, world.at(ports)) for world in worlds]
            yield ports, _agreed(paths) or path_of(walk, opening.at(ports))


def _worlds(remotes: Remotes, port: int) -> tuple[Remotes, ...]:
    """The remotes in each world; none where there is but one, or too many."""
    received, sent = (_possible(ways, port) for ways in (remotes.received, remotes.sent))
    if not 1 < len(received) * len(sent) <= MOST_WORLDS:
        return ()
    return tuple(
        msgspec.structs.replace(remotes, received=taken, sent=leaving) for taken, leaving in product(received, sent)
    )


def _possible(ways: tuple[ByPort, ...], port: int) -> list[tuple[ByPort, ...]]:
    outcome = ways[0].at(port) if ways else None
    return [ways] if not isinstance(outcome, Several) else [(constant(world),) for world in outcome.worlds]


def _agreed(paths: list[Path]) -> Path | None:
    """The first world's path, where the flow is delivered in every world, or dropped in every one."""
    outcomes = [{step.check.outcome for step in path.steps} for path in paths]
    if not (all(Outcome.DROP in each for each in outcomes) or all(each == {Outcome.PASS} for each in outcomes)):
        return None
    symmetric = {path.symmetric for path in paths}
    return msgspec.structs.replace(paths[0], symmetric=None if None in symmetric else symmetric == {True})
