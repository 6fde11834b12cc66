"""What a change does to a server's flows: which broken ones it fixes, and which others fare worse. Exact."""

from collections.abc import Callable, Sequence

from msgspec import UNSET, Struct

from vnicheck.engine.partition import NO_PORTS, to_ports, to_prefixes
from vnicheck.engine.refinement import Overlaps, Piece, pieces
from vnicheck.model.flow import DropCode, Flow, Verdict
from vnicheck.model.plan import Change

REFUSALS = frozenset({DropCode.BLACKHOLE, DropCode.UNREACHABLE, DropCode.PROHIBIT})
"""A route or rule that refuses was put there on purpose: no plan leads around it."""


class Comparison(Struct, frozen=True):
    """Indexes of the classes before the change. `fixed` and `remaining` share out the targets: a class of which a part
    is not delivered afterwards remains. `worse`: see `is_worse`.
    """

    fixed: frozenset[int]
    remaining: frozenset[int]
    worse: frozenset[int]
    pieces: tuple[Piece, ...]


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
    undelivered = {piece.before for piece in shared if after[piece.after].verdict is not Verdict.DELIVERED}
    worse = {piece.before for piece in shared if is_worse(before[piece.before], after[piece.after], is_inside)}
    fixed = targets & {piece.before for piece in shared} - undelivered - worse
    return Comparison(
        fixed=fixed,
        remaining=targets - fixed,
        worse=frozenset(worse),
        pieces=shared,
    )


def is_worse(before: Flow, after: Flow, is_inside: Callable[[str | None], bool]) -> bool:
    """Whether a flow fares worse: it worked or may have worked, and no longer does; it no longer reaches the guest's
    own networks (containers, tunnels); or it gets around a refusal.
    """
    if before.verdict is Verdict.DELIVERED:
        return after.verdict is not Verdict.DELIVERED
    if before.verdict is Verdict.UNKNOWN and after.verdict is Verdict.DROPPED:
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
