"""Fixes in words: the plan of a cause, and what a boot leaves of it."""

from collections.abc import Iterator, Sequence

from vnicheck.model.cause import CausePlan
from vnicheck.model.words import listed
from vnicheck.report.commands import Carried, Suggested

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
    which = "Fix" if of == len(findings) == 1 else f"Fix for {listed(runs(findings))}"
    if not plan.proved:
        return f"{which}: {strategy_words(plan.strategy)}"
    return f"{which}: {strategy_words(plan.strategy)}{part} (proved on the model: breaks nothing)"


def runs(numbers: Sequence[int]) -> list[str]:
    """Numbers that rise, those of three in a row and more together: `1 to 5`, `7`."""
    together: list[list[int]] = []
    for number in numbers:
        if together and together[-1][-1] == number - 1:
            together[-1].append(number)
        else:
            together.append([number])
    return [
        text
        for run in together
        for text in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(number) for number in run])
    ]


def reboot_words(plan: CausePlan, server: str, region: str, carried: Carried) -> Iterator[Suggested]:
    """What a boot leaves of it, and the command that applies it."""
    apply, dry = carried.apply(server, region), carried.plan(server, region)
    if not plan.proved:
        yield Suggested("", dry, "plans it, and proves the plan.")
    elif not plan.commands:
        yield Suggested("", apply, "applies it with automatic rollback, and the VPC keeps it.")
        yield Suggested("The VPC guards less then: ", dry, "says what that costs.")
    elif plan.at_boot == "kept" and plan.keeps:
        said = f"applies it with automatic rollback, and makes it permanent ({listed(plan.keeps)}); typed by hand it "
        yield Suggested("", apply, f"{said}lasts until the next boot.")
    elif plan.at_boot == "kept":
        yield Suggested("", apply, "applies it with automatic rollback.")
    else:
        said = "; ".join(plan.next_boot) or "the next boot takes it back"
        permanent = "Permanent in part" if plan.at_boot == "partly" else "Not permanent"
        yield Suggested("", apply, f"applies it with automatic rollback. {permanent}: {said}.")
