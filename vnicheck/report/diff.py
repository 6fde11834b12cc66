"""What changed between two snapshots, for people."""

from collections.abc import Iterable, Sequence

from msgspec import UnsetType
from rich.console import Console

from vnicheck.findings.terms import DROPS, SCOPES
from vnicheck.model.diff import Answer, Diff, FindingChange, FlowChange, ServerChange
from vnicheck.model.finding import Severity
from vnicheck.model.flow import Direction, Protocol, Scope, Verdict
from vnicheck.model.words import counted, listed
from vnicheck.report.page import SEVERITY_STYLES, Page

FLOWS = 12
"""How many changes of flows are shown for a server."""
FEW = 3
"""How many prefixes are written out."""
WORDS = {"new": "new", "gone": "gone", "severity": "changed"}
PRESENCE = {"only_old": "only in OLD", "only_new": "only in NEW"}
SIDES = {"old": "OLD", "new": "NEW"}
_WHOLE = ("1-65535",)


def write_diff(diff: Diff, console: Console) -> None:
    """Writes a comparison to a console: each server of which there is something to tell, then the counts."""
    page = Page(console)
    for server in diff.servers:
        _server(page, server)
        page.line()
    page.prose(closing_line(diff))


def _server(page: Page, server: ServerChange) -> None:
    where = f"  {PRESENCE[server.presence]}" if server.presence in PRESENCE else ""
    page.prose((server.name, "bold"), (where, "bold yellow"))
    for side, problems in server.reasons.items():
        for problem in problems:
            page.prose(
                f"{problem.code}: {problem.message}",
                indent=2,
                lead=(f"{page.glyphs.question} {SIDES[side]} ", "bold yellow"),
            )
    write_server_change(page, server)


def write_server_change(page: Page, server: ServerChange) -> None:
    """The findings and flows of one server that are not as they were."""
    for finding in server.findings:
        _finding(page, finding)
    _flows(page, server.flows)


def _finding(page: Page, finding: FindingChange) -> None:
    was = "" if isinstance(finding.was, UnsetType) else f" (was {finding.was})"
    doubt = "" if finding.certain else " perhaps: that server could not be wholly checked in the other snapshot;"
    muted = " muted;" if finding.muted else ""
    page.prose(
        (finding.severity.upper(), SEVERITY_STYLES[finding.severity]),
        (f" {finding.rule} {finding.name}", "bold"),
        f"{was}{muted}{doubt}",
        indent=2,
        lead=(f"{WORDS[finding.change]:<8}", "bold"),
    )
    page.prose(finding.message, indent=10)


def _flows(page: Page, flows: Sequence[FlowChange]) -> None:
    groups = grouped_flows(flows)
    for position, group in enumerate(groups[:FLOWS]):
        page.prose(
            *flow_change(group, page.glyphs.arrow), indent=2, lead=("flows   " if position == 0 else " " * 8, "dim")
        )
    if len(groups) > FLOWS:
        page.prose(f"and {len(groups) - FLOWS} more; -f json has all", indent=10)


def grouped_flows(flows: Iterable[FlowChange]) -> list[list[FlowChange]]:
    """Changes from one answer to another that are told in one line: of all places of remotes, and of protocols that
    change alike at the same ports (ICMP at all of them).
    """
    by_protocol: dict[tuple[object, ...], list[FlowChange]] = {}
    for flow in flows:
        ports = _WHOLE if isinstance(flow.ports, UnsetType) else flow.ports
        key = (flow.direction, flow.local, flow.local_prefixes, ports, flow.old, flow.new, flow.protocol)
        by_protocol.setdefault(key, []).append(flow)
    groups: dict[tuple[object, ...], list[FlowChange]] = {}
    for same, group in by_protocol.items():
        groups.setdefault((*same[:-1], *((flow.remote_scope, flow.remote) for flow in group)), []).extend(group)
    return list(groups.values())


def flow_change(group: Sequence[FlowChange], arrow: str) -> Iterable[tuple[str, str] | str]:
    """The sentence on flows that change alike, in parts, some with their style."""
    flow = group[0]
    present = {each.protocol for each in group}
    port = next((each.ports for each in group if not isinstance(each.ports, UnsetType) and each.ports != _WHOLE), ())
    ports = f" port{'' if len(port) == 1 and '-' not in port[0] else 's'} {listed(list(port))}" if port else ""
    remote = _remote(group)
    if flow.direction is Direction.INBOUND:
        ends = f"from {remote} to {flow.local}"
    elif flow.direction is Direction.OUTBOUND:
        ends = f"from {flow.local} to {remote}"
    else:
        ends = f"through the server from {remote} to {flow.local}"
    yield f"{listed([each.value for each in Protocol if each in present])}{ports} {ends}: "
    yield _answer(flow.old)
    yield f" {arrow} "
    yield _answer(flow.new)
    if flow.old is not None and flow.new is not None and flow.old.egress != flow.new.egress:
        yield f", leaving by {flow.new.egress or 'no interface'} instead of {flow.old.egress or 'none'}"


def _remote(group: Sequence[FlowChange]) -> str:
    """`10.8.0.0/16 (other private networks)`; of several places or many prefixes only where they are."""
    prefixes = list(dict.fromkeys(prefix for flow in group for prefix in flow.remote))
    scopes = [SCOPES[scope] for scope in Scope if scope in {flow.remote_scope for flow in group}]
    if len(prefixes) <= FEW:
        return f"{', '.join(prefixes)} ({listed(scopes)})"
    return f"addresses in {listed(scopes)}"


def _answer(answer: Answer | None) -> tuple[str, str]:
    if answer is None:
        return "no such flow", "dim"
    style = {Verdict.DELIVERED: "bold green", Verdict.DROPPED: "bold red", Verdict.UNKNOWN: "bold yellow"}
    by = f" by {DROPS[answer.dropped_by].label}" if answer.dropped_by is not None else ""
    return f"{answer.verdict}{by}", style[answer.verdict]


def closing_line(diff: Diff) -> str:
    """The counts."""
    summary = diff.summary
    counts = {"changed": summary.changed, "only in OLD": summary.only_old, "only in NEW": summary.only_new}
    said = [
        f"{counted(summary.same, 'server')} the same",
        *(f"{count} {what}" for what, count in counts.items() if count),
    ]
    if summary.uncertain:
        said.append(f"{summary.uncertain} not wholly compared")
    findings = f"findings: {_findings(summary.new_findings)} new, {_findings(summary.gone_findings)} gone"
    flows = f"{counted(summary.changed_flows, 'change')} of flows"
    return f"{', '.join(said)}; {findings}; {flows}."


def _findings(counts: dict[Severity, int]) -> str:
    said = [counted(count, severity) for severity, count in counts.items() if count]
    return listed(said) if said else "none"
