"""A fleet in numbers: how many servers are well, what makes findings on how many, which are the worst.

Servers go in one by one; of each only counts are kept, and its name.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, UnsetType

from vnicheck.findings.terms import CAUSES
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import SEVERITIES, Severity
from vnicheck.model.report import InstanceReport
from vnicheck.model.words import counted, listed, one_line
from vnicheck.report.assumed import Assumed
from vnicheck.report.commands import NOTHING, Carried
from vnicheck.report.coverage import Unchecked
from vnicheck.report.fixes import strategy_words

State = Literal["broken", "warnings", "accepted", "fine", "unchecked", "stopped"]
STATES: tuple[State, ...] = ("broken", "warnings", "accepted", "fine", "unchecked", "stopped")
_TOLD = {"error", "warning"}


class CauseCount(Struct, frozen=True):
    """A kind of cause: on how many servers, its worst severity there (of `milder` ones it is less), what fixes it
    (empty: by hand), and the rule of one of its worst findings.
    """

    kind: CauseKind
    severity: Severity
    servers: int
    fix: str
    rule: str
    milder: int = 0
    example: str = ""
    """Of flows that are unknown, what most of them depend on."""

    @property
    def title(self) -> str:
        """Of any server."""
        milder = f" ({self.milder} with warnings only)" if self.milder and self.severity == "error" else ""
        return CAUSES[self.kind] + milder

    @property
    def by_hand(self) -> bool:
        """Whether somebody should do something on the servers that no plan does."""
        return not self.fix and self.severity in _TOLD and self.kind is not CauseKind.NOT_SEEN


class WorstServer(Struct, frozen=True, order=True):
    """A server by how much of it is broken: `broken` of its `addresses`."""

    broken: int
    errors: int
    addresses: int
    name: str


def state_of(instance: InstanceReport) -> State:
    """What a server is, in one word of STATES. `accepted`: its errors and warnings are known or muted."""
    worst = {finding.severity for finding in instance.findings if finding.counts}
    if "error" in worst:
        return "broken"
    if instance.stopped:
        return "stopped"
    if instance.status != "analyzed":
        return "unchecked"
    if "warning" in worst:
        return "warnings"
    return "accepted" if any(finding.severity in _TOLD for finding in instance.findings) else "fine"


class Fleet:
    """Collects servers. `carried`: what a suggested command needs."""

    def __init__(self, carried: Carried = NOTHING) -> None:
        self._carried = carried
        self._region_of: dict[str, str] = {}
        self.states: Counter[State] = Counter()
        self._causes: dict[CauseKind, dict[str, tuple[Severity, str, str]]] = {}
        self._broken: list[WorstServer] = []
        self._problems: dict[str, dict[str, str]] = {}
        self._regions: dict[str, None] = {}
        self.collected: list[str] = []
        self._boot_unknown: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self.unchecked = Unchecked()
        self.assumed = Assumed()

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's report."""
        self.unchecked.add(instance)
        self.assumed.add(instance)
        state = state_of(instance)
        self.states[state] += 1
        if instance.region:
            self._regions[instance.region] = None
            self._region_of[instance.name] = instance.region
        times = [each for each in (instance.collected.guest, instance.collected.vpc) if not isinstance(each, UnsetType)]
        self.collected = [min([*self.collected, *times])] if times or self.collected else []
        if state not in {"unchecked", "stopped"} and not isinstance(instance.boot_unknown, UnsetType):
            self._boot_unknown[instance.boot_unknown] += 1
        counting = {finding.fingerprint: finding for finding in instance.findings if finding.counts}
        for cause in instance.causes:
            mine = [counting[each] for each in cause.findings if each in counting]
            if not mine:
                continue
            worst = min(mine, key=lambda finding: SEVERITIES.index(finding.severity))
            if cause.kind is CauseKind.NOT_SEEN and instance.status != "analyzed" and worst.severity not in _TOLD:
                continue
            fix = "" if isinstance(cause.plan, UnsetType) else strategy_words(cause.plan.strategy)
            if cause.kind is CauseKind.UNKNOWN_FLOWS:
                self._unknown.update(one_line(each.text, 160) for each in worst.evidence)
            self._causes.setdefault(cause.kind, {})[instance.id] = (worst.severity, fix, worst.rule)
        if state == "broken":
            self._broken.append(how_broken(instance))
            self._broken = sorted(self._broken, key=rank)[:NAMED]
        if instance.status != "analyzed" and not instance.stopped:
            for problem in instance.problems:
                self._problems.setdefault(problem.code, {})[instance.name] = problem.message

    @property
    def causes(self) -> list[CauseCount]:
        """The kinds of causes, the worst first, then by how many servers have them."""
        counts = []
        for kind, servers in self._causes.items():
            severity, _, rule = min(servers.values(), key=lambda one: SEVERITIES.index(one[0]))
            (fix, _), *_ = Counter(fix for _, fix, _ in servers.values()).most_common(1)
            milder = sum(each != severity for each, _, _ in servers.values())
            example = self._unknown.most_common(1)[0][0] if kind is CauseKind.UNKNOWN_FLOWS and self._unknown else ""
            counts.append(CauseCount(kind, severity, len(servers), fix, rule, milder, example))
        order = list(CauseKind)
        return sorted(counts, key=lambda each: (SEVERITIES.index(each.severity), -each.servers, order.index(each.kind)))

    @property
    def worst(self) -> list[WorstServer]:
        """The servers of which most is broken."""
        return self._broken

    @property
    def next(self) -> list[str]:
        """The commands to type next: to look at the worst server and to fix; else to see why one was not reached."""
        if self._broken:
            worst = self._broken[0]
            region = self._region_of.get(worst.name, "")
            return [self._carried.analyze(worst.name, region), self._carried.plan(region=region)]
        unreached = [name for code, names in self._problems.items() if code.startswith("ssh_") for name in names]
        if not unreached:
            return []
        return [self._carried.doctor(unreached[0], self._region_of.get(unreached[0], ""))]

    @property
    def problems(self) -> dict[str, dict[str, str]]:
        """What kept servers from being checked: by the problem's code the servers' names, each with its message."""
        return self._problems

    @property
    def next_boot(self) -> str:
        """Of how many servers it is not known what the next boot leaves, and the most common reason."""
        if not self._boot_unknown:
            return ""
        ((why, _),) = self._boot_unknown.most_common(1)
        servers = counted(self._boot_unknown.total(), "server")
        example = "for example " if len(self._boot_unknown) > 1 else ""
        return f"next boot: what it takes back of {servers} is not known ({example}{why})"

    @property
    def answer(self) -> str:
        """`us-south: 45 of 59 servers drop flows; 1 with warnings only, 11 fine, 2 not checked`."""
        total, broken = sum(self.states.values()), self.states["broken"]
        if not total:
            return "no server to check"
        words: dict[State, str] = {
            "warnings": "with warnings only",
            "accepted": "with known or muted findings only",
            "fine": "fine",
            "unchecked": "not checked",
            "stopped": "not running",
        }
        rest = [f"{self.states[state]} {word}" for state, word in words.items() if self.states[state]]
        where = f"{listed(list(self._regions))}: " if self._regions else ""
        looked_at = total - self.states["unchecked"] - self.states["stopped"]
        if not looked_at:
            return f"{where}nothing is known of {counted(total, 'server')}: {', '.join(rest)}"
        verb = "drops" if broken == 1 or total == 1 else "drop"
        counting = " that are not known or muted" if self.states["accepted"] else ""
        said = f"{broken} of {counted(total, 'server')} {verb} flows{counting}"
        return "; ".join([where + said, *([", ".join(rest)] if rest else [])])


NAMED = 3


def rank(server: WorstServer) -> tuple[float, int, int, str]:
    """Sorts the worst first."""
    return (-(server.broken / max(server.addresses, 1)), -server.broken, -server.errors, server.name)


def how_broken(instance: InstanceReport) -> WorstServer:
    """How much of a server findings that count say is broken."""
    errors = [finding for finding in instance.findings if finding.counts and finding.severity == "error"]
    broken = {affected.local for finding in errors for affected in finding.affected}
    own = {address for each in instance.interfaces if each.vni is not None for address in each.vni.carried}
    return WorstServer(len(broken & own), len(errors), len(own), instance.name)


def problem_lines(problems: dict[str, dict[str, str]]) -> Sequence[tuple[int, str, list[str]]]:
    """For each problem: on how many servers, what it is, and which servers. One message where all have the same."""
    lines = []
    for code, servers in problems.items():
        messages = list(dict.fromkeys(servers.values()))
        what = f"{code}: {messages[0]}" if len(messages) == 1 else f"{code}, for example: {messages[0]}"
        lines.append((len(servers), what, list(servers)))
    return sorted(lines, key=lambda line: -line[0])
