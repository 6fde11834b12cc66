"""What a change does to a server's flows: which broken ones it fixes, and which others fare worse. Exact."""

from collections.abc import Callable, Sequence

from msgspec import UNSET, Struct

from vnicheck.engine.open_assumptions import World, assumed_worlds, verdict_in
from vnicheck.engine.partition import NO_PORTS, to_ports, to_prefixes
from vnicheck.engine.refinement import Overlaps, Piece, pieces
from vnicheck.model.flow import DropCode, Flow, Verdict
from vnicheck.model.plan import Change

REFUSALS = frozenset({DropCode.BLACKHOLE, DropCode.UNREACHABLE, DropCode.PROHIBIT})
"""A route or rule that refuses was put there on purpose: no plan leads around it."""


class Comparison(Struct, frozen=True):
    """Indexes of the classes before the change. `fixed` and `remaining` share out the targets: a class of which a part
    is not delivered afterwards, in some world of the open assumptions, remains. `worse`: in some world, see `is_worse`.
    `gained`: targets with each world in which they are delivered only by the change.
    """

    fixed: frozenset[int]
    remaining: frozenset[int]
    worse: frozenset[int]
    pieces: tuple[Piece, ...]
    gained: frozenset[tuple[int, World]] = frozenset()
    lost: frozenset[tuple[int, World]] = frozenset()
    """Classes, targets or not, with each world in which a part of them is not delivered afterwards."""

    def holds(self, index: int, value: tuple[str, str]) -> bool:
        """Whether the class is delivered afterwards in every world where an open assumption has this value."""
        return not any(index == each and value in world for each, world in self.lost)


def compare_flows(
    before: Sequence[Flow],
    after: Sequence[Flow],
    targets: frozenset[int],
    is_inside: Callable[[str | None], bool],
    known: dict[tuple[tuple[int, ...], ...], Overlaps] | None = None,
) -> Comparison:
    """`targets`: the classes that are to be fixed. `is_inside`: whether an interface leads to no VNI. `known`: see
    `pieces`.
    """
    shared = tuple(pieces(before, after, known))
    worlds = assumed_worlds([*before, *after])
    changed = [piece for piece in shared if before[piece.before] is not after[piece.after]]
    worse: set[int] = set()
    lost: dict[World, set[int]] = {}
    for world in worlds:
        failing = {index for index, flow in enumerate(after) if verdict_in(flow, world) is not Verdict.DELIVERED}
        lost[world] = {piece.before for piece in shared if piece.after in failing}
        worse |= {
            piece.before for piece in changed if is_worse(before[piece.before], after[piece.after], is_inside, world)
        }
    whole = targets & {piece.before for piece in shared} - worse
    fixed = whole.difference(*lost.values())
    return Comparison(
        fixed=fixed,
        remaining=targets - fixed,
        worse=frozenset(worse),
        pieces=shared,
        gained=frozenset(
            (index, world)
            for world in worlds
            for index in whole - lost[world]
            if verdict_in(before[index], world) is not Verdict.DELIVERED
        ),
        lost=frozenset((index, world) for world, indexes in lost.items() for index in indexes),
    )


def is_worse(before: Flow, after: Flow, is_inside: Callable[[str | None], bool], world: World = ()) -> bool:
    """Whether a flow fares worse in a world: it worked or may have worked, and no longer does; it no longer reaches the
    guest's own networks (containers, tunnels); or it gets around a refusal.
    """
    old, new = verdict_in(before, world), verdict_in(after, world)
    if old is Verdict.DELIVERED:
        return new is not Verdict.DELIVERED
    if old is Verdict.UNKNOWN and new is Verdict.DROPPED:
        return True
    if is_inside(before.egress) and after.egress != before.egress:
        return True
    refused = any(drop.by in REFUSALS for drop in before.drops)
    return refused and not any(drop.by in REFUSALS for drop in after.drops)


def changes(before: Sequence[Flow], after: Sequence[Flow], comparison: Comparison) -> tuple[Change, ...]:
    """What changes, class by class: verdicts, first drops, and ways."""
    found = []
    for piece in comparison.pieces:
        old, new = before[piece.before], after[piece.after]
        if (old.verdict, old.dropped_by, old.ingress, old.egress) == (
            new.verdict,
            new.dropped_by,
            new.ingress,
            new.egress,
        ):
            continue
        found.append(
            Change(
                direction=old.direction,
                protocol=old.protocol,
                ports=UNSET if piece.ports == (NO_PORTS,) else to_ports(piece.ports),
                remote=to_prefixes(piece.remotes),
                remote_scope=old.remote_scope,
                local=old.local,
                verdict=(old.verdict, new.verdict),
                dropped_by=(old.dropped_by, new.dropped_by),
                egress=(old.egress, new.egress),
                fixed=piece.before in comparison.fixed,
            )
        )
    return tuple(found)
