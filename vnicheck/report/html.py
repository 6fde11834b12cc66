"""One HTML file that needs nothing else: no script, no font, no picture; it may be mailed or kept as an artifact.

One server has a page of its own; several are a fleet: the answer, causes, what was not checked, and a line a server,
the worst first. Everything remote is escaped by the template engine, and stripped of what no page should hold before
that.
"""

import tempfile
from collections.abc import Iterator
from typing import IO, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from msgspec import UnsetType

from vnicheck.findings.terms import CAUSES
from vnicheck.model.cause import CauseKind
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.words import counted, untaken
from vnicheck.report.age import collected_words, since_words
from vnicheck.report.coverage import coverage_line, findings_line, note_lines, some
from vnicheck.report.fixes import strategy_words
from vnicheck.report.fleet import Fleet, State, how_broken, problem_lines, rank, state_of
from vnicheck.report.html_server import CSS, anchor_of, counts_of, server_view
from vnicheck.report.writer import IN_MEMORY

_MESSAGE = 4000
_WHOLE = 400 << 10
"""Bytes that servers, the worst first, may take that are shown whole; the others are shown in brief."""
_TITLE = 90
"""Letters of a cause on a server's line."""
_SERVERS = "<!-- servers -->"
"""Where the servers' parts go; nothing remote can say this, for it is escaped."""
_STATES: dict[State, tuple[str, str, str]] = {
    "broken": ("e", "✗", "drop flows"),
    "unchecked": ("x", "?", "not checked"),
    "warnings": ("w", "!", "warnings only"),
    "accepted": ("a", "–", "known or muted"),
    "fine": ("f", "✓", "fine"),
    "stopped": ("o", "–", "not running"),
}
"""The states, the worst first: class, sign, words."""
_ONE = {"broken": "drops flows"}
_SIGNS = {"error": "✗", "warning": "!", "note": "–"}
_KIND = {kind: f"k{number}" for number, kind in enumerate(CauseKind)}
_Rank = tuple[Any, ...]


class HtmlWriter:
    """`--format html`."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("vnicheck.report", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_shown,
        )
        self._entry = self._templates.get_template("entry.html.j2")
        self._first: InstanceReport | None = None
        self._entries = _Entries()
        self._anchors: set[str] = set()
        self._fleet = Fleet()

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's report. The first is kept until it is known whether it is the only one."""
        self._fleet.add(instance)
        if not self._anchors:
            self._first = instance
            self._anchors.add(anchor_of(instance.name))
            return
        self._take_first()
        self._take(instance, self._anchor(instance.name))

    def finish(self, report: Report) -> Iterator[bytes]:
        """The document."""
        if self._first is not None and isinstance(report.coverage, UnsetType):
            yield from self._server(self._first, report)
            return
        self._take_first()
        page = self._templates.get_template("fleet.html.j2")
        for chunk in page.generate(self._fleet_view(report)):
            before, mark, after = chunk.partition(_SERVERS)
            yield before.encode()
            if mark:
                yield from self._entries
                yield after.encode()

    def _take_first(self) -> None:
        if self._first is not None:
            self._take(self._first, anchor_of(self._first.name))
            self._first = None

    def _anchor(self, name: str) -> str:
        """One that no other server has."""
        anchor = untaken(anchor_of(name), self._anchors)
        self._anchors.add(anchor)
        return anchor

    def _take(self, instance: InstanceReport, anchor: str) -> None:
        state = state_of(instance)
        place = (list(_STATES).index(state), *rank(how_broken(instance)))
        self._entries.add(place, self._rendered(instance, anchor, state, whole=False))
        if self._entries.has_room(place):
            self._entries.add_whole(place, self._rendered(instance, anchor, state, whole=True))

    def _rendered(self, instance: InstanceReport, anchor: str, state: State, *, whole: bool) -> bytes:
        css, sign, words = _STATES[state]
        view = server_view(instance, anchor, whole=whole)
        kinds = dict.fromkeys(_KIND[cause.kind] for cause in instance.causes if _counts(instance, cause.findings))
        view["opens"] = whole or bool(view["problems"] or view["causes"] or view["quiet"])
        what, fix = _line(instance, state)
        return self._entry.render(
            it=view,
            css=css,
            kinds=" ".join(["s", css, *kinds]),
            state=f"{sign} {_ONE.get(state, words)}",
            what=what,
            fix=fix,
            where=_where(instance),
        ).encode()

    def _server(self, instance: InstanceReport, report: Report) -> Iterator[bytes]:
        page = self._templates.get_template("server.html.j2")
        for chunk in page.generate(
            report=report,
            it=server_view(instance, anchor_of(instance.name), whole=True),
            counts=counts_of(instance),
            where=_where(instance),
            collected=collected_words(instance.collected, report.generated_at),
            assumed=self._fleet.assumed.lines(),
        ):
            yield chunk.encode()

    def _fleet_view(self, report: Report) -> dict[str, Any]:
        fleet = self._fleet
        before, states = 0, []
        for name, (css, _, words) in _STATES.items():
            count = fleet.states[name]
            if count:
                states.append({"name": name, "css": css, "words": words, "count": count, "before": before})
            before += count
        causes = [
            {
                "css": _KIND[each.kind],
                "severity": CSS[each.severity],
                "sign": _SIGNS[each.severity],
                "title": each.title,
                "example": each.example,
                "servers": each.servers,
                "fix": each.fix or ("by hand" if each.by_hand else ""),
            }
            for each in fleet.causes
        ]
        baseline = None if isinstance(report.baseline, UnsetType) else report.baseline
        return {
            "report": report,
            "fleet": fleet,
            "answer": fleet.answer.partition(";")[0],
            "total": before,
            "states": states,
            "causes": causes,
            "collected": since_words(fleet.collected, report.generated_at),
            "coverage": coverage_line(report),
            "found": findings_line(report),
            "problems": [(counted(n, "server"), what, some(names)) for n, what, names in problem_lines(fleet.problems)],
            "regions": self._fleet.unchecked.region_lines(report),
            "next": fleet.next,
            "brief": self._entries.brief,
            "notes": note_lines(report),
            "gone": baseline.gone if baseline else (),
            "carried": baseline.carried if baseline else (),
            "assumed": self._fleet.assumed.lines(),
        }


