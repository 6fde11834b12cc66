"""Lint: servers go one by one through analysis and into the writers; of each only counts are kept, and its findings.

Pure but for what the writers keep: the time, the regions and the baseline are passed in.
"""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType

from vnicheck.analysis.extent import is_within, known_flows
from vnicheck.analysis.many import Shared, analyze_many
from vnicheck.analysis.processes import Spread, in_process
from vnicheck.model.baseline import Baseline, Earlier, Known, baseline_of
from vnicheck.model.config import Config
from vnicheck.model.finding import SEVERITIES, Finding, Severity, is_as_severe
from vnicheck.model.grouped import grouped
from vnicheck.model.region import Job, RegionInScope, job_of
from vnicheck.model.report import (
    REPORT_SCHEMA,
    TOOL,
    BaselineReport,
    Coverage,
    InstanceReport,
    RegionReport,
    Report,
    Tally,
)


class Taker(Protocol):
    """Whoever is given every server's report, one after the other: a writer of a format."""

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's report."""


Judgement = Literal["clean", "findings", "incomplete"]


class LintResult(Struct, frozen=True, kw_only=True):
    """`report`: the document without its instances. `baseline`: what a new baseline holds. `seen`: the instances, only
    as far as notes on the configuration look at them."""

    report: Report
    baseline: Baseline
    seen: tuple[InstanceReport, ...]

    def judged(self, fail_on: Severity, *, allow_incomplete: bool, min_coverage: float | None) -> Judgement:
        """What the run comes to. `min_coverage`: the percentage of servers that is enough, where not all are needed."""
        found = [severity for severity, number in self.report.summary.findings.items() if number]
        if any(is_as_severe(severity, fail_on) for severity in found):
            return "findings"
        if self.report.complete:
            return "clean"
        if min_coverage is None:
            return "clean" if allow_incomplete else "incomplete"
        percent = self.report.coverage.percent if self.report.coverage else None
        return "clean" if percent is not None and percent >= min_coverage else "incomplete"


def lint(
    regions: Sequence[RegionInScope],
    config: Config,
    *,
    generated_at: str,
    writers: Sequence[Taker],
    earlier: Baseline | None = None,
    whole: bool = True,
    on_done: Callable[[InstanceReport], None] = lambda _: None,
    spread: Spread = in_process,
    flows: bool = True,
    plans: bool = False,
) -> LintResult:
    """Gives every server's report to the writers, and the head of the document to the caller. Raises WorkersLostError.

    `earlier`: the baseline, whose findings do not count. `whole`: the regions' servers are all that there are but for
    those with one interface, so that a server of the baseline that is not among them is no longer there. `spread`:
    where servers are analyzed. `flows`: whether some writer reads flows, or a baseline is read or written. `plans`:
    prove the fix of each cause.
    """
    tally = Tally()
    ledger = _Ledger(earlier, with_flows=flows)
    seen: list[InstanceReport] = []
    counts: list[RegionReport] = []
    for region in regions:
        shared = Shared(
            fabric=region.fabric,
            config=config,
            read_at=region.read_at,
            generated_at=generated_at,
            flows=flows,
            plans=plans,
        )
        jobs = (each if isinstance(each, Job) else job_of(each) for each in region.servers)
        for analyzed in analyze_many(jobs, shared, spread):
            instance = msgspec.structs.replace(analyzed, region=region.name)
            marked = ledger.mark(instance)
            tally.add(marked)
            if config.expect or config.mute:
                seen.append(msgspec.structs.replace(marked, flows=marked.flows[:1], interfaces=()))
            for writer in writers:
                writer.add(marked)
            on_done(marked)
        counts.append(
            RegionReport(
                name=region.name,
                servers=len(region.servers) + region.single_homed,
                single_homed=region.single_homed,
                problems=region.problems,
                notes=region.notes,
            )
        )
    unread = {region.name for region in counts if region.problems}
    fate = ledger.close(unread=unread, read={region.name for region in counts} - unread, whole=whole)
    report = Report(
        schema=REPORT_SCHEMA,
        tool=TOOL,
        generated_at=generated_at,
        complete=tally.complete and not unread,
        summary=tally.summary(baseline=earlier is not None),
        coverage=_coverage(tally, counts),
        regions=tuple(counts),
        baseline=fate if earlier is not None else UNSET,
        instances=(),
    )
    return LintResult(report=report, baseline=ledger.baseline(fate), seen=tuple(seen))


