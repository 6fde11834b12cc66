"""Expectations and mutes through the program: exit codes with --fail-on, and what goes to stderr."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support import program
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.snapshot import encode_snapshot

NETWORKS = '[networks]\nclients = ["10.8.0.0/16"]\n'
WEB = '[[expect]]\nserver = "server"\nto = "eth1"\nfrom = "clients"\nport = 80\nverdict = "delivered"\n'
FIRST = WEB.replace("eth1", "eth0")
NEVER = "2999-12-31"


def mutes(*rules: str, server: str = "server", expires: str = NEVER) -> str:
    return "".join(
        f'[[mute]]\nrule = "{rule}"\nserver = "{server}"\nreason = "known"\nexpires = {expires}\n' for rule in rules
    )


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Check 1 of the article."""
    file = tmp_path_factory.mktemp("snapshots") / "check-1.json"
    file.write_bytes(encode_snapshot(load_check(CHECKS[0])))
    return file


def run(folder: Path, snapshot: Path, toml: str, *more: str, command: str = "analyze") -> Any:
    (folder / "vnicheck.toml").write_text(NETWORKS + toml)
    return program.run(command, "server", "--snapshot", str(snapshot), *more, folder=folder)


def errors(done: Any) -> list[str]:
    """The rules of the errors that count."""
    (instance,) = json.loads(done.stdout)["instances"]
    return [
        finding["rule"] for finding in instance["findings"] if finding["severity"] == "error" and "muted" not in finding
    ]


def test_a_violated_expectation_fails_where_failing_is_asked_for(tmp_path: Path, snapshot: Path) -> None:
    done = run(tmp_path, snapshot, mutes("VNC101") + WEB, "-f", "json", "--fail-on", "error")
    assert (done.returncode, errors(done), done.stderr) == (1, ["VNC501"], "")
    assert run(tmp_path, snapshot, mutes("VNC101") + WEB).returncode == 0


def test_a_fulfilled_expectation_does_not(tmp_path: Path, snapshot: Path) -> None:
    done = run(tmp_path, snapshot, mutes("VNC101") + FIRST, "-f", "json", "--fail-on", "error")
    assert (done.returncode, errors(done), done.stderr) == (0, [], "")


def test_what_is_expected_to_be_dropped_does_not(tmp_path: Path, snapshot: Path) -> None:
    drops = "".join(
        WEB.replace("clients", "0.0.0.0/0")
        .replace("port = 80", f'protocol = "{protocol}"')
        .replace("delivered", "dropped")
        for protocol in ("tcp", "udp", "icmp")
    )
    assert run(tmp_path, snapshot, "", "--fail-on", "error").returncode == 1
    done = run(tmp_path, snapshot, drops, "-f", "json", "--fail-on", "error")
    assert (done.returncode, errors(done), done.stderr) == (0, [], "")


def test_muted_findings_do_not_count_and_are_counted_apart(tmp_path: Path, snapshot: Path) -> None:
    done = run(tmp_path, snapshot, mutes("VNC101"), "-f", "json", "--fail-on", "error")
    assert (done.returncode, errors(done), done.stderr) == (0, [], "")
    summary = json.loads(done.stdout)["summary"]
    assert (summary["muted"], summary["findings"]["error"]) == (1, 0)


def test_expired_mutes_do_not_hold(tmp_path: Path, snapshot: Path) -> None:
    done = run(tmp_path, snapshot, mutes("VNC101", expires="2020-01-01"), "--fail-on", "error")
    assert done.returncode == 1
    assert "(muted until 2020-01-01)" in " ".join(done.stdout.split())
    whole = run(tmp_path, snapshot, mutes("VNC101", expires="2020-01-01"), "--explain")
    assert "It was muted until 2020-01-01: known." in " ".join(whole.stdout.split())
    assert done.stderr == (
        "vnicheck: note: [[mute]] 1 (VNC101 on server): it expired on 2020-01-01: what it muted counts again; fix "
        "that, or renew the mute\n"
    )


def test_useless_and_expiring_mutes_are_a_line_each_on_stderr(tmp_path: Path, snapshot: Path) -> None:
    soon = (datetime.now(UTC) + timedelta(days=5)).date().isoformat()
    toml = mutes("VNC105") + mutes("VNC101", expires=soon) + mutes("VNC101", server="web-*")
    done = run(tmp_path, snapshot, toml, "--fail-on", "error")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "vnicheck: note: [[mute]] 1 (VNC105 on server): it mutes nothing; remove it",
        f"vnicheck: note: [[mute]] 2 (VNC101 on server): it expires on {soon}; fix what it mutes, or renew it",
    ]


def test_a_trace_knows_both(tmp_path: Path, snapshot: Path) -> None:
    flow = ("--from", "10.8.0.4", "--to", "10.0.0.12", "--port", "80", "--fail-on", "error")
    muted = mutes("VNC101")
    for toml, status in (("", 1), (muted, 0), (muted + WEB, 1), (muted + FIRST, 0)):
        assert run(tmp_path, snapshot, toml, *flow, command="trace").returncode == status


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (WEB.replace("clients", "client"), "[[expect]] 1: 'client' is no network, scope, CIDR or address; there are "),
        (WEB + WEB.replace("port", "prot"), "[[expect]] 2: 'prot' is not a setting; did you mean 'port'?"),
        (mutes("ABRACADABRA"), "[[mute]] 1: no rule 'ABRACADABRA'; 'vnicheck rules' lists them"),
        (mutes("VNC101", expires='"2999-12-31"'), "[[mute]] 1: 'expires': write a date without quotes, as 2026-12-31"),
    ],
)
def test_what_means_nothing_is_one_line(tmp_path: Path, snapshot: Path, toml: str, message: str) -> None:
    done = run(tmp_path, snapshot, toml)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"vnicheck: {tmp_path / 'vnicheck.toml'}: {message}")
    assert done.stderr.count("\n") == 1


def test_every_server_of_a_broken_snapshot_is_held_against_expectations(tmp_path: Path, snapshot: Path) -> None:
    """A guest that was not read: what is expected is unknown, which is not what is expected."""
    whole = load_check(CHECKS[0])
    (server,) = whole.servers
    unread = tmp_path / "unread.json"
    unread.write_bytes(
        encode_snapshot(msgspec.structs.replace(whole, servers=(msgspec.structs.replace(server, guest=None),)))
    )
    by_address = WEB.replace("eth1", "10.0.0.12")
    assert run(tmp_path, unread, by_address).returncode == 3
    done = run(tmp_path, unread, by_address, "-f", "json", "--fail-on", "error")
    assert (done.returncode, errors(done)) == (1, ["VNC501"])
