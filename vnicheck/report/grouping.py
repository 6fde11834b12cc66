"""What formats for people tell of one server, in one order: findings that count, numbered by cause, and the fixes."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct, UnsetType

from vnicheck.model.cause import Cause, CauseKind, CausePlan
from vnicheck.model.finding import SEVERITIES, Finding
from vnicheck.model.flow import Verdict
from vnicheck.model.grouped import grouped
from vnicheck.model.report import InstanceReport
from vnicheck.model.words import counted, listed
from vnicheck.report.fixes import fix_words, runs
from vnicheck.report.writer import fix_line


class ToldCause(Struct, frozen=True):
    """A cause with its findings that count, each with its number."""

    cause: Cause
    findings: tuple[tuple[int, Finding], ...]


class ToldFix(Struct, frozen=True):
    """A plan, and its headline, which names the findings that it fixes by their numbers."""

    words: str
    plan: CausePlan


def told_causes(instance: InstanceReport) -> list[ToldCause]:
    """The causes of which a finding counts, in their order."""
    counting = {finding.fingerprint: finding for finding in instance.findings if finding.counts}
    told: list[ToldCause] = []
    number = 0
    for cause in instance.causes:
        mine = [counting[each] for each in cause.findings if each in counting]
        if mine:
            told.append(ToldCause(cause, tuple(enumerate(mine, number + 1))))
            number += len(mine)
    return told


def counts_said(instance: InstanceReport) -> list[str]:
    """`1 error`, `2 warnings`: the findings that count, the worst first."""
    counts = Counter(finding.severity for finding in instance.findings if finding.counts)
    return [counted(counts[severity], severity) for severity in SEVERITIES if counts[severity]]


def by_hand(told: ToldCause, *, explain: bool) -> list[str]:
    """What is to be done where no plan does it, for which findings where that is not all of the cause's: titles,
    without commands that the next boot would lose unsaid.
    """
    plan = told.cause.plan
    planned = () if isinstance(plan, UnsetType) else plan.findings
    left = [(number, finding) for number, finding in told.findings if finding.fingerprint not in planned]
    lines = grouped((fix_line(fix) if explain else fix.title, number) for number, one in left for fix in one.fixes)
    everyone = {number for number, _ in told.findings}
    return [
        line if everyone == {*numbers} else f"{line} (for {listed(runs(list(dict.fromkeys(numbers))))})"
        for line, numbers in lines.items()
    ]


def nothing_said(instance: InstanceReport) -> str:
    """What is said of a server without findings that count."""
    if instance.status != "analyzed":
        return f"{instance.status}: whether anything is broken is not known"
    unknown = any(flow.verdict is Verdict.UNKNOWN and flow.is_of_vpc for flow in instance.flows)
    return "nothing found; some flows are unknown" if unknown else "nothing found"


def next_boot(instance: InstanceReport) -> str:
    """What the next boot does to a server of which no plan and no finding says it; empty where one does."""
    at_boot = any(cause.kind is CauseKind.LOST_AT_BOOT for cause in instance.causes)
    if at_boot or isinstance(instance.collected.guest, UnsetType) or told_fixes(told_causes(instance)):
        return ""
    if isinstance(instance.boot_unknown, UnsetType):
        return "nothing that works now is known to break, by the server's files"
    return f"what it takes back is not known ({instance.boot_unknown})"


def told_fixes(told: Sequence[ToldCause]) -> list[ToldFix]:
    """The plans of the causes, each once."""
    plans: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[tuple[ToldCause, CausePlan]]] = {}
    for each in told:
        plan = each.cause.plan
        if not isinstance(plan, UnsetType):
            plans.setdefault((plan.strategy, plan.commands, plan.vpc_changes), []).append((each, plan))
    total = sum(len(each.findings) for each in told)
    fixes = []
    for alike in plans.values():
        numbers = [number for each, plan in alike for number, one in each.findings if one.fingerprint in plan.findings]
        if not numbers:
            continue  # what it fixes is muted, or known
        whole = all(plan.whole for _, plan in alike)
        fixes.append(ToldFix(fix_words(alike[0][1], numbers, total, whole=whole), alike[0][1]))
    return fixes
