"""What collecting one server's guest gave, as a document of its own: a snapshot folder has one for each server."""

from typing import Literal

import msgspec
from msgspec import Struct

from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Problem, SnapshotError, why_no_document

GUEST_SCHEMA: Literal["vnicheck.guest/1"] = "vnicheck.guest/1"


class GuestFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The guest of the server with the id `server`, or the problem that kept it from being read."""

    schema: Literal["vnicheck.guest/1"]
    server: str
    guest: Guest | None = None
    problem: Problem | None = None

    def __post_init__(self) -> None:
        if (self.guest is None) is (self.problem is None):
            raise ValueError("a guest file holds either a guest or a problem")

    @property
    def result(self) -> Guest | Problem:
        """The one of the two that is there."""
        found = self.guest if self.guest is not None else self.problem
        assert found is not None  # noqa: S101 - __post_init__
        return found


_decoder = msgspec.json.Decoder(GuestFile)


def encode_guest_file(server: str, result: Guest | Problem) -> bytes:
    """The file's bytes: indented JSON with a final newline. The same guest gives the same bytes."""
    guest = result if isinstance(result, Guest) else None
    problem = result if isinstance(result, Problem) else None
    document = GuestFile(schema=GUEST_SCHEMA, server=server, guest=guest, problem=problem)
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=1) + b"\n"


def decode_guest_file(data: bytes) -> GuestFile:
    """The guest file that `data` holds. Raises SnapshotError with one line that says what is wrong and what to do."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SnapshotError(why_no_document(data, error, schema=GUEST_SCHEMA, document="guest file")) from error


def read_guest_file(data: bytes, server: str) -> Guest | Problem:
    """What the guest file of a server holds. Raises SnapshotError, also where it is another server's."""
    document = decode_guest_file(data)
    if document.server != server:
        raise SnapshotError(f"it is of the server {document.server[:80]!r}, not of the one that its name says")
    return document.result
