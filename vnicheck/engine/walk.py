"""A flow on its way: the checks that its packets meet, step by step, worked out once for all flows that share them."""

from collections.abc import Hashable

from msgspec import Struct

from vnicheck.engine.remotes import Remotes
from vnicheck.engine.server_view import LocalAddress, ServerView
from vnicheck.fabric.check import Check
from vnicheck.fabric.memory import memory_of
from vnicheck.model.address import Range
from vnicheck.model.flow import Drop, Hop, Leg, Outcome, Protocol, Scope
from vnicheck.model.memo import Memo

Ranges = tuple[Range, ...]


class Opening(Struct, frozen=True):
    """A flow to be predicted: from or to remotes that fare alike, with its destination ports ((0, 0) alone for ICMP),
    all of one fate.
    """

    local: LocalAddress
    protocol: Protocol
    ports: Ranges
    remotes: Remotes

    @property
    def remote(self) -> int:
        """One of the remotes."""
        return self.remotes.first

    @property
    def scope(self) -> Scope:
        """Where the remotes are."""
        return self.remotes.place.scope

    @property
    def ports_in_guest(self) -> Ranges:
        """The ports, where the guest's kernel may tell some of them apart."""
        return self.ports if self.remotes.by_port else ()

    def at(self, ports: Ranges) -> "Opening":
        """The same with some of the ports."""
        return Opening(self.local, self.protocol, ports, self.remotes)


class Step:
    """A check with the leg that it belongs to and its place. Steps of one `fate` (a number) differ at most in the lines
    that decided them. `hop`: the one that it alone makes, once it is made.
    """

    __slots__ = ("at", "check", "fate", "hop", "leg")

    def __init__(self, leg: Leg, at: str, check: Check, fate: int) -> None:
        self.leg = leg
        self.at = at
        self.check = check
        self.fate = fate
        self.hop: Hop | None = None


class Section:
    """Steps at one place, one after the other, and what they come to: `fates` are theirs; `unknown`, `to_no_host`
    and `stays_inside` say that one of them is.
    """

    __slots__ = ("drops", "fates", "stays_inside", "steps", "to_no_host", "unknown")

    def __init__(self, steps: tuple[Step, ...]) -> None:
        checks = [step.check for step in steps]
        self.steps = steps
        self.fates = tuple([step.fate for step in steps])
        self.drops = tuple([Drop(by=drop, leg=at.leg, at=at.at) for at in steps if (drop := at.check.drop) is not None])
        self.unknown = Outcome.UNKNOWN in [check.outcome for check in checks]
        self.to_no_host = True in [check.to_no_host for check in checks]
        self.stays_inside = True in [check.stays_inside for check in checks]


class Path(Struct, frozen=True):
    """All steps of a flow, in order, and the guest interfaces where its packets enter and leave (None: nowhere, or not
    known). `symmetric`: whether both directions cross the same VNIs; None where that is not known.
    """

    sections: tuple[Section, ...]
    ingress: str | None
    egress: str | None
    symmetric: bool | None

    @staticmethod
    def of_own(sections: tuple[Section, ...], ingress: str | None, egress: str | None) -> "Path":
        """Of a flow of the server's own, of which one direction enters and the other leaves."""
        return Path(sections, ingress, egress, None if ingress is None or egress is None else ingress == egress)

    @property
    def steps(self) -> list[Step]:
        """All steps."""
        return [step for section in self.sections for step in section.steps]


class Walk:
    """Follows the flows of one server; what several of them share is worked out once."""

    def __init__(self, view: ServerView) -> None:
        self.view = view
        self.once = Memo().once
        self.for_all = memory_of(view.fabric).once
        """The same for all servers of the fabric."""
        self._steps: dict[tuple[Leg, str, int], Step] = {}
        self._sections: dict[Hashable, Section] = {}
        self._fates: dict[Hashable, int] = {}

    def section(self, leg: Leg, at: str, *checks: Check) -> Section:
        """The steps for checks at one place, in order; the same for the same checks."""
        key = (leg, at, *map(id, checks))
        known = self._sections.get(key)
        if known is None:
            known = self._sections[key] = Section(tuple([self._step(leg, at, check) for check in checks]))
        return known

    def joined(self, *sections: Section) -> Section:
        """The steps of several places as one section; the same for the same sections."""
        key = ("joined", *map(id, sections))
        known = self._sections.get(key)
        if known is None:
            known = self._sections[key] = Section(tuple([step for each in sections for step in each.steps]))
        return known

    def _step(self, leg: Leg, at: str, check: Check) -> Step:
        """The step for a check; the same one for the same check, which it keeps alive."""
        key = (leg, at, id(check))
        known = self._steps.get(key)
        if known is None:
            fate = (leg, at, check.stage, check.outcome, check.reason)
            known = self._steps[key] = Step(leg, at, check, self._fates.setdefault(fate, len(self._fates)))
        return known
