"""What formats for people tell of one server, in one order: findings that count, numbered by cause, and the fixes."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct, UnsetType

from vnicheck.model.cause import Cause, CausePlan
from vnicheck.model.finding import SEVERITIES, Finding
from vnicheck.model.report import InstanceReport
from vnicheck.model.words import counted
from vnicheck.report.fixes import fix_words


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


def unplanned(told: ToldCause) -> list[Finding]:
    """Those of which no plan fixes anything."""
    plan = told.cause.plan
    planned = () if isinstance(plan, UnsetType) else plan.findings
    return [finding for _, finding in told.findings if finding.fingerprint not in planned]


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
