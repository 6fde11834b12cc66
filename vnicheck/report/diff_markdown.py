"""What changed between two snapshots as Markdown, for a pull request."""

from collections.abc import Iterator

from msgspec import UnsetType

from vnicheck.model.diff import Diff, FindingChange, ServerChange
from vnicheck.report.diff import FLOWS, PRESENCE, SIDES, WORDS, closing_line, flow_change, grouped_flows
from vnicheck.report.markdown import MARKS, code, escaped


def diff_markdown(diff: Diff) -> bytes:
    """The document: the counts first, then each server of which there is something to tell."""
    lines = ["## vnicheck diff", "", escaped(closing_line(diff)), ""]
    for server in diff.servers:
        lines += _server(server)
    return "\n".join(lines).rstrip("\n").encode() + b"\n"


def _server(server: ServerChange) -> Iterator[str]:
    where = f", {PRESENCE[server.presence]}" if server.presence in PRESENCE else ""
    yield from (f"### {code(server.name)}{where}", "")
    for side, problems in server.reasons.items():
        for problem in problems:
            yield f"- ? {SIDES[side]}: {escaped(f'{problem.code}: {problem.message}')}"
    if server.reasons:
        yield ""
    if server.findings:
        yield from ("| change | severity | rule | what |", "|---|---|---|---|")
        yield from map(_finding, server.findings)
        yield ""
    groups = grouped_flows(server.flows)
    for group in groups[:FLOWS]:
        parts = (part if isinstance(part, str) else part[0] for part in flow_change(group, "→"))
        yield f"- {escaped(''.join(parts))}"
    if len(groups) > FLOWS:
        yield f"- and {len(groups) - FLOWS} more; `-f json` has all"
    if groups:
        yield ""


def _finding(finding: FindingChange) -> str:
    was = "" if isinstance(finding.was, UnsetType) else f" (was {finding.was})"
    muted = ", muted" if finding.muted else ""
    perhaps = "" if finding.certain else ", perhaps: the other snapshot could not be wholly checked there"
    return (
        f"| {WORDS[finding.change]}{muted}{perhaps} | {MARKS[finding.severity]}{was} | {finding.rule} "
        f"{escaped(finding.name)} | {escaped(finding.message)} |"
    )
