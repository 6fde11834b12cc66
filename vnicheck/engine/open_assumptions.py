"""Open assumptions as worlds: each value that they may have, and what becomes of a flow where they have it.

Every stage is asked whatever those before it say, so that no flow has to be predicted again.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import get_args

from vnicheck.fabric.assumptions import OPEN
from vnicheck.model.config import OpenValue
from vnicheck.model.flow import Flow, Hop, Outcome, Verdict

World = tuple[tuple[str, OpenValue], ...]
"""Open assumptions by their ids, each with the value that it has."""
OPEN_VALUES: tuple[OpenValue, ...] = get_args(OpenValue)


def open_hops(flow: Flow) -> Iterator[str]:
    """The open assumptions that hops of the flow are unknown for."""
    doubts = (hop.assumption for hop in flow.hops if hop.outcome is Outcome.UNKNOWN)
    return (each for each in doubts if each is not None and each in OPEN)


def rests_on_open(flow: Flow) -> bool:
    """Whether the flow is unknown, for open assumptions alone."""
    return flow.verdict is Verdict.UNKNOWN and all(
        hop.assumption in OPEN for hop in flow.hops if hop.outcome is Outcome.UNKNOWN
    )


def assumed_worlds(flows: Iterable[Flow]) -> tuple[World, ...]:
    """Every combination of values of the open assumptions that unknown flows rest on; one empty world where none."""
    ids = sorted({each for flow in flows if flow.verdict is Verdict.UNKNOWN for each in open_hops(flow)})
    return tuple(tuple(zip(ids, values, strict=True)) for values in product(OPEN_VALUES, repeat=len(ids)))


def verdict_in(flow: Flow, world: World) -> Verdict:
    """What becomes of the flow in a world that has a value for each open assumption that it rests on."""
    if flow.verdict is not Verdict.UNKNOWN:
        return flow.verdict  # a drop stays one, and a delivered flow rests on nothing open
    said = dict(world)
    outcomes = {said.get(hop.assumption or "") for hop in flow.hops if hop.outcome is Outcome.UNKNOWN}
    if "dropped" in outcomes:
        return Verdict.DROPPED
    return Verdict.UNKNOWN if None in outcomes else Verdict.DELIVERED


def failing_hops(flow: Flow, world: Mapping[str, OpenValue]) -> Iterator[Hop]:
    """The hops that do not pass in a world."""
    for hop in flow.hops:
        passes = hop.outcome is Outcome.PASS or world.get(hop.assumption or "") == "passed"
        if hop.outcome is Outcome.DROP or not passes:
            yield hop
