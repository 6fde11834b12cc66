"""What a plan does, what it was proved to fix and what it costs, as comment lines at the top of every form."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from vnicheck import __version__
from vnicheck.findings.terms import DROPS
from vnicheck.fixes.vni_changes import vni_changes
from vnicheck.model.flow import Direction
from vnicheck.model.plan import NO_STRATEGY, FixedIf, InstancePlan, Plan
from vnicheck.model.words import listed
from vnicheck.report.plans.plain import is_plain_path, said, title
from vnicheck.report.plans.summary import broken_words, fixed_flows

_WIDTH = 98
DOES = "Does"
AT_RISK = "at risk by an open assumption"


def comment(instance: InstancePlan, *, usage: Sequence[str] = ()) -> str:
    """Lines that begin with `#`: the plan, then `usage` as it is."""
    lines = [*_wrapped(_headline(instance)), ""]
    for label, items in parts(instance):
        lines += [f"{label}:", *(line for item in items for line in _wrapped(item, "- "))]
    if usage:
        lines += ["", *usage]
    return as_comment(lines)


def comments(instances: Sequence[InstancePlan], usage: Sequence[str]) -> str:
    """Those of several plans in one form; its `usage` stands once, at the end."""
    heads = [comment(instance, usage=usage if instance is instances[-1] else ()) for instance in instances]
    return "#\n".join(heads)


def as_comment(lines: Iterable[str]) -> str:
    """Each line behind a `#`; nothing in it can end the line."""
    return "".join(f"# {one}\n" if (one := _tidy(line)) else "#\n" for line in lines)


def _headline(instance: InstancePlan) -> str:
    plan = instance.plan
    by = f"by vnicheck {__version__}"
    if plan.strategy == NO_STRATEGY:
        return f"No fix for {title(instance)}, {by}: {said(plan.why_not or '')}"
    extent = " in part" if plan.remaining else ""
    return (
        f"Fix for {title(instance)}, {by}: {said(plan.strategy)}. Proved on a model of the server: it fixes "
        f"{said(broken_words(plan))}{extent}, and breaks nothing."
    )


def parts(instance: InstancePlan) -> Iterator[tuple[str, list[str]]]:
    """What there is to say of a plan, under labels; what it does comes first."""
    plan = instance.plan
    changes = vni_changes(plan.actions)
    said_of = {
        DOES: [said(action.summary) for action in plan.actions],
        "Fixes": list(_fixed(plan)),
        "Fixes only if": [said(said_if(condition)) for condition in plan.fixed_if],
        "Costs": [said(effect) for effect in plan.side_effects],
        "Needs the IAM actions": [said(action) for action in plan.iam_actions],
        "At the next boot": [said(word) for word in plan.next_boot],
        "Stays broken": [said(word) for word in instance.unfixed],
        "Nothing here does": [said(line) for fix in instance.by_hand for line in (fix.title, *fix.commands)],
        "Rules of others": [said(word) for word in instance.agents],
        "REFUSED, for its name could mean something else than itself": [
            *(change.refused for change in changes if change.refused is not None),
            *(said(file.path) for file in plan.files if not is_plain_path(file.path)),
        ],
    }
    return ((label, items) for label, items in said_of.items() if items)


def _fixed(plan: Plan) -> Iterator[str]:
    for (direction, local, drop), flows in fixed_flows(plan).items():
        protocols = dict.fromkeys(flow.protocol.value for flow in flows)
        way = {Direction.INBOUND: "to", Direction.OUTBOUND: "from", Direction.TRANSIT: "through the server to"}[
            direction
        ]
        until_now = AT_RISK if drop is None else f"dropped by {DROPS[drop.by].agent} at {said(drop.at)}"
        yield f"{listed(list(protocols))} {way} {said(local)}, {until_now} until now"


def said_if(condition: FixedIf) -> str:
    """What is fixed only if an open assumption falls so, as a sentence."""
    return f"some of it only if {condition.assumption} is {condition.value}; {condition.then}"


def _wrapped(text: str, lead: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _tidy(line: str) -> str:
    """The line without control characters, its spaces kept."""
    return "".join(char if char.isprintable() else " " for char in line).rstrip()
