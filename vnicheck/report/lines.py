"""JSON Lines, `-f jsonl`: a header, a server a line as it comes, and what is known only at the end.

A document that is cut short shows that by its last line, which alone has `complete` and `summary`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from vnicheck.model.plan import InstancePlan
from vnicheck.model.plan_document import PLAN_SCHEMA, encode_plan
from vnicheck.model.report import REPORT_SCHEMA, TOOL, InstanceReport, Report, Tool, encode_instance
from vnicheck.model.words import shown_json
from vnicheck.report.writer import Settings

Emit = Callable[[bytes], None]
"""Takes a line, its end included, and writes it at once."""


class _Head(Struct, kw_only=True):
    schema: str
    tool: Tool
    generated_at: str


class JsonLinesWriter:
    """A report. The lines are those of `vnicheck.report/2`: its head, its `instances`, and the rest of its fields."""

    def __init__(self, emit: Emit, settings: Settings) -> None:
        self._emit = emit
        self._flows = settings.flows
        emit(_head(REPORT_SCHEMA, settings.generated_at))

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's report."""
        self._emit(encode_instance(instance, flows=self._flows) + b"\n")

    def close(self, report: Report) -> None:
        """The last line. `report` has all but the instances."""
        fields = msgspec.to_builtins(msgspec.structs.replace(report, instances=()), order="deterministic")
        self._emit(_line({key: value for key, value in fields.items() if key not in _TOLD}))


class PlanLinesWriter:
    """Plans. The lines are those of `vnicheck.plan/2`; the last one counts the servers and those that have a plan."""

    def __init__(self, emit: Emit, generated_at: str, *, flows: bool) -> None:
        self._emit = emit
        self._flows = flows
        emit(_head(PLAN_SCHEMA, generated_at))

    def add(self, plan: InstancePlan) -> None:
        """Takes one server's plan."""
        self._emit(encode_plan(plan, flows=self._flows) + b"\n")

    def close(self, plans: Sequence[InstancePlan], *, servers: int, complete: bool) -> None:
        """The last line. `complete`: every server that runs could be looked at."""
        self._emit(_line({"complete": complete, "summary": {"servers": servers, "plans": len(plans)}}))


_TOLD = {*_Head.__struct_fields__, "instances"}


def _head(schema: str, generated_at: str) -> bytes:
    head = _Head(schema=schema, tool=TOOL, generated_at=generated_at)
    return _line(msgspec.to_builtins(head))


def _line(fields: dict[str, Any]) -> bytes:
    return shown_json(msgspec.json.encode(fields)) + b"\n"
