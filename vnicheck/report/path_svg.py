"""The path of broken flows as a picture: which stages packets pass on their way in and out, where they are dropped, and
where they would go if they were not. Shapes only: a template writes them as SVG.

Packets go down one lane into the server and up the other out of it, through the VPC; where they come in by one
interface and leave by another, that is what one sees. It is narrow enough for a telephone.
"""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from msgspec import Struct

from vnicheck.findings.terms import DROPS, STAGES
from vnicheck.model.flow import Direction, Flow, Hop, Leg, Outcome, Stage
from vnicheck.model.words import listed, one_line
from vnicheck.report.reach import protocols

WIDTH = 400
_LANES = (22, 222)
_BESIDE = 16
"""From a lane's line to its words."""
_LETTERS = 21
"""As many as fit beside a lane in a wide font."""
_LINE = 17
_GAP = 8
_BOX = 30
_TITLE = 26
_GUEST = {
    Stage.GUEST_INTERFACE,
    Stage.INTERFACE_STATE,
    Stage.SOURCE_VALIDATION,
    Stage.GUEST_FIREWALL,
    Stage.LOCAL_DELIVERY,
    Stage.FORWARDING,
    Stage.REPLY_ROUTE,
    Stage.REQUEST_ROUTE,
    Stage.ECHO_REPLY,
}
"""Stages inside the server; the others are the VPC's."""


class Box(Struct, frozen=True):
    """A rectangle. `kind`: `end`, `vpc`, `server` or `interface`."""

    kind: str
    x: int
    y: int
    width: int
    height: int


class Line(Struct, frozen=True):
    """A part of a way. `would`: where packets would go, were they not dropped before."""

    x1: int
    y1: int
    x2: int
    y2: int
    would: bool


class Head(Struct, frozen=True):
    """The arrow's head at the end of a lane, `y` its tip."""

    x: int
    y: int
    up: bool
    would: bool


class Mark(Struct, frozen=True):
    """A stage. `kind`: `pass`, `idle` (it would pass), `drop`, `next` (it would drop) or `unknown`."""

    kind: str
    x: int
    y: int


class Words(Struct, frozen=True):
    """A line of text, by its baseline. `kind`: `name`, `dim`, `drop`, `unknown` or empty. `middle`: centred on x."""

    text: str
    x: int
    y: int
    kind: str = ""
    middle: bool = False


class Picture(Struct):
    """The shapes, in the order in which they are painted, and what they show in words."""

    said: str
    height: int = 0
    bands: list[Box] = []
    lines: list[Line] = []
    boxes: list[Box] = []
    heads: list[Head] = []
    marks: list[Mark] = []
    words: list[Words] = []


class _Stop(Struct, frozen=True):
    """What a stage does to the packets of one leg, at an interface: as in Mark, and in words."""

    at: str
    inside: bool
    kind: str
    label: str
    agent: str

    @property
    def rows(self) -> list[str]:
        return textwrap.wrap(self.label, _LETTERS, max_lines=2, placeholder="…")


class _Met(NamedTuple):
    """A flow at a hop. `alive`: it was not dropped before."""

    flow: Flow
    hop: Hop
    alive: bool


class _Lane(Struct, frozen=True):
    """What packets meet on one side of the picture, in their order, on the way into the server (`down`) or out of it.
    `interface`: by which; None where there is none, and they come no farther than the last stop.
    """

    name: str
    down: bool
    interface: str | None
    stops: Sequence[_Stop]

    def rows(self, *, inside: bool) -> list[_Stop]:
        """Those of the server, or of the VPC, as they stand from top to bottom."""
        here = [stop for stop in self.stops if stop.inside is inside]
        return here if self.down else here[::-1]


