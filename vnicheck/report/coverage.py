"""What was checked, and what not and why: the lines that every format begins with."""

from collections.abc import Sequence

from msgspec import UnsetType

from vnicheck.model.grouped import grouped
from vnicheck.model.report import InstanceReport, RegionReport, Report
from vnicheck.model.words import counted, listed, one_line

NAMED = 3


def coverage_line(report: Report) -> str:
    """How much could be checked of what was asked for, in one line."""
    summary, coverage = report.summary, report.coverage
    if isinstance(coverage, UnsetType) or isinstance(report.regions, UnsetType):
        parts = [f"checked {summary.analyzed} of {counted(summary.instances, 'server')}"]
    else:
        where = listed([one_line(region.name, 40) for region in report.regions if region.name] or ["the region"])
        kind = "multi-homed server" if coverage.single_homed else "server"
        parts = [f"checked {coverage.checked} of {counted(coverage.servers, kind)} in {where}"]
        if coverage.percent is None:
            parts.append("there may be more: not everything could be read")
        if coverage.stopped:
            parts.append(f"{coverage.stopped} not running")
        if coverage.single_homed:
            parts.append(f"{coverage.single_homed} with one interface left out")
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}."


def findings_line(report: Report) -> str:
    """How much was found, in one line."""
    summary = report.summary
    counts = [counted(number, severity) for severity, number in summary.findings.items() if number]
    if not counts and not summary.analyzed:
        parts = ["nothing was checked"]
    elif not counts and not report.complete:
        parts = ["nothing found in what could be checked"]
    else:
        parts = [listed(counts) if counts else "nothing found"]
    if not isinstance(report.baseline, UnsetType):
        parts = [
            f"{parts[0]} that the baseline has not" if counts else parts[0].replace("nothing found", "nothing new")
        ]
        if summary.known:
            parts.append(f"{summary.known} known from the baseline")
        if report.baseline.gone:
            parts.append(f"{len(report.baseline.gone)} of the baseline gone")
    if summary.muted:
        parts.append(f"{summary.muted} muted")
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}."


class Unchecked:
    """Collects why servers could not be fully checked. The same problem of several servers is one line."""

    def __init__(self) -> None:
        self._alike: dict[tuple[str, str], list[str]] = {}

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's problems."""
        if instance.status != "analyzed" and not instance.stopped:
            for problem in instance.problems:
                self._alike.setdefault((problem.code, problem.message), []).append(instance.name)

    def lines(self, report: Report) -> list[str]:
        """A line for everything that kept the report from being complete: regions, then servers."""
        lines = [f"{some(names)}: {code}: {message}" for (code, message), names in self._alike.items()]
        return [*self.region_lines(report), *(one_line(line, 600) for line in lines)]

    @staticmethod
    def region_lines(report: Report) -> list[str]:
        """A line for everything that kept a region from being read whole."""
        problems = ((_where(region), each) for region in regions_of(report) for each in region.problems)
        return [one_line(f"{where}: {each.code}: {each.message}", 600) for where, each in problems]


def regions_of(report: Report) -> tuple[RegionReport, ...]:
    """What was read of each region; nothing but of `lint`."""
    return () if isinstance(report.regions, UnsetType) else report.regions


def note_lines(report: Report) -> list[str]:
    """A line for what could not be read and decides no verdict."""
    notes = ((note, region) for region in regions_of(report) for note in region.notes)
    alike = grouped(((note.code, note.message), _where(region)) for note, region in notes)
    return [
        one_line(f"{code.removesuffix('_unread').replace('_', ' ')} of {some(where)} were not read: {message}", 600)
        for (code, message), where in alike.items()
    ]


def some(names: Sequence[str]) -> str:
    """A few names, and how many more."""
    return listed([one_line(name, 80) for name in names], NAMED)


def _where(region: RegionReport) -> str:
    return one_line(region.name, 40) or "the region"
