"""One flow as a numbered list of hops: request, then reply."""

from msgspec import UnsetType

from vnicheck.findings.terms import DROPS, STAGES
from vnicheck.model.flow import Direction, Flow, Leg, Outcome, Verdict
from vnicheck.model.report import InstanceReport
from vnicheck.report.text import Page

_STYLES = {Outcome.PASS: "green", Outcome.DROP: "red", Outcome.UNKNOWN: "yellow"}
_VERDICTS = {Verdict.DELIVERED: "bold green", Verdict.DROPPED: "bold red", Verdict.UNKNOWN: "bold yellow"}


def write_trace(page: Page, side: InstanceReport) -> None:
    """A report of one flow: its verdict, then every stage that its packets meet, as if those before had passed."""
    for problem in side.problems:
        page.prose(f"{problem.code}: {problem.message}", lead=(f"{page.glyphs.question} ", "bold yellow"))
    for flow in side.flows:
        _flow(page, side.name, flow)


def _flow(page: Page, server: str, flow: Flow) -> None:
    (remote,) = (prefix.removesuffix("/32") for prefix in flow.remote)
    ends = (remote, f"{server} ({flow.local})")
    start, end = ends[::-1] if flow.direction is Direction.OUTBOUND else ends
    if not isinstance(flow.local_prefixes, UnsetType):
        end = f"{flow.local_prefixes[0].removesuffix('/32')} through {server}"
    port = f" port {flow.ports[0]}" if flow.ports else ""
    page.prose((f"{flow.protocol}{port} ", "bold"), f"from {start} to {end}: ", _verdict(flow))
    number = 0
    for leg in Leg:
        hops = [hop for hop in flow.hops if hop.leg is leg]
        if not hops:
            continue
        page.line()
        page.line((leg.value, "bold"))
        for hop in hops:
            number += 1
            mark = {
                Outcome.PASS: page.glyphs.tick,
                Outcome.DROP: page.glyphs.cross,
                Outcome.UNKNOWN: page.glyphs.question,
            }[hop.outcome]
            assumption = f" [{hop.assumption}]" if hop.assumption is not None else ""
            page.prose(
                (f"{mark} ", _STYLES[hop.outcome]),
                (f"{STAGES[hop.stage]}: ", "bold"),
                hop.reason,
                (assumption, "dim"),
                indent=1,
                lead=f"{number:>2} {hop.at:<8} ",
            )


def _verdict(flow: Flow) -> tuple[str, str]:
    words = flow.verdict.value
    if flow.drops:
        first = flow.drops[0]
        words += f" by {DROPS[first.by].label} at {first.at} ({first.leg})"
    return words, _VERDICTS[flow.verdict]
