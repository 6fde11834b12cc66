"""One flow as a numbered list of hops: request, then reply."""

from collections.abc import Sequence

from msgspec import UnsetType

from vnicheck.fabric.assumptions import ASSUMPTIONS
from vnicheck.findings.terms import DROPS, STAGES
from vnicheck.model.flow import Direction, Flow, Hop, Leg, Outcome, Verdict
from vnicheck.model.report import InstanceReport
from vnicheck.report.page import Page
from vnicheck.report.verification import observed_words

HYPOTHETICAL = "as if the packet had not been dropped:"
_STYLES = {Outcome.PASS: "green", Outcome.DROP: "red", Outcome.UNKNOWN: "yellow"}
_VERDICTS = {Verdict.DELIVERED: "bold green", Verdict.DROPPED: "bold red", Verdict.UNKNOWN: "bold yellow"}


def write_trace(page: Page, sides: Sequence[InstanceReport]) -> None:
    """A report of one flow, as one server sees it or two do: its verdict, then every stage that its packets meet, those
    after the first drop marked.
    """
    if len(sides) > 1:
        page.prose("both sides together: ", _together(sides))
    for position, side in enumerate(sides):
        if position or len(sides) > 1:
            page.line()
        for problem in side.problems:
            page.prose(f"{problem.code}: {problem.message}", lead=(f"{page.glyphs.question} ", "bold yellow"))
        for flow in side.flows:
            _flow(page, side.name, flow, alone=len(sides) == 1)


def _together(sides: Sequence[InstanceReport]) -> tuple[str, str]:
    """What becomes of the flow: the first drop of both sides, in packet order."""
    flows = [(side.name, flow) for side in sides for flow in side.flows]
    dropped = [(drop, name, flow.direction) for name, flow in flows for drop in flow.drops[:1]]
    if dropped:
        drop, name, _ = min(dropped, key=lambda each: _order(each[0].leg, each[2]))
        words = f"dropped by {DROPS[drop.by].agent} at {drop.at} of {name} ({drop.leg})"
        return words, _VERDICTS[Verdict.DROPPED]
    delivered = all(side.flows for side in sides) and all(flow.verdict is Verdict.DELIVERED for _, flow in flows)
    verdict = Verdict.DELIVERED if delivered else Verdict.UNKNOWN
    return verdict.value, _VERDICTS[verdict]


def _order(leg: Leg, direction: Direction) -> tuple[bool, bool]:
    """A request meets the opener first (whose flow is outbound), a reply last."""
    reply = leg is Leg.REPLY
    return reply, (direction is Direction.OUTBOUND) == reply


def _flow(page: Page, server: str, flow: Flow, *, alone: bool) -> None:
    (remote,) = (prefix.removesuffix("/32") for prefix in flow.remote)
    ends = (remote, f"{server} ({flow.local})")
    start, end = ends[::-1] if flow.direction is Direction.OUTBOUND else ends
    if not isinstance(flow.local_prefixes, UnsetType):
        end = f"{flow.local_prefixes[0].removesuffix('/32')} through {server}"
    port = f" port {flow.ports[0]}" if flow.ports else ""
    page.prose((f"{flow.protocol}{port} ", "bold"), f"from {start} to {end}: ", _verdict(flow, server, alone=alone))
    number, dropped = 0, False
    for leg in Leg:
        hops = [hop for hop in flow.hops if hop.leg is leg]
        if not hops:
            continue
        page.line()
        page.line((leg.value, "bold"), (f", {HYPOTHETICAL}" if dropped else "", "dim"))
        for hop in hops:
            number += 1
            _hop(page, number, hop, after_drop=dropped)
            if hop.outcome is Outcome.DROP and not dropped:
                dropped = True
                if hop is not hops[-1]:
                    page.line((HYPOTHETICAL, "dim"), indent=4)
    _assumptions(page, flow)


def _hop(page: Page, number: int, hop: Hop, *, after_drop: bool) -> None:
    """A stage; one after the first drop is in brackets, for no packet comes there."""
    glyphs = {
        Outcome.PASS: page.glyphs.tick,
        Outcome.DROP: page.glyphs.cross,
        Outcome.UNKNOWN: page.glyphs.question,
    }
    glyph = glyphs[hop.outcome]
    style = "dim" if after_drop else ""
    page.prose(
        (f"({glyph}) " if after_drop else f"{glyph} ", style or _STYLES[hop.outcome]),
        (f"{STAGES[hop.stage]}: ", style or "bold"),
        (hop.reason, style),
        (f" [{hop.assumption}]" if hop.assumption is not None else "", "dim"),
        (observed_words(hop), "dim"),
        indent=1,
        lead=f"{number:>2} {hop.at:<8} ",
    )


def _assumptions(page: Page, flow: Flow) -> None:
    """What the tags in brackets stand for."""
    cited = {hop.assumption for hop in flow.hops}
    told = [assumption for assumption in ASSUMPTIONS if assumption.id in cited]
    if told:
        page.line()
        page.line(("assumed", "bold"), " ('vnicheck explain ID' shows one in full)")
    for assumption in told:
        first = assumption.statement.partition(". ")[0].rstrip(".")
        page.prose(f"{first} ({assumption.basis})", indent=1, lead=(f"[{assumption.id}] ", "dim"))


def _verdict(flow: Flow, server: str, *, alone: bool) -> tuple[str, str]:
    """Of one side of two, `delivered` would say too much."""
    words = flow.verdict.value if alone or flow.verdict is not Verdict.DELIVERED else f"nothing of {server} drops it"
    if flow.drops:
        first = flow.drops[0]
        words += f" by {DROPS[first.by].agent} at {first.at} ({first.leg})"
    return words, _VERDICTS[flow.verdict]
