"""A snapshot as a folder: what was written is read, file by file, and what is none is refused with one clear line."""

import json
import os
import resource
from pathlib import Path

import msgspec
import pytest

from tests.support.servers import COLLECTED, fabric, guest, server
from vnicheck.collect.snapshot_folder import SnapshotFolder
from vnicheck.model.guest import Guest
from vnicheck.model.guest_file import decode_guest_file, encode_guest_file
from vnicheck.model.snapshot import SCHEMA, Problem, Snapshot, SnapshotError

REFUSED = Problem(code="ssh_refused", message="connection refused")


def observed(*ids: str) -> Snapshot:
    servers = tuple(msgspec.structs.replace(server(), id=each, name=f"name-{each}") for each in ids)
    return Snapshot(schema=SCHEMA, tool_version="1", created_at=COLLECTED, servers=servers, fabric=fabric())


def filled(path: Path) -> SnapshotFolder:
    """Two regions; of the first one server was collected, one failed, and one was not tried."""
    folder = SnapshotFolder(path)
    folder.write_cloud("us-south", observed("0717_a", "0717_b", "0717_c"))
    folder.write_guest("us-south", "0717_a", guest())
    folder.write_guest("us-south", "0717_b", REFUSED)
    folder.write_cloud("eu-de", observed("02b7_d"))
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    filled(tmp_path / "fleet")
    folder = SnapshotFolder.open(tmp_path / "fleet")
    assert folder.regions() == ["eu-de", "us-south"]
    assert folder.cloud("us-south") == observed("0717_a", "0717_b", "0717_c")
    assert folder.guest("us-south", "0717_a") == guest()
    assert folder.guest("us-south", "0717_b") == REFUSED
    assert folder.guest("us-south", "0717_c") is None
    first, second, third = folder.servers("us-south")
    assert (first.guest, first.problems) == (guest(), ())
    assert (second.guest, second.problems) == (None, (REFUSED,))
    assert (third.guest, third.problems) == (None, ())
    assert [each.id for each in folder.servers("eu-de")] == ["02b7_d"]


def test_the_layout_is_as_fixed(tmp_path: Path) -> None:
    filled(tmp_path)
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == [
        "eu-de/cloud.json",
        "us-south/cloud.json",
        "us-south/guests/0717_a.json",
        "us-south/guests/0717_b.json",
    ]
    document = json.loads((tmp_path / "us-south/guests/0717_b.json").read_bytes())
    problem = {"code": "ssh_refused", "message": "connection refused"}
    assert document == {"schema": "vnicheck.guest/1", "server": "0717_b", "problem": problem}
    assert set(json.loads((tmp_path / "us-south/guests/0717_a.json").read_bytes())) == {"schema", "server", "guest"}


def test_guests_of_the_snapshot_stay_out_of_the_clouds_file(tmp_path: Path) -> None:
    with_guest = msgspec.structs.replace(observed(), servers=(server(guest=guest()),))
    folder = SnapshotFolder(tmp_path)
    folder.write_cloud("us-south", with_guest)
    assert [each.guest for each in folder.cloud("us-south").servers] == [None]


