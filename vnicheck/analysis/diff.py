"""What changed of a server between two reports: its findings, and its flows on the refinement of both partitions."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import UNSET, UnsetType

from vnicheck.analysis.extent import Extent
from vnicheck.engine.partition import to_ports, to_prefixes
from vnicheck.engine.refinement import pieces, port_ranges, remote_ranges
from vnicheck.model.address import Range, merge_ranges, prefix_range
from vnicheck.model.diff import (
    DIFF_SCHEMA,
    Answer,
    Diff,
    FindingChange,
    FlowChange,
    ServerChange,
    Side,
    Summary,
)
from vnicheck.model.finding import SEVERITIES, Finding, Severity, is_as_severe
from vnicheck.model.flow import Direction, Flow, Protocol, Scope
from vnicheck.model.grouped import grouped
from vnicheck.model.report import TOOL, InstanceReport
from vnicheck.model.snapshot import Problem

_NOWHERE: list[Range] = [(0, 0)]
"""Stands for the local side of a flow that is not in transit."""


def compare_reports(
    old: InstanceReport | None,
    new: InstanceReport | None,
    *,
    absent: Problem | None = None,
) -> ServerChange:
    """One server's changes. One of the reports may be missing: `absent` says why that proves nothing, if it does not.

    Flows are not compared where one side has none at all: the reasons then say why.
    """
    known = new or old
    if known is None:
        raise ValueError("a server that is in neither snapshot")
    reasons: dict[Literal["old", "new"], tuple[Problem, ...]] = {}
    if old is not None and old.problems:
        reasons["old"] = old.problems
    if new is not None and new.problems:
        reasons["new"] = new.problems
    if absent is not None:
        reasons["old" if old is None else "new"] = (absent,)
    return ServerChange(
        id=known.id,
        name=known.name,
        crn=known.crn,
        presence="only_new" if old is None else "only_old" if new is None else "both",
        certain=not reasons,
        reasons=reasons,
        findings=tuple(_findings(old, new, "old" not in reasons, "new" not in reasons)),
        flows=_flows(old.flows, new.flows) if old is not None and new is not None and old.flows and new.flows else (),
    )


def is_regression(change: FindingChange) -> bool:
    """Whether it counts against the new snapshot: not muted, and new or of a higher severity than it was."""
    if change.muted or change.change == "gone":
        return False
    return isinstance(change.was, UnsetType) or not is_as_severe(change.was, change.severity)


def assemble_diff(old: Side, new: Side, changes: Iterable[ServerChange]) -> Diff:
    """The document around the changes of all servers; those of which nothing changed for certain are only counted."""
    everything = list(changes)
    told = tuple(each for each in everything if not _is_same(each))
    found = [finding for each in told for finding in each.findings]
    return Diff(
        schema=DIFF_SCHEMA,
        tool=TOOL,
        old=old,
        new=new,
        complete=all(each.certain for each in everything),
        summary=Summary(
            same=len(everything) - len(told),
            changed=sum(each.presence == "both" and bool(each.findings or each.flows) for each in told),
            only_old=sum(each.presence == "only_old" for each in told),
            only_new=sum(each.presence == "only_new" for each in told),
            uncertain=sum(not each.certain for each in told),
            new_findings=_counted(each for each in found if is_regression(each)),
            gone_findings=_counted(each for each in found if each.change == "gone" and each.certain and not each.muted),
            changed_flows=sum(len(each.flows) for each in told),
        ),
        servers=told,
    )


def _is_same(change: ServerChange) -> bool:
    return change.presence == "both" and change.certain and not change.findings and not change.flows


def _counted(found: Iterable[FindingChange]) -> dict[Severity, int]:
    counts: dict[Severity, int] = dict.fromkeys(SEVERITIES, 0)
    for each in found:
        counts[each.severity] += 1
    return counts


def _findings(
    old: InstanceReport | None, new: InstanceReport | None, old_checked: bool, new_checked: bool
) -> Iterable[FindingChange]:
    before = {finding.fingerprint: finding for finding in (old.findings if old is not None else ())}
    after = {finding.fingerprint: finding for finding in (new.findings if new is not None else ())}
    for key, finding in after.items():
        was = before.get(key)
        if was is None:
            yield _finding_change("new", finding, certain=old_checked)
        elif was.severity != finding.severity:
            yield _finding_change("severity", finding, certain=True, was=was.severity)
    for key, finding in before.items():
        if key not in after:
            yield _finding_change("gone", finding, certain=new_checked)


def _finding_change(
    change: Literal["new", "gone", "severity"],
    finding: Finding,
    *,
    certain: bool,
    was: Severity | UnsetType = UNSET,
) -> FindingChange:
    return FindingChange(
        change=change,
        certain=certain,
        rule=finding.rule,
        name=finding.name,
        severity=finding.severity,
        confidence=finding.confidence,
        message=finding.message,
        fingerprint=finding.fingerprint,
        was=was,
        muted=not finding.counts,
    )


_Key = tuple[Direction, Protocol, str]
_Cell = tuple[Extent, Scope, Answer | None, Answer | None]


def _flows(old: Sequence[Flow], new: Sequence[Flow]) -> tuple[FlowChange, ...]:
    """The flows of which the answers differ, in classes of the same two answers."""
    cells = grouped(((flow.direction, flow.protocol, flow.local), cell) for flow, cell in _cells(old, new))
    return tuple(change for key in sorted(cells, key=_order) for change in _joined(key, cells[key]))


def _order(key: _Key) -> tuple[object, ...]:
    direction, protocol, local = key
    return list(Direction).index(direction), prefix_range(local), list(Protocol).index(protocol)


def _cells(old: Sequence[Flow], new: Sequence[Flow]) -> Iterator[tuple[Flow, _Cell]]:
    """The common refinement of two partitions, where the answers differ, and what only one of them covers."""
    in_old: dict[int, list[Extent]] = {}
    in_new: dict[int, list[Extent]] = {}
    for piece in pieces(old, new):
        was, now = old[piece.before], new[piece.after]
        shared = Extent(piece.remotes, piece.local or _NOWHERE, piece.ports)
        in_old.setdefault(piece.before, []).append(shared)
        in_new.setdefault(piece.after, []).append(shared)
        if _answer(was) != _answer(now):
            yield now, (shared, now.remote_scope, _answer(was), _answer(now))
    for index, was in enumerate(old):
        for part in _uncovered(was, in_old.get(index, [])):
            yield was, (part, was.remote_scope, _answer(was), None)
    for index, now in enumerate(new):
        for part in _uncovered(now, in_new.get(index, [])):
            yield now, (part, now.remote_scope, None, _answer(now))


def _uncovered(flow: Flow, shared: Sequence[Extent]) -> list[Extent]:
    """What of a class none of its pieces, which are disjoint, covers."""
    ends = flow.local_prefixes
    locals_ = _NOWHERE if isinstance(ends, UnsetType) else merge_ranges(prefix_range(end) for end in ends)
    whole = Extent(remote_ranges(flow), locals_, port_ranges(flow))
    if sum(piece.size for piece in shared) == whole.size:
        return []
    return whole.beyond(shared)


def _joined(key: _Key, cells: Iterable[_Cell]) -> list[FlowChange]:
    """Cells of the same answers as few changes: with the same ports and local ends their remotes together, then with
    the same remotes their ports.
    """
    by_ports: dict[object, tuple[_Cell, list[Range]]] = {}
    for cell in cells:
        extent, scope, was, now = cell
        _, remotes = by_ports.setdefault((scope, was, now, tuple(extent.ports), tuple(extent.locals)), (cell, []))
        remotes += extent.remotes
    by_remotes: dict[object, tuple[_Cell, list[Range], list[Range]]] = {}
    for cell, remotes in by_ports.values():
        extent, scope, was, now = cell
        merged = merge_ranges(remotes)
        same = (scope, was, now, tuple(merged), tuple(extent.locals))
        _, _, ports = by_remotes.setdefault(same, (cell, merged, []))
        ports += extent.ports
    changes = [_change(key, cell, remotes, merge_ranges(ports)) for cell, remotes, ports in by_remotes.values()]
    return sorted(changes, key=lambda change: (list(Scope).index(change.remote_scope), _position(change)))


def _change(key: _Key, cell: _Cell, remotes: Sequence[Range], ports: Sequence[Range]) -> FlowChange:
    direction, protocol, local = key
    extent, scope, was, now = cell
    return FlowChange(
        direction=direction,
        protocol=protocol,
        ports=UNSET if protocol is Protocol.ICMP else to_ports(ports),
        remote=to_prefixes(remotes),
        remote_scope=scope,
        local=local,
        local_prefixes=to_prefixes(extent.locals) if direction is Direction.TRANSIT else UNSET,
        old=was,
        new=now,
    )


def _position(change: FlowChange) -> tuple[object, ...]:
    ends = () if isinstance(change.local_prefixes, UnsetType) else change.local_prefixes
    ports = () if isinstance(change.ports, UnsetType) else change.ports
    return prefix_range(change.remote[0]), ends, ports


def _answer(flow: Flow) -> Answer:
    return Answer(verdict=flow.verdict, dropped_by=flow.dropped_by, egress=flow.egress)
