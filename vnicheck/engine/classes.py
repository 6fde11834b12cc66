"""Classes of flows: what makes two flows one class, and the Flow that stands for a class."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from vnicheck.engine.remotes import Place
from vnicheck.engine.walk import Path, Step
from vnicheck.model.flow import By, Direction, Drop, Flow, Hop, Outcome, Protocol, Verdict


class Fate(NamedTuple):
    """What makes two flows one class: everything of their path but the lines that decided it. `steps`: their fates."""

    place: Place
    ingress: str | None
    egress: str | None
    steps: tuple[int, ...]


def fate_of(path: Path, place: Place) -> Fate:
    """The fate of flows that take this path, with remotes at this place."""
    return Fate(place, path.ingress, path.egress, tuple([step.fate for step in path.steps]))


def flow_of(
    direction: Direction,
    protocol: Protocol,
    *,
    local: str,
    place: Place,
    paths: Sequence[Path],
    ports: tuple[str, ...],
    remote: tuple[str, ...],
    local_prefixes: tuple[str, ...] | UnsetType = UNSET,
) -> Flow:
    """The class of flows of one fate; `paths` are those of its parts."""
    path = paths[0]
    hops = tuple(_hops(paths))
    drops = tuple(Drop(by=hop.drop, leg=hop.leg, at=hop.at) for hop in hops if hop.drop is not None)
    return Flow(
        direction=direction,
        protocol=protocol,
        ports=UNSET if protocol is Protocol.ICMP else ports,
        remote=remote,
        remote_scope=place.scope,
        remote_network=UNSET if place.network is None else place.network,
        local=local,
        local_prefixes=local_prefixes,
        ingress=path.ingress,
        egress=path.egress,
        symmetric=path.symmetric,
        verdict=_verdict(hops),
        dropped_by=drops[0].by if drops else None,
        drops=drops,
        hops=hops,
        to_no_host=True if any(step.check.to_no_host for step in path.steps) else UNSET,
    )


def _verdict(hops: tuple[Hop, ...]) -> Verdict:
    outcomes = {hop.outcome for hop in hops}
    if Outcome.DROP in outcomes:
        return Verdict.DROPPED
    return Verdict.UNKNOWN if Outcome.UNKNOWN in outcomes else Verdict.DELIVERED


def _hops(paths: Sequence[Path]) -> Iterator[Hop]:
    """A hop for each place of the paths, whose steps there are of one fate."""
    several = [set(steps) for steps in zip(*[path.steps for path in paths], strict=True)] if len(paths) > 1 else []
    for place, first in enumerate(paths[0].steps):
        if several and len(several[place]) > 1:
            steps = dict.fromkeys(path.steps[place] for path in paths)
            yield _hop(first, tuple(dict.fromkeys([each for step in steps for each in step.check.by])))
            continue
        if first.hop is None:
            first.hop = _hop(first, first.check.by)
        yield first.hop


def _hop(step: Step, deciders: By) -> Hop:
    by = f" ({deciders[0]}{f' and {len(deciders) - 1} more' if len(deciders) > 1 else ''})" if deciders else ""
    return Hop(
        leg=step.leg,
        at=step.at,
        stage=step.check.stage,
        outcome=step.check.outcome,
        reason=step.check.reason + by,
        assumption=step.check.assumption,
        drop=step.check.drop,
    ).decided(deciders)