def test_a_second_write_replaces_the_first_whole(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    folder.write_guest("us-south", "0717_b", guest())
    assert folder.guest("us-south", "0717_b") == guest()
    assert [name for name in os.listdir(tmp_path / "us-south/guests") if "partial" in name] == []


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    folder = filled(tmp_path)

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(SnapshotError, match=r"0717_b\.json: File too large"):
            folder.write_guest("us-south", "0717_b", guest())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert folder.guest("us-south", "0717_b") == REFUSED
    assert sorted(os.listdir(tmp_path / "us-south/guests")) == ["0717_a.json", "0717_b.json"]


def test_a_region_without_a_name(tmp_path: Path) -> None:
    SnapshotFolder(tmp_path).write_cloud("", observed("a"))
    folder = SnapshotFolder.open(tmp_path)
    assert folder.regions() == ["region"]
    assert [each.id for each in folder.servers("region")] == ["a"]


@pytest.mark.parametrize(
    "name", ["../../up", "..", ".", "", ".hidden", "a/b", "a\0b", "über", "a%2Fb", "x" * 60 + "\n"]
)
def test_any_name_stays_inside_the_folder(tmp_path: Path, name: str) -> None:
    folder = SnapshotFolder(tmp_path / "fleet")
    folder.write_cloud(name or "r", observed(name))
    folder.write_guest(name or "r", name, REFUSED)
    assert SnapshotFolder.open(tmp_path / "fleet").regions() == [name or "r"]
    assert [each.problems for each in folder.servers(name or "r")] == [(REFUSED,)]
    assert os.listdir(tmp_path) == ["fleet"]
    (region,) = os.listdir(tmp_path / "fleet")
    assert sorted(os.listdir(tmp_path / "fleet" / region)) == ["cloud.json", "guests"]
    assert len(os.listdir(tmp_path / "fleet" / region / "guests")) == 1


def test_names_that_differ_have_files_that_differ(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    for name in ("a/b", "a%2Fb", "a_b", "a.b"):
        folder.write_guest("r", name, msgspec.structs.replace(REFUSED, message=name))
    for name in ("a/b", "a%2Fb", "a_b", "a.b"):
        assert folder.guest("r", name) == msgspec.structs.replace(REFUSED, message=name)


@pytest.mark.parametrize(
    ("spoilt", "data", "words"),
    [
        ("us-south/cloud.json", b"{", "us-south/cloud.json: not JSON, or cut off"),
        ("us-south/guests/0717_a.json", b"", "0717_a.json: not JSON, or cut off"),
        ("us-south/guests/0717_a.json", encode_guest_file("0717_a", guest())[:-40], "not JSON, or cut off"),
        ("us-south/guests/0717_a.json", encode_guest_file("0717_b", guest()), "it is of the server '0717_b'"),
        ("us-south/guests/0717_a.json", b'{"schema": "vnicheck.guest/2"}', "this version reads 'vnicheck.guest/1'"),
        ("us-south/guests/0717_a.json", b'{"schema": "vnicheck.guest/1", "server": "0717_a"}', "a guest or a problem"),
        ("us-south/guests/0717_a.json", b"[]", "not a vnicheck guest file"),
    ],
)
def test_a_spoilt_file_is_one_clear_line(tmp_path: Path, spoilt: str, data: bytes, words: str) -> None:
    folder = filled(tmp_path)
    (tmp_path / spoilt).write_bytes(data)
    with pytest.raises(SnapshotError, match=words) as caught:
        list(folder.servers("us-south"))
    assert "\n" not in str(caught.value)
    assert str(caught.value).count(spoilt) == 1


def test_what_is_no_snapshot_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, words in (
        (tmp_path, "no snapshot folder"),
        (tmp_path / "absent", "no snapshot folder"),
        (tmp_path / "file", "Not a directory"),
    ):
        with pytest.raises(SnapshotError, match=words):
            SnapshotFolder.open(path)


def test_a_guest_file_survives_its_bytes() -> None:
    for result in (guest(), REFUSED, Guest(collected_at=COLLECTED)):
        data = encode_guest_file("id", result)
        assert decode_guest_file(data).result == result
        assert encode_guest_file("id", decode_guest_file(data).result) == data


def test_a_region_that_was_copied_in_part_is_told(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    for region in ("eu-de", "us-south"):
        folder.write_cloud(region, observed("a"))
        folder.write_guest(region, "a", REFUSED)
    (tmp_path / "eu-de" / "cloud.json").unlink()
    with pytest.raises(SnapshotError, match=r"eu-de has guests, but no cloud\.json; collect it again"):
        SnapshotFolder.open(tmp_path)
