"""The path of broken flows as one line: `remote ─► eth1 ✗ rp_filter ┄► reply would leave eth0 ✗ state filter (tcp)`."""

from collections.abc import Sequence
from typing import NamedTuple

from vnicheck.findings.terms import DROPS
from vnicheck.model.flow import Direction, DropCode, Flow, Leg, Outcome, Stage, Verdict
from vnicheck.report.reach import protocols


class Glyphs(NamedTuple):
    """What lines are drawn with."""

    arrow: str
    broken_arrow: str
    cross: str
    tick: str
    question: str
    rule: str


UNICODE = Glyphs("─►", "┄►", "✗", "✓", "?", "─")
ASCII = Glyphs("->", "~>", "x", "ok", "?", "-")


class Drawn(NamedTuple):
    """Flows of a finding that take the same way, and so are drawn as one."""

    flows: list[Flow]

    def halves(self, glyphs: Glyphs) -> tuple[str, str]:
        """The two halves of the drawing, request and reply."""
        return draw_path(self.flows, glyphs)


def drawn_together(flows: Sequence[Flow]) -> Drawn | None:
    """Those that take the first one's way; None where there are none, or it is not known."""
    if not flows or flows[0].verdict is Verdict.UNKNOWN:
        return None
    return Drawn([flow for flow in flows if _way(flow) == _way(flows[0])])


def _way(flow: Flow) -> tuple[str, str | None, str | None]:
    return flow.direction.value, flow.ingress, flow.egress


def draw_path(flows: Sequence[Flow], glyphs: Glyphs) -> tuple[str, str]:
    """The two halves of the drawing, request and reply, for flows of one direction and one pair of interfaces."""
    first = flows[0]
    request, reply = _drops(flows, Leg.REQUEST, glyphs), _drops(flows, Leg.REPLY, glyphs)
    start, back = _ends(first, glyphs.arrow)
    arrow, mood = (glyphs.broken_arrow, "would ") if request else (glyphs.arrow, "")
    verb = back if request else _INDICATIVE[back.split()[0]] + back[len(back.split()[0]) :]
    return start + request, f"{arrow} reply {mood}{verb}{reply}"


_INDICATIVE = {"leave": "leaves", "reach": "reaches", "not": "does not"}


def _ends(flow: Flow, arrow: str) -> tuple[str, str]:
    """How the request begins, and what the reply would do."""
    at = flow.hops[0].at
    if flow.direction is Direction.INBOUND:
        back = f"leave {flow.egress}" if flow.egress is not None else "not leave"
        if flow.egress is None and _is_unknown(flow):
            back = "leave by an unknown way"
        return f"remote {arrow} {flow.ingress or at}", back
    if flow.direction is Direction.OUTBOUND:
        back = f"reach {flow.ingress}" if flow.ingress is not None else "not come"
        return f"{flow.local} {arrow} {flow.egress or at}", back
    out = f" {arrow} {flow.egress}" if flow.egress is not None else ""
    back_by = next((hop.at for hop in flow.hops if hop.leg is Leg.REPLY), None)
    back = f"reach {back_by}" if back_by is not None else "not come"
    return f"remote {arrow} {flow.ingress or at}{out}", back


def _is_unknown(flow: Flow) -> bool:
    """Whether it is not known by which way the reply leaves."""
    return any(hop.stage is Stage.REPLY_ROUTE and hop.outcome is Outcome.UNKNOWN for hop in flow.hops)


def _drops(flows: Sequence[Flow], leg: Leg, glyphs: Glyphs) -> str:
    """The drops of one leg over all the flows, in packet order, each with its protocols where not all share it."""
    everyone = protocols(flows)
    hit: dict[tuple[DropCode, str], list[Flow]] = {}
    for flow in flows:
        for drop in flow.drops:
            if drop.leg is leg:
                hit.setdefault((drop.by, drop.at), []).append(flow)
    words = []
    for (code, _), concerned in hit.items():
        only = protocols(concerned)
        suffix = "" if only == everyone else f" ({', '.join(only)})"
        words.append(f" {glyphs.cross} {DROPS[code].label}{suffix}")
    return "".join(words)
