"""The documents of `lint`, `analyze` and `fix` as programs read them: with flows and without, whole and in lines."""

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.fleet import BROKEN, WELL, fleet, member, snapshot
from tests.support.program import one_line, run
from vnicheck.model.snapshot import encode_snapshot

OLD = Path(__file__).parents[2] / "fixtures" / "documents-1"
FLOWS = {"flows", "before", "after", "fixed_flows"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("documents") / "snapshot.json"
    path.write_bytes(encode_snapshot(snapshot()))
    return str(path)


def schema(document: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(run("schema", document).stdout))


def keys(value: Any) -> set[str]:
    """All keys of objects, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def without_flows(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: without_flows(value) for key, value in document.items() if key not in FLOWS}
    return [without_flows(each) for each in document] if isinstance(document, list) else document


def test_lint_leaves_flows_out_unless_asked(saved: str) -> None:
    brief = json.loads(run("lint", f"--snapshot={saved}", "-f", "json").stdout)
    whole = json.loads(run("lint", f"--snapshot={saved}", "-f", "json", "--flows").stdout)
    schema("report").validate(brief)
    schema("report").validate(whole)
    assert brief["schema"] == whole["schema"] == "vnicheck.report/2"
    assert not keys(brief) & FLOWS
    assert all(instance["flows"] for instance in whole["instances"] if instance["status"] == "analyzed")
    findings = [finding for instance in whole["instances"] for finding in instance["findings"]]
    assert all(bool(finding["flows"]) is bool(finding["affected"]) for finding in findings)
    brief["generated_at"] = whole["generated_at"]
    assert without_flows(whole) == brief
    error = next(each for each in findings if each["severity"] == "error")
    assert error["affected"][0] | {"remotes": [], "ports": []} == {
        "direction": "inbound",
        "local": "10.0.0.12",
        "ingress": "eth1",
        "egress": "eth0",
        "protocols": error["affected"][0]["protocols"],
        "ports": [],
        "remotes": [],
        "scope": error["affected"][0]["scope"],
    }


def test_lint_writes_a_server_a_line(saved: str, tmp_path: Path) -> None:
    place = tmp_path / "report.jsonl"
    done = run("lint", f"--snapshot={saved}", "-f", f"jsonl={place}", "-f", "json")
    document = json.loads(done.stdout)
    head, *servers, last = lines(place.read_text())
    assert head == {key: document.pop(key) for key in ("schema", "tool", "generated_at")}
    assert servers == document.pop("instances")
    assert last == document
    assert (last["complete"], last["summary"]["findings"]["error"] > 0) == (False, True)


def test_lines_come_as_servers_are_done(tmp_path: Path) -> None:
    """Of a lint whose output nobody waits for: the head and the first servers are there before the last is."""
    path = tmp_path / "many.json"
    path.write_bytes(encode_snapshot(snapshot(*(member(f"web-{number}", BROKEN) for number in range(60)))))
    command = [sys.executable, "-m", "vnicheck", "lint", f"--snapshot={path}", "--workers=1", "-f", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        first = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert process.poll() is None
        process.kill()
    assert first[0]["schema"] == "vnicheck.report/2"
    assert first[1]["findings"]


def test_analyze_keeps_flows_in_either_form(saved: str) -> None:
    document = json.loads(run("analyze", "well", f"--snapshot={saved}", "-f", "json").stdout)
    head, server, last = lines(run("analyze", "well", f"--snapshot={saved}", "-f", "jsonl").stdout)
    assert (head["schema"], [server]) == ("vnicheck.report/2", document["instances"])
    assert server["flows"]
    assert last == {"complete": True, "summary": document["summary"]}


def test_fix_leaves_flows_out_unless_asked(saved: str) -> None:
    command = ("fix", f"--snapshot={saved}", "--dry-run", "-f")
    brief = json.loads(run(*command, "json").stdout)
    whole = json.loads(run(*command, "json", "--flows").stdout)
    schema("plan").validate(brief)
    schema("plan").validate(whole)
    assert brief["schema"] == whole["schema"] == "vnicheck.plan/2"
    assert [instance["name"] for instance in brief["instances"]] == ["web-2", "web-1"]
    assert not keys(brief) & FLOWS
    plan = whole["instances"][0]["plan"]
    assert [plan["before"][index]["verdict"] for index in plan["fixed_flows"]] == ["dropped"] * plan["fixed"]
    assert plan["fixed"] > 0
    assert without_flows(whole) == brief
    head, *plans, last = lines(run(*command, "jsonl").stdout)
    assert (head["schema"], plans) == ("vnicheck.plan/2", brief["instances"])
    assert last == {"complete": False, "summary": {"servers": 6, "plans": 2}}


def test_fix_names_no_broadcast_address_as_what_stays_broken() -> None:
    check = files("vnicheck.demo").joinpath("recorded.json")
    fixed = " ".join(run("fix", f"--snapshot={check}", "--dry-run").stdout.split())
    assert "tcp, udp and icmp to 10.0.0.12, from its subnet, the VPC and other private networks" in fixed
    assert "10.0.0.255" not in fixed


def test_fix_over_processes_writes_the_same(tmp_path: Path) -> None:
    path = tmp_path / "many.json"
    servers = [member(f"web-{number}", BROKEN if number % 2 else WELL) for number in range(9)]
    path.write_bytes(encode_snapshot(snapshot(*servers, fleet()[3])))
    command = ("fix", f"--snapshot={path}", "--dry-run", "--allow-incomplete", "-f")
    for form in ("text", "json", "sh"):
        alone, spread = (run(*command, form, f"--workers={workers}") for workers in (1, 2))
        assert (spread.returncode, spread.stdout, spread.stderr) == (alone.returncode, alone.stdout, alone.stderr)
        assert alone.stdout.count("web-3"), form


def test_fix_takes_processes_or_a_cluster(saved: str) -> None:
    done = run("fix", f"--snapshot={saved}", "--dry-run", "--workers=2", "--dask=local")
    assert (done.returncode, "exclude each other" in one_line(done)) == (2, True)


# --- documents of earlier versions ------------------------------------------------------------------------------------


def test_an_old_snapshot_and_an_old_baseline_are_read() -> None:
    done = run("lint", f"--snapshot={OLD / 'snapshot.json'}", f"--baseline={OLD / 'baseline.json'}", "-f", "json")
    report = json.loads(done.stdout)
    assert report["summary"] | {"muted": 0} == {
        "instances": 5,
        "analyzed": 3,
        "incomplete": 1,
        "skipped": 1,
        "findings": {"error": 0, "note": 0, "warning": 0},
        "muted": 0,
        "known": 7,
    }
    assert (report["baseline"]["gone"], done.returncode) == ([], 3)


def test_an_old_folder_with_its_guest_file_is_read() -> None:
    done = run("analyze", "web-2", f"--snapshot={OLD / 'folder'}", "-f", "json")
    (instance,) = json.loads(done.stdout)["instances"]
    assert (instance["name"], instance["status"], bool(instance["findings"])) == ("web-2", "analyzed", True)


def test_an_old_snapshot_and_an_old_folder_compare() -> None:
    done = run("diff", str(OLD / "folder"), str(OLD / "snapshot.json"), "-f", "json")
    assert json.loads(done.stdout)["summary"]["same"] == 1


def test_an_old_change_in_the_ledger_is_shown(tmp_path: Path) -> None:
    state = tmp_path / "vnicheck"
    state.mkdir()
    (state / "ledger").mkdir(mode=0o700)
    (state / "ledger" / "20261124-083000-abcdef.json").write_bytes(
        (OLD / "ledger" / "20261124-083000-abcdef.json").read_bytes()
    )
    done = run("ledger", "20261124-083000-abcdef", env={"XDG_STATE_HOME": str(tmp_path)})
    assert (done.returncode, "web-1" in done.stdout) == (0, True), done.stderr
