"""A rehearsal, for people: what packets did, beside what was predicted of them."""

from collections.abc import Iterable, Sequence

from msgspec import UnsetType
from rich.console import Console

from vnicheck.findings.terms import DROPS, SCOPES
from vnicheck.model.flow import Direction, Leg, Protocol, Scope, Verdict
from vnicheck.model.rehearsal import Phase, RehearsalDocument, RehearsedFlow
from vnicheck.model.words import counted, listed
from vnicheck.report.diff import write_server_change
from vnicheck.report.page import Page

_TITLES = {
    "as_is": "As it is",
    "fixed": "With the plan",
    "undone": "After the plan's undo",
    "changed": "With the change",
}
_PRINTED = 20
"""How many lines of what a script printed are shown."""


def write_rehearsal(document: RehearsalDocument, console: Console) -> None:
    """Writes a rehearsal to a console: each time that packets were sent, then what could not be rebuilt."""
    page = Page(console)
    rehearsal = document.rehearsal
    page.prose(
        (rehearsal.name, "bold"),
        f"  rebuilt here on Linux {rehearsal.kernel}, as it was on {document.collected_at.replace('T', ' ')}",
    )
    page.line((page.glyphs.rule * page.width, "dim"))
    first = rehearsal.phases[0]
    reasons: set[str] = set()
    for phase in rehearsal.phases:
        _phase(page, phase, None if phase is first else first, reasons, strategy=rehearsal.strategy)
        page.line()
    _untried(page, first)
    if not isinstance(rehearsal.difference, UnsetType):
        difference = rehearsal.difference
        page.line(("What the change changes", "bold"))
        write_server_change(page, difference)
        if not (difference.findings or difference.flows):
            page.prose("no finding and no prediction", indent=2)
        page.line()
    if rehearsal.told:
        page.line(("Not as it was", "bold"))
        for line in rehearsal.told:
            page.prose(line, indent=2, lead="- ")
        page.line()
    page.prose(_closing(rehearsal.phases))


def _phase(page: Page, phase: Phase, first: Phase | None, reasons: set[str], *, strategy: str | UnsetType) -> None:
    """Of later times only what is not as in the first one, and what differs from the prediction. `reasons`: those why
    nothing is predicted that were told; each is told once.
    """
    title = _TITLES[phase.kind]
    if phase.kind == "fixed" and not isinstance(strategy, UnsetType):
        title = f"{title} ({strategy})"
    page.prose((title, "bold"), f": {_judged(phase)}")
    if phase.kind == "fixed":
        for command in phase.commands:
            page.line((command, "dim"), indent=4)
    if not isinstance(phase.status, UnsetType) and phase.status != 0:
        page.prose(f"the script ended with status {phase.status}", indent=2, lead=("! ", "bold yellow"))
    if not isinstance(phase.printed, UnsetType):
        lines = phase.printed.splitlines()
        for line in lines[:_PRINTED]:
            page.line(("| ", "dim"), line, indent=2)
        if len(lines) > _PRINTED:
            page.line(("| ", "dim"), f"... and {len(lines) - _PRINTED} more lines; -f json has all", indent=2)
    told = list(phase.flows)
    if first is not None:
        earlier = {_key(flow): _fate(flow) for flow in first.flows}
        told = [flow for flow in told if earlier.get(_key(flow)) != _fate(flow) or flow.judgement == "differs"]
        if not told:
            page.prose("every flow fares as it did at first", indent=2, lead=(f"{page.glyphs.tick} ", "green"))
    for group in _grouped(told):
        _line(page, group, reasons)


def _untried(page: Page, phase: Phase) -> None:
    for untried in phase.untried:
        page.prose(
            f"{counted(untried.count, 'class', 'classes')} of flows not tried: {untried.why}",
            lead=(f"{page.glyphs.question} ", "bold yellow"),
        )
    if phase.untried:
        page.line()