class _Entries:
    """Servers' parts of the document, put in order at the end: all of them in brief, which wait in memory or a file,
    and the worst whole, as many as have room.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - it lives as long as we do
        self._places: list[tuple[_Rank, int, int]] = []
        self._whole: dict[int, tuple[_Rank, bytes]] = {}

    def add(self, rank: _Rank, brief: bytes) -> None:
        """Takes a server in brief."""
        self._places.append((rank, self._file.tell(), len(brief)))
        self._file.write(brief)

    def has_room(self, rank: _Rank) -> bool:
        """Whether the last one would be shown whole, as it seems now."""
        return self._size < _WHOLE or rank < max(self._whole.values())[0]

    def add_whole(self, rank: _Rank, whole: bytes) -> None:
        """Takes the last one whole."""
        self._whole[self._places[-1][1]] = (rank, whole)
        while self._size > _WHOLE and len(self._whole) > 1:
            last = max(self._whole, key=lambda start: (self._whole[start][0], start))
            del self._whole[last]

    @property
    def brief(self) -> int:
        """How many are in brief alone."""
        return len(self._places) - len(self._whole)

    @property
    def _size(self) -> int:
        return sum(len(whole) for _, whole in self._whole.values())

    def __iter__(self) -> Iterator[bytes]:
        """Everything, once."""
        for _, start, length in sorted(self._places):
            if start in self._whole:
                yield self._whole[start][1]
            else:
                self._file.seek(start)
                yield self._file.read(length)
        self._file.close()


def _shown(value: object) -> object:
    """What the templates write: remote text without what could steer anything, its spaces kept."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = value if value.isprintable() else "".join(char if char.isprintable() else " " for char in value)
    return text if len(text) <= _MESSAGE else f"{text[: _MESSAGE - 1]}…"


def _counts(instance: InstanceReport, fingerprints: tuple[str, ...]) -> bool:
    return any(finding.counts and finding.fingerprint in fingerprints for finding in instance.findings)


def _line(instance: InstanceReport, state: State) -> tuple[str, str]:
    """What a fleet's page says of a server on its line, and what fixes it."""
    if state in {"unchecked", "stopped"}:
        return "; ".join(problem.message for problem in instance.problems), ""
    causes = [cause for cause in instance.causes if _counts(instance, cause.findings)]
    if not causes or state in {"accepted", "fine"}:
        return "", ""
    first, more = causes[0], len([cause for cause in causes[1:] if cause.severity != "note"])
    broken = how_broken(instance)
    title = first.title if len(first.title) <= _TITLE else CAUSES[first.kind]
    said = f"{broken.broken} of {counted(broken.addresses, 'address', 'addresses')} – " if broken.broken else ""
    fix = "by hand" if isinstance(first.plan, UnsetType) else strategy_words(first.plan.strategy)
    others = f"; {counted(more, 'other cause')}" if more else ""
    return f"{said}{title}{others}", fix if fix == "by hand" else f"fix: {fix}"


def _where(instance: InstanceReport) -> str:
    kind = "bare metal server" if instance.kind == "bare_metal_server" else "virtual server"
    vnis = counted(sum(each.vni is not None for each in instance.interfaces), "interface")
    return ", ".join(
        filter(None, [f"VPC {instance.vpc.name}", instance.zone, kind, vnis if instance.interfaces else ""])
    )
