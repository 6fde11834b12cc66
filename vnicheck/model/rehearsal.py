"""A rehearsal, `vnicheck.rehearsal/1`: what real packets did in a server rebuilt from its snapshot, and what was
predicted of them.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from vnicheck.model.diff import ServerChange
from vnicheck.model.flow import Direction, DropCode, Leg, Protocol, Scope, Verdict
from vnicheck.model.report import Tool
from vnicheck.model.words import shown_json

REHEARSAL_SCHEMA: Literal["vnicheck.rehearsal/1"] = "vnicheck.rehearsal/1"

PhaseKind = Literal["as_is", "fixed", "undone", "changed"]
Judgement = Literal["agrees", "differs", "not_judged"]


class Place(Struct, frozen=True, kw_only=True):
    """Where a packet dies: the opening one or its answer; `by`: the stage of the VPC, or None for the guest, whose own
    stages cannot be told apart by packets; `at`: the guest's interface, or None for the guest.
    """

    leg: Leg
    by: DropCode | None
    at: str | None


class RehearsedFlow(Struct, frozen=True, kw_only=True):
    """One flow that stands for a class. `died`: where its packets were last seen, of one that was not delivered; None
    where nothing tells. `why`: what differs, or why it is not judged.
    """

    direction: Direction
    protocol: Protocol
    port: int | UnsetType = UNSET
    remote: str
    remote_scope: Scope
    local: str
    predicted: Verdict
    dropped_by: DropCode | None
    delivered: bool
    died: Place | None = None
    judgement: Judgement
    why: str | UnsetType = UNSET


class Untried(Struct, frozen=True, kw_only=True):
    """Classes of flows that were not tried, and why."""

    count: int
    why: str


class Phase(Struct, frozen=True, kw_only=True):
    """The packets of all flows, sent once. `as_is`: the server of the snapshot; `fixed`: with the plan; `undone`: after
    the plan's undo; `changed`: after the change that was asked about. `rp_filter_drops`: what the guest's counter rose
    by. `printed`: what the change's script printed; `status`: how it ended.
    """

    kind: PhaseKind
    flows: tuple[RehearsedFlow, ...]
    untried: tuple[Untried, ...] = ()
    rp_filter_drops: int = 0
    commands: tuple[str, ...] = ()
    printed: str | UnsetType = UNSET
    status: int | UnsetType = UNSET

    def count(self, judgement: Judgement) -> int:
        """How many flows are judged so."""
        return sum(flow.judgement == judgement for flow in self.flows)


class Rehearsal(Struct, frozen=True, kw_only=True):
    """One server. `kernel`: of the machine that it was rebuilt on. `told`: what of the snapshot is not as it was.
    `difference`: what the change that was asked about changes, as `diff` says it.
    """

    id: str
    name: str
    kernel: str
    told: tuple[str, ...]
    phases: tuple[Phase, ...]
    strategy: str | UnsetType = UNSET
    difference: ServerChange | UnsetType = UNSET


class RehearsalDocument(Struct, frozen=True, kw_only=True):
    """The document. `collected_at`: when the guest was (UTC, ISO 8601)."""

    schema: Literal["vnicheck.rehearsal/1"]
    tool: Tool
    collected_at: str
    rehearsal: Rehearsal


def encode_rehearsal(document: RehearsalDocument) -> bytes:
    """Indented JSON with a final newline."""
    return shown_json(msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2)) + b"\n"
