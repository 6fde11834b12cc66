"""What changed between two snapshots, `vnicheck.diff/1`: what `diff --format json` writes."""

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from vnicheck.model.finding import Confidence, Severity
from vnicheck.model.flow import Direction, DropCode, Protocol, Scope, Verdict
from vnicheck.model.report import Tool
from vnicheck.model.snapshot import Problem
from vnicheck.model.words import shown_json

DIFF_SCHEMA: Literal["vnicheck.diff/1"] = "vnicheck.diff/1"

Presence = Literal["both", "only_old", "only_new"]


class Answer(Struct, frozen=True, kw_only=True):
    """What is predicted of flows in one of the snapshots."""

    verdict: Verdict
    dropped_by: DropCode | None
    egress: str | None


class FlowChange(Struct, frozen=True, kw_only=True):
    """Flows of which the two snapshots give different answers; every one of them got `old` and gets `new`. None: the
    server has no such flow there (an address of its own came or went).
    """

    direction: Direction
    protocol: Protocol
    ports: tuple[str, ...] | UnsetType = UNSET
    remote: tuple[str, ...]
    remote_scope: Scope
    local: str
    local_prefixes: tuple[str, ...] | UnsetType = UNSET
    old: Answer | None
    new: Answer | None


class FindingChange(Struct, frozen=True, kw_only=True):
    """A finding that is in one snapshot only, or has another severity (`was`) in the new one.

    `certain`: the server was wholly checked in the snapshot that does not have it, so that it surely was not, or is no
    longer, there.
    """

    change: Literal["new", "gone", "severity"]
    certain: bool
    rule: str
    name: str
    severity: Severity
    confidence: Confidence
    message: str
    fingerprint: str
    was: Severity | UnsetType = UNSET
    muted: bool = False


class ServerChange(Struct, frozen=True, kw_only=True):
    """What changed of one server. `certain` false: what follows says why it could not be wholly compared. A server
    that is in one snapshot only may be so because the other never looked: then that is not certain either.
    """

    id: str
    name: str
    crn: str
    presence: Presence
    certain: bool
    reasons: dict[Literal["old", "new"], tuple[Problem, ...]] = {}
    findings: tuple[FindingChange, ...] = ()
    flows: tuple[FlowChange, ...] = ()


class Side(Struct, frozen=True, kw_only=True):
    """One of the two snapshots: when each region's VPC side was read (UTC, ISO 8601), by the region's name."""

    read_at: dict[str, str]


class Summary(Struct, frozen=True, kw_only=True):
    """Counts. `same`: servers of which nothing changed for certain; the others are listed."""

    same: int
    changed: int
    only_old: int
    only_new: int
    uncertain: int
    new_findings: dict[Severity, int]
    """Those that are new or have become worse, without the muted ones."""
    gone_findings: dict[Severity, int]
    """Those that are gone for certain, without the muted ones."""
    changed_flows: int


class Diff(Struct, frozen=True, kw_only=True):
    """The document."""

    schema: Literal["vnicheck.diff/1"]
    tool: Tool
    old: Side
    new: Side
    complete: bool
    summary: Summary
    servers: tuple[ServerChange, ...]


def encode_diff(diff: Diff) -> bytes:
    """Indented JSON with a final newline. The same comparison gives the same bytes."""
    return shown_json(msgspec.json.format(msgspec.json.encode(diff, order="deterministic"), indent=2)) + b"\n"