def pictures(flows: Sequence[Flow]) -> Iterator[Picture]:
    """The picture of flows that take one way; of flows through the server one of each leg that something happens to."""
    first = flows[0]
    request, reply = _stops(flows, Leg.REQUEST), _stops(flows, Leg.REPLY)
    if first.direction is Direction.TRANSIT:
        yield _drawn(_turned(request, "request"), ["remote", first.local], "")
        if any(stop.kind in {"drop", "unknown"} for stop in reply):
            yield _drawn(_turned(reply, "reply"), [first.local, "remote"], "")
        return
    inbound = first.direction is Direction.INBOUND
    lanes = [
        _Lane("request", inbound, first.ingress if inbound else first.egress, request),
        _Lane("reply", not inbound, first.egress if inbound else first.ingress, reply),
    ]
    addresses = list(dict.fromkeys(flow.local for flow in flows))
    more = f" and {len(addresses) - 2} more" if len(addresses) > 2 else ""
    yield _drawn(lanes, [_remote(flows)], ", ".join(addresses[:2]) + more)


def _remote(flows: Sequence[Flow]) -> str:
    prefixes = {prefix for flow in flows for prefix in flow.remote}
    return f"remote {prefixes.pop()}" if len(prefixes) == 1 else "remote"


def _turned(stops: list[_Stop], name: str) -> list[_Lane]:
    """The way of a leg through the server: in until the server's last stage, then out."""
    turn = max((position for position, stop in enumerate(stops, 1) if stop.inside), default=len(stops))
    came, went = stops[:turn], stops[turn:]
    return [
        _Lane(name, True, came[0].at if came else None, came),
        _Lane(name, False, went[0].at if went else None, went),
    ]


def _stops(flows: Sequence[Flow], leg: Leg) -> list[_Stop]:
    """What the packets of one leg meet. What befalls only some of the protocols names them."""
    met: list[tuple[str, Stage]] = []
    hops: dict[tuple[str, Stage], list[_Met]] = {}
    for flow in flows:
        last, alive = -1, True
        for hop in flow.hops:
            if hop.leg is leg:
                key = (hop.at, hop.stage)
                if key not in hops:
                    met.insert(last + 1, key)
                hops.setdefault(key, []).append(_Met(flow, hop, alive))
                last = met.index(key)
            alive &= hop.outcome is not Outcome.DROP
    everyone = protocols(flows)
    return [_stop(*key, hops[key], everyone) for key in met]


def _stop(at: str, stage: Stage, met: Sequence[_Met], everyone: Sequence[str]) -> _Stop:
    for outcome in (Outcome.DROP, Outcome.UNKNOWN):
        hit = [each for each in met if each.hop.outcome is outcome]
        hit = [each for each in hit if each.alive] or hit
        if hit:
            code, mine = hit[0].hop.drop, protocols(each.flow for each in hit)
            only = "" if mine == everyone else f" ({', '.join(mine)})"
            label, agent = DROPS[code] if code is not None else (STAGES[stage], STAGES[stage])
            kind = "unknown" if code is None else "drop" if hit[0].alive else "next"
            return _Stop(at, stage in _GUEST, kind, label + (" ?" if code is None else only), agent + only)
    kind = "pass" if any(each.alive for each in met) else "idle"
    return _Stop(at, stage in _GUEST, kind, STAGES[stage], STAGES[stage])


def _drawn(lanes: Sequence[_Lane], ends: Sequence[str], address: str) -> Picture:
    """Both lanes between the remote, above, and the server's address, below."""
    picture = Picture(" ".join(filter(None, map(_said, lanes))))
    width = (WIDTH - _GAP * (len(ends) - 1)) // len(ends)
    for number, end in enumerate(ends):
        _box(picture, Box("end", number * (width + _GAP), 0, width, _BOX), end)
    shown = [(x, lane) for x, lane in zip(_LANES, lanes, strict=True) if lane.stops]
    y = _BOX + _LINE
    for x, lane in shown:
        lost = lane.stops[0].kind in _LOST
        picture.words.append(Words(f"the {lane.name} would go" if lost else lane.name, x + _BESIDE, y, "dim"))
    y = _band(picture, "vpc", "VPC", y + _GAP, shown)
    foot = _band(picture, "server", "server", y + _GAP, shown, address)
    bottom = foot - _GAP - (_BOX if address else 0)
    for x, lane in shown:
        _line(picture, x, lane, _BOX, bottom)
    if not address and len(shown) == 2:
        picture.lines.append(Line(_LANES[0], bottom, _LANES[1], bottom, shown[1][1].stops[0].kind in _LOST))
        picture.heads = [head for head in picture.heads if head.up]
    picture.height = foot + 1
    return picture


