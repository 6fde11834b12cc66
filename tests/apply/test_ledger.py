"""What was applied is written down before it is done, for the user alone, and can be read back."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.plans import planned
from vnicheck.apply.ledger import Entry, Ledger, LedgerError
from vnicheck.model.cloud import Ref
from vnicheck.model.plan_document import as_documents


def entry(change: str = "20261124-083000-abcdef", **more: Any) -> Entry:
    proof = planned("loose", "state-filtering")
    fields: dict[str, Any] = {
        "id": change,
        "begun_at": "2026-11-24T08:30:00Z",
        "server": Ref(id="server-id", name="web-1"),
        "address": "10.0.0.11",
        "strategy": "state-filtering",
        "effects": (*planned("strict").effects, *planned("strict", "rp-filter").effects, *proof.effects),
        "actions": as_documents(proof.document.plan.actions),
        "status": "begun",
    }
    return Entry(**(fields | more))


def test_every_kind_of_effect_comes_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state" / "ledger")
    written = entry()
    ledger.write(written)
    assert ledger.read(written.id) == written
    kinds = {type(effect).__name__ for effect in ledger.read(written.id).effects}
    assert kinds == {"AddRoutes", "AddRule", "SetRpFilter", "PatchVni"}


def test_it_is_the_users_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.write(entry())
    (place,) = ledger.folder.iterdir()
    assert (ledger.folder.stat().st_mode & 0o777, place.stat().st_mode & 0o777) == (0o700, 0o600)


def test_the_oldest_comes_first_and_a_broken_one_hides_none(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(entry("20261124-090000-bbbbbb", begun_at="2026-11-24T09:00:00Z"))
    ledger.write(entry("20261124-080000-aaaaaa", begun_at="2026-11-24T08:00:00Z"))
    (tmp_path / "20261124-070000-cccccc.json").write_text("{")
    (tmp_path / "20261124-060000-dddddd.json").write_text('{"schema": "vnicheck.change/9"}')
    told: list[str] = []
    found = ledger.entries(lambda error: told.append(str(error)))
    assert [each.id for each in found] == ["20261124-080000-aaaaaa", "20261124-090000-bbbbbb"]
    assert len(told) == 2
    assert all("this version" in line for line in told)


@pytest.mark.parametrize("change", ["../../etc/passwd", "", "a/b", "20261124-083000-abcdef.json", "x\n"])
def test_an_id_that_is_none(tmp_path: Path, change: str) -> None:
    with pytest.raises(LedgerError, match="no change's id"):
        Ledger(tmp_path).read(change)


def test_a_change_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no change 20261124-083000-abcdef"):
        Ledger(tmp_path).read("20261124-083000-abcdef")
    assert Ledger(tmp_path / "none").entries(lambda error: None) == []


def test_a_ledger_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(LedgerError, match="cannot write the ledger"):
        Ledger(blocked / "ledger").write(entry())


def test_a_write_that_fails_leaves_the_old_entry(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    first = entry()
    ledger.write(first)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # as a full disk
    try:
        with pytest.raises(LedgerError):
            ledger.write(msgspec.structs.replace(first, status="applied"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ledger.read(first.id) == first


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda text: text.replace('"allow_ip_spoofing"', '"deletable"').replace('"protocol_state', '"x_protocol_state'),
        lambda text: text.replace('"actions": [', '"actions": ' + "[" * 5000, 1),
        lambda text: text[:-40],
    ],
    ids=["a field of the VNI that is not ours", "deeply nested", "cut off"],
)
def test_a_spoilt_entry_is_one_line(tmp_path: Path, spoilt: Callable[[str], str]) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(entry())
    (place,) = tmp_path.iterdir()
    place.write_text(spoilt(place.read_text()))
    with pytest.raises(LedgerError, match="not an entry of the ledger that this version reads"):
        ledger.read(place.stem)


def test_a_ledger_that_cannot_be_listed_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    """A file in its place: root may read any folder."""
    (tmp_path / "ledger").write_text("")
    with pytest.raises(LedgerError, match=r"cannot read the ledger .*: Not a directory"):
        Ledger(tmp_path / "ledger").entries(lambda error: None)
