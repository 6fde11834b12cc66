"""The path of broken flows as one line: `remote ─► eth1 ✗ rp_filter ┄► reply would leave eth0 ✗ state filter (tcp)`."""

from collections.abc import Sequence
from typing import NamedTuple

from vnicheck.findings.messages import by_remotes
from vnicheck.findings.terms import DROPS
from vnicheck.model.flow import Direction, Flow, Leg, Outcome, Stage, Verdict
from vnicheck.model.grouped import grouped
from vnicheck.model.words import listed
from vnicheck.report.reach import protocols, remotes


class Glyphs(NamedTuple):
    """What lines are drawn with."""

    arrow: str
    broken_arrow: str
    cross: str
    tick: str
    question: str
    rule: str
    dash: str


UNICODE = Glyphs("─►", "┄►", "✗", "✓", "?", "─", "–")
ASCII = Glyphs("->", "~>", "x", "ok", "?", "-", "-")


def drawn_together(flows: Sequence[Flow]) -> list[Flow]:
    """Of a finding's flows those that take the first one's way; none where that is not known."""
    if not flows or flows[0].verdict is Verdict.UNKNOWN:
        return []
    return [flow for flow in flows if _way(flow) == _way(flows[0])]


def concerned(drawn: Sequence[Flow], everything: Sequence[Flow]) -> tuple[str, list[str]]:
    """Whether packets are opened `to` or `from` the remotes of flows that are drawn as one, and these; by the server's
    addresses where they differ.
    """
    groups = by_remotes(drawn)
    said = []
    for locals_ in groups.values():
        whose = [flow for flow in drawn if flow.local in locals_]
        said.append(remotes(whose, everything) + (f" ({listed(locals_)})" if len(groups) > 1 else ""))
    return "to" if drawn[0].direction is Direction.OUTBOUND else "from", said


def _way(flow: Flow) -> tuple[str, str | None, str | None]:
    return flow.direction.value, flow.ingress, flow.egress


def draw_path(flows: Sequence[Flow], glyphs: Glyphs) -> tuple[str, str]:
    """The two halves of the drawing, request and reply, for flows of one direction and one pair of interfaces."""
    first = flows[0]
    request, reply = _drops(flows, Leg.REQUEST, glyphs), _drops(flows, Leg.REPLY, glyphs)
    start, would, does = _ends(first, glyphs.arrow)
    back = f"{glyphs.broken_arrow} reply would {would}" if request else f"{glyphs.arrow} reply {does}"
    return start + request, back + reply


def _ends(flow: Flow, arrow: str) -> tuple[str, str, str]:
    """How the request begins, and what the reply would do, and does."""
    at = flow.hops[0].at
    if flow.direction is Direction.INBOUND:
        would, does = _leaves(flow)
        return f"remote {arrow} {flow.ingress or at}", would, does
    if flow.direction is Direction.OUTBOUND:
        would, does = _reaches(flow.ingress)
        return f"{flow.local} {arrow} {flow.egress or at}", would, does
    out = f" {arrow} {flow.egress}" if flow.egress is not None else ""
    would, does = _reaches(next((hop.at for hop in flow.hops if hop.leg is Leg.REPLY), None))
    return f"remote {arrow} {flow.ingress or at}{out}", would, does


def _leaves(flow: Flow) -> tuple[str, str]:
    if flow.egress is not None:
        return f"leave {flow.egress}", f"leaves {flow.egress}"
    if any(hop.stage is Stage.REPLY_ROUTE and hop.outcome is Outcome.UNKNOWN for hop in flow.hops):
        return "leave by an unknown way", "leaves by an unknown way"
    return "not leave", "does not leave"


def _reaches(place: str | None) -> tuple[str, str]:
    return ("not come", "does not come") if place is None else (f"reach {place}", f"reaches {place}")


def _drops(flows: Sequence[Flow], leg: Leg, glyphs: Glyphs) -> str:
    """The drops of one leg over all the flows, in packet order, each with its protocols where not all share it."""
    everyone = protocols(flows)
    hit = grouped(((drop.by, drop.at), flow) for flow in flows for drop in flow.drops if drop.leg is leg)
    words = []
    for (code, _), concerned in hit.items():
        only = protocols(concerned)
        suffix = "" if only == everyone else f" ({', '.join(only)})"
        words.append(f" {glyphs.cross} {DROPS[code].label}{suffix}")
    return "".join(words)