def _band(
    picture: Picture, kind: str, title: str, top: int, shown: Sequence[tuple[int, _Lane]], address: str = ""
) -> int:
    """The VPC, or the server, with its stages. The y where it ends."""
    picture.words.append(Words(title, _LANES[0] + _BESIDE, top + _LINE + 1, "name"))
    y = foot = top + _TITLE
    for x, lane in shown:
        y = top + _TITLE
        if kind == "server" and lane.interface is not None:
            _box(picture, Box("interface", x - 14, y, WIDTH // 2 - 16, _BOX), lane.interface)
            y += _BOX + _GAP
        for stop in lane.rows(inside=kind == "server"):
            picture.marks.append(Mark(stop.kind, x, y + _LINE // 2))
            for row in stop.rows:
                style = {"drop": "drop", "next": "drop", "pass": "", "unknown": "unknown"}.get(stop.kind, "dim")
                picture.words.append(Words(row, x + _BESIDE, y + 13, style))
                y += _LINE
            y += _GAP
        foot = max(foot, y)
    if kind == "server":
        foot += _GAP  # room for an arrow's head below a stage that drops
    if address:
        _box(picture, Box("end", _GAP, foot, WIDTH - 2 * _GAP, _BOX), address)
        foot += _BOX
    picture.bands.append(Box(kind, 0, top, WIDTH, foot + _GAP - top))
    return foot + _GAP


def _box(picture: Picture, box: Box, text: str) -> None:
    picture.boxes.append(box)
    fits = one_line(text, max(box.width // 9, 8))
    kind = "" if box.kind == "end" else "name"
    picture.words.append(Words(fits, box.x + box.width // 2, box.y + 20, kind, middle=True))


def _line(picture: Picture, x: int, lane: _Lane, top: int, bottom: int) -> None:
    """A lane's line, whole as far as packets come."""
    marks = [mark for mark in picture.marks if mark.x == x]
    order = marks if lane.down else marks[::-1]
    start, end = (top, bottom) if lane.down else (bottom, top)
    reaches = lane.interface is not None
    if not reaches:
        end = order[-1].y
    would = order[0].kind in _LOST
    turn = next((mark.y for mark in reversed(order) if mark.kind == "drop"), end)
    if not would:
        picture.lines.append(Line(x, start, x, turn, False))
    if would or turn != end:
        picture.lines.append(Line(x, start if would else turn, x, end, True))
    if reaches:
        picture.heads.append(Head(x, end, not lane.down, would or turn != end))


_LOST = {"idle", "next"}
"""Marks of stages that no packet comes to."""
_DOES = {
    "pass": "passes {}",
    "idle": "would pass {}",
    "drop": "is dropped by {}",
    "next": "would be dropped by {}",
    "unknown": "meets {}, of which it is not known what it does",
}


def _said(lane: _Lane) -> str:
    """`Request by eth1: passes network ACL and security groups, is dropped by rp_filter.`"""
    if not lane.stops:
        return ""
    runs = [
        _DOES[kind].format(listed([stop.agent for stop in run]))
        for kind, run in groupby(lane.stops, key=lambda stop: stop.kind)
    ]
    name = f"{lane.name[0].upper()}{lane.name[1:]}"
    by = f" by {lane.interface}" if lane.interface is not None else ""
    return one_line(f"{name}{by}: {', '.join(runs)}.", 2000)