def _coverage(tally: Tally, regions: Sequence[RegionReport]) -> Coverage:
    summary = tally.summary()
    running = summary.instances - tally.stopped
    known = not any(region.problems for region in regions)
    share = round(100 * summary.analyzed / running, 1) if running else 100.0
    if summary.analyzed < running:
        share = min(share, 99.9)  # never rounded up to all
    return Coverage(
        servers=running,
        checked=summary.analyzed,
        stopped=tally.stopped,
        single_homed=sum(region.single_homed for region in regions),
        percent=share if known else None,
    )


class _Ledger:
    """What was found earlier against what is found now."""

    def __init__(self, earlier: Baseline | None, *, with_flows: bool) -> None:
        self._with_flows = with_flows
        self._has_baseline = earlier is not None
        entries = earlier.findings if earlier is not None else ()
        self._known = {each.fingerprint: each for each in entries}
        self._of = grouped((each.id, each) for each in entries)
        self._gone: list[Earlier] = []
        self._carried: list[Earlier] = []
        self._elsewhere: list[Earlier] = []
        self._now: list[Earlier] = []

    def mark(self, instance: InstanceReport) -> InstanceReport:
        """The instance with each finding known or new, where there is a baseline."""
        now = {each for finding in instance.findings for each in finding.fingerprints}
        about = {finding.fingerprint: self._about(instance, finding) for finding in instance.findings}
        for each in self._of.pop(instance.id, ()):
            if each.fingerprint not in now:
                (self._gone if instance.status == "analyzed" else self._carried).append(each)
        self._now += [
            Earlier(
                fingerprint=finding.fingerprint,
                rule=finding.rule,
                severity=finding.severity,
                message=finding.message,
                region=instance.region,
                id=instance.id,
                name=instance.name,
                crn=instance.crn,
                flows=about[finding.fingerprint],
            )
            for finding in instance.findings
            if not finding.is_muted
        ]
        if not self._has_baseline or not instance.findings:
            return instance
        marked = tuple(self._marked(finding, about[finding.fingerprint]) for finding in instance.findings)
        return msgspec.structs.replace(instance, findings=marked)

    def _about(self, instance: InstanceReport, finding: Finding) -> tuple[Known, ...]:
        return known_flows(instance.flows[index] for index in finding.flows) if self._with_flows else ()

    def _marked(self, finding: Finding, about: tuple[Known, ...]) -> Finding:
        """The finding, known where the baseline has it as bad as this and about all of these flows."""
        known = [self._known[each] for each in finding.fingerprints if each in self._known]
        if not known:
            return msgspec.structs.replace(finding, known=False)
        worst = min((each.severity for each in known), key=SEVERITIES.index)
        flows = [() if isinstance(each.flows, UnsetType) else each.flows for each in known]
        everything = any(isinstance(each.flows, UnsetType) for each in known)
        if not is_as_severe(worst, finding.severity):
            grown = f"The baseline has it as {worst}."
        elif not everything and not is_within(about, [each for part in flows for each in part]):
            grown = "The baseline has it for fewer flows."
        else:
            return msgspec.structs.replace(finding, known=True)
        return msgspec.structs.replace(finding, known=False, message=f"{finding.message} {grown}")

    def close(self, *, unread: set[str], read: set[str], whole: bool) -> BaselineReport:
        """What became of the rest: of servers that were not seen at all."""
        for each in (entry for entries in self._of.values() for entry in entries):
            if each.region in unread:
                self._carried.append(each)
            elif whole and each.region in read:
                self._gone.append(each)
            else:
                self._elsewhere.append(each)
        return BaselineReport(
            gone=baseline_of(self._gone).findings,
            carried=baseline_of(self._carried).findings,
            elsewhere=len(self._elsewhere),
        )

    def baseline(self, fate: BaselineReport) -> Baseline:
        """What was found, and what could not be looked at."""
        return baseline_of([*self._elsewhere, *fate.carried, *self._now])
