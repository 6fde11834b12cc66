"""Fixes in words: the plan of a cause, what a boot leaves of it, and what is to be done by hand."""

import shlex
from collections.abc import Iterator, Sequence

from vnicheck.model.cause import CausePlan
from vnicheck.model.finding import Finding
from vnicheck.model.words import listed, one_line
from vnicheck.report.writer import fix_line

STRATEGIES = {
    "policy-routing": "policy routing",
    "rp-filter": "loose rp_filter",
    "state-filtering": "no state filtering",
}


def strategy_words(strategy: str) -> str:
    """`policy routing and loose rp_filter`."""
    return listed([STRATEGIES.get(part, part) for part in strategy.split("+")])


def fix_words(plan: CausePlan, findings: Sequence[int], of: int, *, whole: bool) -> str:
    """`Fix for 1 and 2: policy routing (proved on the model: breaks nothing)`, by the numbers of the findings."""
    part = "" if whole else ", in part"
    which = "Fix" if of == len(findings) == 1 else f"Fix for {listed(_runs(findings))}"
    if not plan.proved:
        return f"{which}: {strategy_words(plan.strategy)}"
    return f"{which}: {strategy_words(plan.strategy)}{part} (proved on the model: breaks nothing)"


def _runs(numbers: Sequence[int]) -> list[str]:
    """Numbers that rise, those of three in a row and more together: `1 to 5`, `7`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [
        text
        for run in runs
        for text in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(number) for number in run])
    ]


def reboot_words(plan: CausePlan, server: str) -> Iterator[str]:
    """What a boot leaves of it, and the command that applies it."""
    command = f"`vnicheck fix {shlex.quote(one_line(server, 80))}`"
    if not plan.proved:
        yield f"`vnicheck fix {shlex.quote(one_line(server, 80))} --dry-run` plans it, and proves the plan."
    elif not plan.commands:
        yield f"{command} applies it with automatic rollback."
    elif plan.at_boot == "kept" and plan.keeps:
        yield (
            f"{command} applies it with automatic rollback, and makes it permanent ({listed(plan.keeps)}); typed by "
            "hand it lasts until the next boot."
        )
    elif plan.at_boot == "kept":
        yield f"{command} applies it with automatic rollback."
    else:
        said = "; ".join(plan.next_boot) or "the next boot takes it back"
        permanent = "Permanent in part" if plan.at_boot == "partly" else "Not permanent"
        yield f"{command} applies it with automatic rollback. {permanent}: {said}."


def by_hand(findings: Sequence[Finding], *, explain: bool) -> list[str]:
    """What is to be done where no plan does it: titles, without commands that the next boot would lose unsaid."""
    lines = dict.fromkeys(fix_line(fix) if explain else fix.title for finding in findings for fix in finding.fixes)
    return list(lines)
