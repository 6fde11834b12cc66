"""A snapshot: servers as observed once, from the cloud and from inside. It feeds every command, offline."""

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from vnicheck.model.cloud import Fabric, Ref, ServerKind, Vni
from vnicheck.model.guest import Guest

SCHEMA: Literal["vnicheck.snapshot/1"] = "vnicheck.snapshot/1"


class SnapshotError(ValueError):
    """A file that is not a snapshot which this version reads. The message is one line for the user."""


INTERFACES_UNREAD = "interfaces_unread"
"""The problem of a server that may have more interfaces than are known."""
NOT_RUNNING = frozenset(
    {"deleting", "failed", "maintenance", "pending", "reinitializing", "restarting", "starting", "stopped", "stopping"}
)
"""The API's words for servers that do not run (vpc_v1.py, Instance.StatusEnum and BareMetalServer.StatusEnum)."""


class Problem(Struct, frozen=True, kw_only=True):
    """Why something of a server could not be read: a stable `code` (`ssh_timeout`) and a line for people."""

    code: str
    message: str


NOTHING_KNOWN = Problem(code="nothing_known", message="nothing is known of what becomes of its flows")
"""What keeps a server from being checked of which all facts were read."""


class Server(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One server: its cloud facts, and its guest where it was collected; `problems` say why where it was not."""

    id: str
    name: str
    crn: str
    kind: ServerKind
    vpc: Ref
    zone: str
    region: str = ""
    status: str = "running"
    """The API's word: `running`, `stopped`, ..."""
    profile: str | None = None
    """The profile's name as the API has it (`bx2-2x8`, `bx3d-4x20`, `bx2-metal-96x384`); None where not read."""
    image: str | None = None
    """The image's name that an instance was made from (`ibm-ubuntu-24-04-6-minimal-amd64-1`); None where not read."""
    vnis: tuple[Vni, ...]
    guest: Guest | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def may_run(self) -> bool:
        """Whether it is not known to stand still: a word of tomorrow, or none, may mean that it runs."""
        return self.status not in NOT_RUNNING

    def __post_init__(self) -> None:
        if sum(vni.primary for vni in self.vnis) > 1:
            raise ValueError(f"server {self.name[:60]!r} has two primary interfaces")


class Snapshot(Struct, frozen=True, kw_only=True):
    """The versioned file form. `created_at` is UTC, ISO 8601. `redacted`: its names and addresses are pseudonyms."""

    schema: Literal["vnicheck.snapshot/1"]
    tool_version: str
    created_at: str
    servers: tuple[Server, ...]
    fabric: Fabric
    redacted: bool | UnsetType = UNSET


_decoder = msgspec.json.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The file's bytes: indented JSON with a final newline. The same snapshot gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(snapshot, order="deterministic"), indent=1) + b"\n"


def decode_snapshot(data: bytes) -> Snapshot:
    """The snapshot that `data` holds. Raises SnapshotError with one line that says what is wrong and what to do."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SnapshotError(why_no_document(data, error, schema=SCHEMA, document="snapshot")) from error


def why_no_document(
    data: bytes, error: Exception, *, schema: str, document: str, made_with: str = "'vnicheck snapshot'"
) -> str:
    """Why `data` is no `document` (`snapshot`, `guest file`) of this schema, in one line."""
    try:
        top = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"not JSON, or cut off ({error}); write it anew with {made_with}"
    named = top.get("schema") if isinstance(top, dict) else None
    if not isinstance(named, str):
        return f"JSON, but not a vnicheck {document}: it names no schema; make one with {made_with}"
    if named != schema:
        return f"its schema is {named[:60]!r}, and this version reads {schema!r}"
    return f"not a valid {document}: {error}"


def with_guest(server: Server, result: Guest | Problem | None) -> Server:
    """The server with what collecting its guest gave: the guest, one more problem, or nothing (not collected)."""
    if isinstance(result, Guest):
        return msgspec.structs.replace(server, guest=result)
    if isinstance(result, Problem):
        return msgspec.structs.replace(server, problems=(*server.problems, result))
    return server
