"""Classes of flows: what makes two flows one class, and the Flow that stands for a class."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from vnicheck.engine.remotes import Place
from vnicheck.engine.walk import Path, Step
from vnicheck.model.flow import By, Direction, Flow, Hop, LazyHops, Protocol, Verdict


class Fate(NamedTuple):
    """What makes two flows one class: everything of their path but the lines that decided it. `steps`: their fates."""

    place: Place
    ingress: str | None
    egress: str | None
    symmetric: bool | None
    steps: tuple[int, ...]


def fate_of(path: Path, place: Place) -> Fate:
    """The fate of flows that take this path, with remotes at this place."""
    steps = tuple([fate for section in path.sections for fate in section.fates])
    return Fate(place, path.ingress, path.egress, path.symmetric, steps)


def flow_of(
    direction: Direction,
    protocol: Protocol,
    *,
    local: str,
    place: Place,
    path: Path,
    paths: Callable[[], Sequence[Path]],
    ports: tuple[str, ...],
    remote: tuple[str, ...],
    local_prefixes: tuple[str, ...] | UnsetType = UNSET,
) -> Flow:
    """The class of flows of one fate. `path` is that of a part; `paths`, asked for with the hops, are those of all."""
    drops = tuple([drop for section in path.sections for drop in section.drops])
    unsure = any(section.unknown for section in path.sections)
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
        verdict=Verdict.DROPPED if drops else Verdict.UNKNOWN if unsure else Verdict.DELIVERED,
        dropped_by=drops[0].by if drops else None,
        drops=drops,
        hops=LazyHops(lambda: tuple(_hops(paths()))),
        to_no_host=True if any(section.to_no_host for section in path.sections) else UNSET,
        stays_inside=True if any(section.stays_inside for section in path.sections) else UNSET,
    )


def _hops(paths: Sequence[Path]) -> Iterator[Hop]:
    """A hop for each place of the paths, whose steps there are of one fate."""
    for several in zip(*[path.steps for path in paths], strict=True):
        first, steps = several[0], dict.fromkeys(several)
        if len(steps) > 1:
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
