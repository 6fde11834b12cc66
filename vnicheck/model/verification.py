"""A verification, `vnicheck.verification/1`: what was seen on a server, beside what was predicted of it."""

from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from vnicheck.model.flow import Direction, DropCode, Leg, Outcome, Protocol, Stage, Verdict
from vnicheck.model.report import Tool
from vnicheck.model.snapshot import Problem
from vnicheck.model.words import shown_json

VERIFICATION_SCHEMA: Literal["vnicheck.verification/1"] = "vnicheck.verification/1"

Conclusion = Literal["confirmed", "contradicted", "not_tested"]
FlowConclusion = Literal["confirmed", "contradicted", "settled", "not_tested"]
"""`settled`: the prediction is unknown, and what was seen is not."""
How = Literal["kernel", "capture", "probe", "reported"]
"""Who says so: the server's kernel, asked; a capture; packets of ours; a person."""


class AskedHop(Struct, frozen=True, kw_only=True):
    """A predicted hop of one flow of a class. `remote` and `port` stand for those of the class.

    Where the kernel contradicts it: the class's `remotes`, and its `ports` where the kernel was asked about the port;
    and what becomes of the flow of `remote` by the kernel's answer.
    """

    direction: Direction
    protocol: Protocol
    local: str
    remote: str
    port: int | None
    leg: Leg
    stage: Stage
    at: str
    outcome: Outcome
    remotes: tuple[str, ...] | UnsetType = UNSET
    ports: tuple[str, ...] | UnsetType = UNSET
    verdict: Verdict | UnsetType = UNSET
    dropped_by: DropCode | UnsetType = UNSET


class KernelSays(Struct, frozen=True, kw_only=True):
    """A kernel's answer: the packet is taken, or it leaves by `interface` to `gateway` (None: on-link), or it is
    dropped (`drop`), or what follows from the answer is not known (`why`).
    """

    outcome: Literal["taken", "leaves", "drops", "unclear"]
    interface: str | None = None
    gateway: str | None = None
    drop: DropCode | None = None
    why: str | None = None


class KernelAnswer(Struct, frozen=True, kw_only=True):
    """One question to the server's kernel about packets of some classes of flows.

    `command`: what anyone can paste there. `predicted` and `answered` in words; `why`: why it is not tested. `flows`:
    how many classes it is about; `hops`: theirs. `says`: the answer, where it contradicts.
    """

    command: str
    predicted: str
    answered: str | None
    conclusion: Conclusion
    flows: int
    why: str | None = None
    hops: tuple[AskedHop, ...] = ()
    says: KernelSays | None = None


class SeenHop(Struct, frozen=True, kw_only=True):
    """A predicted hop, and what was seen says of it; `why` where that is nothing."""

    leg: Leg
    at: str
    stage: Stage
    outcome: Outcome
    conclusion: FlowConclusion
    assumption: str | None = None
    why: str | None = None


class SeenFlow(Struct, frozen=True, kw_only=True):
    """One flow of which packets were seen. `predicted` and `dropped_by` as in a report; `observed`: what became of it;
    `last_seen`: how far its packets were seen to get; `other_way`: by other interfaces of the server than predicted.
    `control`: the address that the same remote was seen to reach.
    """

    direction: Direction
    protocol: Protocol
    local: str
    remote: str
    port: int | None
    how: How
    predicted: Verdict
    dropped_by: DropCode | None
    observed: Verdict
    last_seen: str
    other_way: bool = False
    conclusion: FlowConclusion
    why: str | None = None
    control: str | None = None
    hops: tuple[SeenHop, ...] = ()


class SeenAssumption(Struct, frozen=True, kw_only=True):
    """An assumption that what was seen says something of. `value`: what it must be for the predictions to agree (of one
    that is confirmed, what it was: older files lack that); `line`: so much for vnicheck.toml, where it is refuted or
    was an open question. `or_else`: other lines of which one alone would do it too. It holds for this server
    while it has `vnis` (ids).
    """

    id: str
    conclusion: Literal["confirmed", "refuted", "suspected", "settled"]
    how: How
    value: bool | str | tuple[str, ...] | None = None
    line: str | None = None
    or_else: tuple[str, ...] = ()
    vnis: tuple[str, ...] = ()


class Verification(Struct, frozen=True, kw_only=True):
    """One server. `problems`: why it could not be asked. `facts`: a digest of its VNIs, routes, rules and sysctls, for
    which what was seen of hops holds. `notes`: what else is to be told of what was seen.
    """

    id: str
    name: str
    kernel: tuple[KernelAnswer, ...] = ()
    flows: tuple[SeenFlow, ...] = ()
    assumptions: tuple[SeenAssumption, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    facts: str = ""

    def conclusions(self) -> Iterator[FlowConclusion]:
        """Of all answers and flows."""
        yield from (answer.conclusion for answer in self.kernel)
        yield from (flow.conclusion for flow in self.flows)

    def count(self, conclusion: FlowConclusion) -> int:
        """How many of them come to that."""
        return sum(each == conclusion for each in self.conclusions())


class VerificationDocument(Struct, frozen=True, kw_only=True):
    """The document. `verified_at`: UTC, ISO 8601."""

    schema: Literal["vnicheck.verification/1"]
    tool: Tool
    verified_at: str
    verifications: tuple[Verification, ...]


def encode_verification(document: VerificationDocument) -> bytes:
    """Indented JSON with a final newline."""
    return shown_json(msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2)) + b"\n"
