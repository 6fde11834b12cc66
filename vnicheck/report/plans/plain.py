"""What a plan names, made fit to stand in a script, a playbook or a path."""

import re

from vnicheck.model.flow import Direction
from vnicheck.model.plan import InstancePlan, Plan
from vnicheck.model.words import one_line

_ADDRESS = re.compile(r"\d+(\.\d+){3}", re.ASCII)
_PATH = re.compile(r"/etc(/[A-Za-z0-9_@:+-][A-Za-z0-9_.@:+-]*)+", re.ASCII)


def said(text: str) -> str:
    """Remote text as one line without control characters, for a comment or a message."""
    return one_line(text, 2000)


def title(instance: InstancePlan) -> str:
    """The server, by name and id."""
    return said(instance.name) if instance.name == instance.id else f"{said(instance.name)} ({said(instance.id)})"


def is_plain_path(path: str) -> bool:
    """Whether it is a file below /etc that bears plain names."""
    return _PATH.fullmatch(path) is not None


def plan_addresses(plan: Plan) -> tuple[str, ...]:
    """The server's own addresses, as far as the plan speaks of them."""
    flows = [flow.local for flow in plan.before if flow.direction is not Direction.TRANSIT]
    return tuple(dict.fromkeys(address for address in flows if _ADDRESS.fullmatch(address)))
