"""The ledger: what was applied where, and how to undo it. One file a change, in the user's state folder.

A change is recorded before its first step, so that nothing is done that is not written down.
"""

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from vnicheck.apply.errors import ApplyError
from vnicheck.fixes.effects import Effect, PatchVni
from vnicheck.model.cloud import Ref
from vnicheck.model.plan_document import Action
from vnicheck.system.clock import now
from vnicheck.system.files import PRIVATE, UnreadableError, make_private_folder, read_file, replace_file

ChangeStatus = Literal["begun", "applied", "rolled_back", "unconfirmed"]
"""`begun`: not known to have come to an end; `unconfirmed`: whether it is undone could not be told."""

_LARGEST = 64 << 20
_ID = re.compile(r"[a-z0-9-]{6,40}", re.ASCII)


def new_change() -> str:
    """An id that no other change has: the time, and a random part."""
    return f"{now().translate(str.maketrans('T', '-', ':-Z'))}-{secrets.token_hex(3)}"


class LedgerError(ApplyError):
    """The ledger cannot be read or written."""


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of one server. `effects` are what was, or was to be, applied."""

    schema: Literal["vnicheck.change/1"] = "vnicheck.change/1"
    id: str
    begun_at: str
    server: Ref
    region: str = ""
    address: str
    """Where SSH went."""
    strategy: str
    effects: tuple[Effect, ...]
    actions: tuple[Action, ...]
    """All of the plan, persistent ones included."""
    status: ChangeStatus
    ended_at: str = ""
    said: str = ""
    """How it ended, in words."""
    begun: tuple[str, ...] | None = None
    """What was begun, each written down before it was: `timer`, `guest`, `files`, and VNIs' fields as `vni_field` names
    them. None: an older version did not note it.
    """
    found: tuple[str, ...] = ()
    """Configuration files that were there before as they are wanted: they are not ours to undo."""


def vni_field(effect: PatchVni) -> str:
    """A VNI's field, as an entry notes that it was begun."""
    return f"{effect.vni}/{effect.field}"


_decoder = msgspec.json.Decoder(Entry)


class Ledger:
    """The entries in a folder, which is made when the first is written (mode 0700)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of_user(cls) -> "Ledger":
        """That of the user's state folder."""
        from platformdirs import user_state_path

        return cls(user_state_path("vnicheck", appauthor=False) / "ledger")

    def write(self, entry: Entry) -> None:
        """Records the entry as it is now, on disk before this returns. Raises LedgerError."""
        place = self._place(entry.id)
        data = msgspec.json.format(msgspec.json.encode(entry, order="deterministic"), indent=1) + b"\n"
        try:
            make_private_folder(self.folder)
            replace_file(place, data, mode=PRIVATE, durable=True)
        except OSError as error:
            raise LedgerError(f"cannot write the ledger {place}: {error.strerror}") from error

    def read(self, change: str) -> Entry:
        """The entry of a change. Raises LedgerError."""
        if _ID.fullmatch(change) is None:
            raise LedgerError(f"{change[:40]!r} is no change's id; 'vnicheck ledger' lists them")
        place = self._place(change)
        try:
            return _decoder.decode(read_file(place, _LARGEST))
        except FileNotFoundError as error:
            raise LedgerError(f"no change {change} in {self.folder}; 'vnicheck ledger' lists them") from error
        except OSError as error:
            raise LedgerError(f"cannot read {place}: {error.strerror}") from error
        except UnreadableError as error:
            raise LedgerError(str(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise LedgerError(f"{place} is not an entry of the ledger that this version reads: {error}") from error

    def entries(self, unreadable: Callable[[LedgerError], None]) -> list[Entry]:
        """All entries, the oldest first; one that cannot be read is handed to `unreadable`. Raises LedgerError where it
        is not known which there are.
        """
        try:
            names = sorted(os.listdir(self.folder))
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise LedgerError(f"cannot read the ledger {self.folder}: {error.strerror}") from error
        found = []
        for name in names:
            change, dot, ending = name.rpartition(".")
            if f"{dot}{ending}" != ".json":
                continue
            try:
                found.append(self.read(change))
            except LedgerError as error:
                unreadable(error)
        return sorted(found, key=lambda entry: (entry.begun_at, entry.id))

    def _place(self, change: str) -> Path:
        return self.folder / f"{change}.json"