def _key(flow: RehearsedFlow) -> tuple[object, ...]:
    return flow.direction, flow.protocol, flow.port, flow.remote, flow.local


def _fate(flow: RehearsedFlow) -> tuple[object, ...]:
    return flow.delivered, flow.died


def _grouped(flows: Iterable[RehearsedFlow]) -> list[list[RehearsedFlow]]:
    """Flows of one address and direction of which the same is said stand together; what differs comes first."""
    groups: dict[tuple[object, ...], list[RehearsedFlow]] = {}
    for flow in flows:
        place = None if flow.died is None else (flow.died.leg, flow.died.by, flow.died.at)
        key = (
            flow.judgement,
            flow.local,
            flow.direction,
            flow.predicted,
            flow.dropped_by,
            flow.delivered,
            place,
            flow.why,
        )
        groups.setdefault(key, []).append(flow)
    order = ("differs", "not_judged", "agrees")
    return sorted(groups.values(), key=lambda group: order.index(group[0].judgement))


def _line(page: Page, group: Sequence[RehearsedFlow], reasons: set[str]) -> None:
    flow = group[0]
    mark, style = {
        "agrees": (page.glyphs.tick, "green"),
        "differs": (page.glyphs.cross, "bold red"),
        "not_judged": (page.glyphs.question, "bold yellow"),
    }[flow.judgement]
    scopes = listed([SCOPES[scope] for scope in Scope if any(each.remote_scope is scope for each in group)])
    protocols = " ".join(protocol for protocol in Protocol if any(each.protocol is protocol for each in group))
    ends = f"to {flow.local} from {scopes}" if flow.direction is Direction.INBOUND else f"from {flow.local} to {scopes}"
    said = what_packets_did(flow)
    if flow.judgement != "agrees":
        why = "" if isinstance(flow.why, UnsetType) else f": {'as above' if flow.why in reasons else flow.why}"
        reasons |= {flow.why} if isinstance(flow.why, str) and flow.judgement == "not_judged" else set()
        said = f"{said}; predicted: {_predicted(flow)}{why}"
    elif flow.predicted is Verdict.DROPPED:
        said = f"{_predicted(flow)}: {said}"
    page.prose((f"{protocols} ", "bold"), f"{ends}: {said}", indent=2, lead=(f"{mark} ", style))


def _predicted(flow: RehearsedFlow) -> str:
    if flow.predicted is Verdict.UNKNOWN:
        return "nothing"
    return flow.predicted.value if flow.dropped_by is None else f"dropped by {DROPS[flow.dropped_by].agent}"


def what_packets_did(flow: RehearsedFlow) -> str:
    """In words."""
    if flow.delivered:
        return "delivered"
    if flow.died is None:
        return "not delivered"
    if flow.died.by is None and flow.direction is Direction.OUTBOUND:
        return (
            "the guest sent no request"
            if flow.died.leg is Leg.REQUEST
            else "the reply came back, and no program got it"
        )
    if flow.died.by is None:
        return f"the guest took the {flow.died.leg} and sent nothing"
    by = "" if flow.died.by is flow.dropped_by else f" by {DROPS[flow.died.by].agent}"
    at = "" if flow.died.at is None else f" at {flow.died.at}"
    return f"the {flow.died.leg} was dropped{at}{by}" if at or by else f"the {flow.died.leg} was dropped there"


def _judged(phase: Phase) -> str:
    agreed, differ, open_ = (phase.count(each) for each in ("agrees", "differs", "not_judged"))
    said = [f"{agreed} of {counted(agreed + differ, 'flow')} did what was predicted"]
    if open_:
        said.append(f"{open_} not judged")
    return ", ".join(said)


def _closing(phases: Sequence[Phase]) -> str:
    differ = sum(phase.count("differs") for phase in phases)
    if differ:
        return f"{counted(differ, 'flow')} differ{'s' if differ == 1 else ''} from the prediction."
    return "Nothing differs from the prediction."
