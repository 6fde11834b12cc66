"""The path of broken flows as one line: `remote ─► eth1 ✗ rp_filter ┄► reply would leave eth0 ✗ state filter (tcp)`."""

from collections.abc import Sequence
from typing import NamedTuple

from vnicheck.model.flow import Direction, Flow, Leg
from vnicheck.report.phrases import DROPS, protocols


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


def draw_path(flows: Sequence[Flow], glyphs: Glyphs) -> tuple[str, str]:
    """The two halves of the drawing, request and reply, for flows of one direction and one pair of interfaces."""
    first = flows[0]
    request = _drops(flows, Leg.REQUEST, glyphs)
    reply = _drops(flows, Leg.REPLY, glyphs)
    arrow = glyphs.broken_arrow if request else glyphs.arrow
    would = "would " if request else ""
    if first.direction is Direction.INBOUND:
        start = f"remote {glyphs.arrow} {first.ingress or first.hops[0].at}"
        back = f"leave {first.egress}" if first.egress is not None else "not leave"
    else:
        start = f"{first.local} {glyphs.arrow} {first.egress or first.hops[0].at}"
        back = f"reach {first.ingress}" if first.ingress is not None else "not come"
    verb = (
        back
        if request
        else {"leave": "leaves", "reach": "reaches", "not": "does not"}[back.split()[0]] + back[back.find(" ") :]
    )
    return start + request, f"{arrow} reply {would}{verb}{reply}"


def _drops(flows: Sequence[Flow], leg: Leg, glyphs: Glyphs) -> str:
    """The drops of one leg over all the flows, in packet order, each with its protocols where not all share it."""
    everyone = protocols(flows)
    hit: dict[tuple[str, str], list[Flow]] = {}
    for flow in flows:
        for drop in flow.drops:
            if drop.leg is leg:
                hit.setdefault((drop.by.value, drop.at), []).append(flow)
    words = []
    for (code, _), concerned in hit.items():
        only = protocols(concerned)
        suffix = "" if only == everyone else f" ({', '.join(only)})"
        words.append(f" {glyphs.cross} {DROPS[code]}{suffix}")
    return "".join(words)
