"""What the plans come to: the line that ends them, the headline of each, and which of them have one shape."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from vnicheck.model.flow import Direction, Drop, Flow, Verdict
from vnicheck.model.grouped import grouped
from vnicheck.model.plan import NO_STRATEGY, InstancePlan, Plan
from vnicheck.model.words import counted, listed
from vnicheck.report.coverage import NAMED, some

Result = Literal["fixed", "in part", "by hand"]
_WHOLE: tuple[Result, ...] = ("fixed", "in part", "by hand")
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", re.ASCII)
_BOOT = {"kept": "", "partly": "; permanent in part", "lost": "; not permanent"}


class Scope(Struct, frozen=True, kw_only=True):
    """The servers that plans were asked for: how many, and the names of those that could not be looked at, and of those
    that do not run.
    """

    servers: int
    unchecked: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()


def result_of(plan: Plan) -> Result:
    """Whether the plan fixes everything that is broken, some of it, or nothing."""
    if plan.strategy == NO_STRATEGY:
        return "by hand"
    return "in part" if plan.remaining or not plan.fixed else "fixed"


def summary_lines(plans: Sequence[InstancePlan], scope: Scope) -> list[str]:
    """`Plan: 3 servers: 2 fixed, 1 in part, 0 by hand`, then what is to be said of the servers without a plan."""
    lines = []
    if plans:
        counts = Counter(result_of(each.plan) for each in plans)
        said = ", ".join(f"{counts[result]} {result}" for result in _WHOLE)
        lines.append(f"Plan: {counted(len(plans), 'server')}: {said}")
    well = scope.servers - len(plans) - len(scope.unchecked) - len(scope.stopped)
    if well > 0 and (plans or scope.unchecked):
        lines.append(f"nothing to fix on {counted(well, 'other server' if plans else 'server')}")
    elif well > 0:
        lines.append("nothing is broken that is meant to work: there is nothing to fix")
        lines.append("whether a boot would change that, 'vnicheck analyze' tells")
    if scope.unchecked:
        lines.append(f"could not look at {some(scope.unchecked)}: whether anything is broken there is not known")
    if scope.stopped:
        lines.append(f"{some(scope.stopped)} {'does' if len(scope.stopped) == 1 else 'do'} not run: not looked at")
    return lines or ["there is no server to look at"]


def headline(plan: Plan) -> str:
    """What the plan does to the addresses with broken flows, and what the next boot leaves of it."""
    who = broken_words(plan)
    if plan.strategy == NO_STRATEGY:
        return f"no fix for {who}"
    boot = _BOOT[plan.at_boot]
    if plan.fixed_if and not plan.fixed:
        return f"{plan.strategy} fixes {who} only if an open assumption holds{boot}"
    if plan.remaining:
        return f"{plan.strategy} fixes {who} in part{boot}"
    return f"{plan.strategy} fixes {who}, and breaks nothing{boot}"


def broken_words(plan: Plan) -> str:
    """The addresses of which something is fixed, or how many; of a plan that fixes nothing, those that are broken."""
    addresses = _broken_addresses(plan)
    if not addresses:
        return "what is broken"
    return listed(addresses) if len(addresses) <= NAMED else counted(len(addresses), "address", "addresses")


def shape(text: str, instance: InstancePlan) -> str:
    """What is said of a server, in which its own addresses and VNIs are numbers: plans that differ in these alone have
    one shape.
    """
    names = {name for action in instance.plan.actions for name in (action.vni, action.vni_name) if name}
    words = sorted(map(re.escape, names), key=len, reverse=True)
    pattern = re.compile("|".join([_ADDRESS.pattern, *(rf"(?<!\w){word}(?!\w)" for word in words)]), re.ASCII)
    numbers: dict[str, str] = {}
    plain = pattern.sub(lambda match: numbers.setdefault(match[0], f"<{len(numbers)}>"), text)
    return " ".join(plain.split())


def fixed_flows(plan: Plan) -> dict[tuple[Direction, str, Drop | None], list[Flow]]:
    """The flows that the plan fixes, those of one direction and local address that met the same drop first together."""
    flows = [plan.before[index] for index in plan.fixed_flows]
    return grouped(((flow.direction, flow.local, next(iter(flow.drops), None)), flow) for flow in flows)


def alike_line(others: Sequence[InstancePlan]) -> str:
    """Whose plans have the shape of the one above."""
    names = [
        f"{each.name} ({listed(addresses)})" if (addresses := _broken_addresses(each.plan)) else each.name
        for each in others
    ]
    return f"The same, with their own addresses: {some(names)}"


def _broken_addresses(plan: Plan) -> list[str]:
    indexes = plan.fixed_flows or [
        i for i, flow in enumerate(plan.before) if flow.verdict is Verdict.DROPPED and flow.findings
    ]
    return list(dict.fromkeys(plan.before[index].local for index in indexes))
