"""`vnicheck diff` as a process: text and JSON, exit codes, files and folders, and the same bytes each time."""

import json
import subprocess
from pathlib import Path

import jsonschema
import msgspec
import pytest

from tests.support.program import one_line, run
from vnicheck.collect.snapshot_folder import SnapshotFolder
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Problem, Server, Snapshot, encode_snapshot

REFUSED = Problem(code="ssh_refused", message="connection \x1b[31mrefused")


def named(snapshot: Snapshot, *names: str) -> Snapshot:
    """A snapshot with its one server under several names."""
    (server,) = snapshot.servers
    servers = tuple(
        msgspec.structs.replace(server, id=f"id-{name}", name=name, crn=f"crn:{name}", region="us-south")
        for name in names
    )
    return msgspec.structs.replace(snapshot, servers=servers)


def write(folder: Path, snapshot: Snapshot, *, lost: str | None = None) -> Path:
    """As a snapshot folder; the guest of the server `lost` could not be collected."""
    made = SnapshotFolder(folder)
    made.write_cloud("us-south", snapshot)
    for server in snapshot.servers:
        result: Guest | Problem | None = REFUSED if server.name == lost else server.guest
        assert result is not None
        made.write_guest("us-south", server.id, result)
    return folder


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`strict` and `loose` (checks 1 and 2) as files; folders: `old` (a, b, c, strict), `new` (a loose, b lost, d)."""
    folder = tmp_path_factory.mktemp("diff")
    strict, loose = (load_check(check) for check in CHECKS[:2])
    (folder / "strict.json").write_bytes(encode_snapshot(strict))
    (folder / "loose.json").write_bytes(encode_snapshot(loose))
    write(folder / "old", named(strict, "a", "b", "c", "same"))
    servers: list[Server] = [*named(loose, "a").servers, *named(strict, "b", "d", "same").servers]
    write(folder / "new", msgspec.structs.replace(strict, servers=tuple(servers)), lost="b")
    return {name: folder / name for name in ("strict.json", "loose.json", "old", "new")}


def diff(places: dict[str, Path], old: str, new: str, *more: str) -> subprocess.CompletedProcess[str]:
    return run("diff", str(places[old]), str(places[new]), *more)


def test_two_files(places: dict[str, Path]) -> None:
    done = diff(places, "strict.json", "loose.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "gone    ERROR VNC101 strict-reverse-path" in done.stdout
    assert "new     ERROR VNC102 half-seen-connection" in done.stdout
    assert "dropped by rp_filter" in done.stdout
    assert done.stdout.splitlines()[-2].startswith(
        "0 servers the same, 1 changed; findings: 1 error, 1 warning and 1 note new"
    )


@pytest.mark.parametrize(
    ("old", "new", "fail_on", "status"),
    [
        ("strict.json", "loose.json", "error", 1),
        ("strict.json", "strict.json", "note", 0),
        ("loose.json", "strict.json", "error", 1),
        ("old", "new", "error", 1),
        ("old", "old", "note", 0),
    ],
)
def test_only_new_findings_fail(places: dict[str, Path], old: str, new: str, fail_on: str, status: int) -> None:
    assert diff(places, old, new, "--fail-on", fail_on).returncode == status
    unread = 3 if new == "new" else 0  # the guest of one server of it could not be collected
    assert diff(places, old, new).returncode == unread


def test_folders_as_json(places: dict[str, Path]) -> None:
    done = diff(places, "old", "new", "-f", "json")
    assert (done.returncode, done.stderr) == (3, "")
    assert diff(places, "old", "new", "-f", "json").stdout == done.stdout
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(run("schema", "diff").stdout))
    assert document["schema"] == "vnicheck.diff/1"
    assert document["complete"] is False
    servers = {each["name"]: each for each in document["servers"]}
    assert {name: each["presence"] for name, each in servers.items()} == {
        "a": "both", "b": "both", "c": "only_old", "d": "only_new",
    }  # fmt: skip
    assert {name: each["certain"] for name, each in servers.items()} == {"a": True, "b": False, "c": True, "d": True}
    assert [each["code"] for each in servers["b"]["reasons"]["new"]] == ["ssh_refused"]
    assert document["summary"]["same"] == 1
    assert ("VNC101", "gone", True) in {(f["rule"], f["change"], f["certain"]) for f in servers["c"]["findings"]}
    assert ("VNC101", "gone", False) in {(f["rule"], f["change"], f["certain"]) for f in servers["b"]["findings"]}
    assert {flow["old"]["verdict"] for flow in servers["a"]["flows"]} == {"dropped"}


def test_what_could_not_be_compared_is_said(places: dict[str, Path]) -> None:
    done = diff(places, "old", "new")
    assert done.stdout.count("NEW ssh_refused: connection [31mrefused") == 1
    assert "\x1b" not in done.stdout
    assert "gone    ERROR VNC101 strict-reverse-path perhaps: that server could not be" in done.stdout
    assert "c  only in OLD" in done.stdout
    assert "d  only in NEW" in done.stdout
    assert "1 not wholly compared" in " ".join(done.stdout.split())


def test_a_folder_beside_a_file_of_one_of_its_servers(places: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    assert run("snapshot", "a", "--snapshot", str(places["old"]), "-o", str(file)).returncode == 0
    done = run("diff", str(file), str(places["old"]), "-f", "json")
    document = json.loads(done.stdout)
    assert {each["name"]: each["presence"] for each in document["servers"]} == {
        "b": "only_new", "c": "only_new", "same": "only_new",
    }  # fmt: skip


def test_a_region_that_was_not_read_proves_nothing(places: dict[str, Path], tmp_path: Path) -> None:
    old = SnapshotFolder(places["old"]).cloud("us-south")
    unread = msgspec.structs.replace(
        old, servers=(), fabric=msgspec.structs.replace(old.fabric, missing={"servers": "403: not authorized"})
    )
    SnapshotFolder(tmp_path).write_cloud("us-south", unread)
    document = json.loads(run("diff", str(places["old"]), str(tmp_path), "-f", "json").stdout)
    assert {each["certain"] for each in document["servers"]} == {False}
    assert document["servers"][0]["reasons"] == {"new": [{"code": "servers_unread", "message": "403: not authorized"}]}


def test_mutes_hold(places: dict[str, Path], tmp_path: Path) -> None:
    config = tmp_path / "vnicheck.toml"
    config.write_text('[[mute]]\nrule = "VNC102"\nserver = "*"\nreason = "known"\nexpires = 2099-01-01\n')
    done = diff(places, "strict.json", "loose.json", "--config", str(config), "--fail-on", "error")
    assert done.returncode == 0
    assert "ERROR VNC102 half-seen-connection muted" in done.stdout


def test_to_several_places(places: dict[str, Path], tmp_path: Path) -> None:
    done = diff(places, "strict.json", "loose.json", "-f", "text", "-f", f"json={tmp_path / 'diff.json'}")
    assert "VNC101" in done.stdout
    assert json.loads((tmp_path / "diff.json").read_bytes())["summary"]["changed"] == 1
    plain = diff(places, "strict.json", "loose.json", "-o", str(tmp_path / "diff.txt"))
    assert plain.stdout == ""
    assert "→" in (tmp_path / "diff.txt").read_text() or "─►" in (tmp_path / "diff.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["diff", "{strict.json}", "/nonexistent"], "cannot read /nonexistent"),
        (["diff", "{strict.json}"], "Missing argument 'NEW'"),
        (["diff", "{old}", "/"], "no snapshot folder"),
        (["diff", "{old}", "{new}", "--fail-on", "fatal"], "write error, warning or note"),
        (["diff", "{old}", "{new}", "-f", "xml"], "--format 'xml'"),
    ],
)
def test_slips_are_one_line(places: dict[str, Path], arguments: list[str], words: str) -> None:
    done = run(*(places[each[1:-1]].as_posix() if each.startswith("{") else each for each in arguments))
    assert done.returncode == 2
    assert words in one_line(done)


def test_markdown_says_what_the_text_says(places: dict[str, Path], tmp_path: Path) -> None:
    place = tmp_path / "diff.md"
    done = diff(places, "old", "new", "-f", f"markdown={place}")
    assert done.returncode == 3
    text = place.read_text()
    closing = diff(places, "old", "new").stdout.strip().split("\n")[-1]
    assert text.startswith("## vnicheck diff\n")
    assert closing.split("; ")[-1] in text
    assert "### `a`\n" in text
    assert "| gone | 🔴 error | VNC101 " in text
    assert "### `c`, only in OLD\n" in text
    assert "### `d`, only in NEW\n" in text
    assert "- ? NEW: ssh\\_refused: connection" in text
    assert "\x1b" not in text
    assert "`same`" not in text


def test_help_offers_what_is_taken(places: dict[str, Path]) -> None:
    offered = "text, json or markdown"
    assert offered in " ".join(run("diff", "--help", env={"COLUMNS": "200"}).stdout.split())
    assert offered in one_line(diff(places, "old", "new", "-f", "html"))
