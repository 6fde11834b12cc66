"""A verification, `vnicheck.verification/1`: what was seen on a server, beside what was predicted of it."""

from typing import Literal

import msgspec
from msgspec import Struct

from vnicheck.model.report import Tool
from vnicheck.model.snapshot import Problem

VERIFICATION_SCHEMA: Literal["vnicheck.verification/1"] = "vnicheck.verification/1"

Conclusion = Literal["confirmed", "contradicted", "not_tested"]


class KernelAnswer(Struct, frozen=True, kw_only=True):
    """One question to the server's kernel about packets of some classes of flows.

    `command`: what anyone can paste there. `predicted` and `answered` in words; `why`: why it is not tested. `flows`:
    how many classes it is about.
    """

    command: str
    predicted: str
    answered: str | None
    conclusion: Conclusion
    flows: int
    why: str | None = None


class Verification(Struct, frozen=True, kw_only=True):
    """One server. `problems`: why it could not be asked."""

    id: str
    name: str
    kernel: tuple[KernelAnswer, ...] = ()
    problems: tuple[Problem, ...] = ()

    def count(self, conclusion: Conclusion) -> int:
        """How many answers come to that."""
        return sum(answer.conclusion == conclusion for answer in self.kernel)


class VerificationDocument(Struct, frozen=True, kw_only=True):
    """The document. `verified_at`: UTC, ISO 8601."""

    schema: Literal["vnicheck.verification/1"]
    tool: Tool
    verified_at: str
    verifications: tuple[Verification, ...]


def encode_verification(document: VerificationDocument) -> bytes:
    """Indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2) + b"\n"
