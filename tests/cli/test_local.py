"""`--local` on an instance: a network namespace that is the guest, the metadata service beside it, no key, no SSH."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.api import World
from tests.support.guest_namespace import run_in_namespace
from tests.support.program import one_line, run
from tests.support.sshd import free_port
from vnicheck.guest.local import collect_local
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Problem

ROOT = Path(__file__).parents[2]
MACS = ("02:00:05:02:70:58", "02:00:25:02:70:58")
GUEST = f"""
set -e
ip link set lo up
ip link add eth0 address {MACS[0]} type veth peer name p0
ip link add eth1 address {MACS[1]} type veth peer name p1
for link in eth0 p0 eth1 p1; do ip link set $link up; done
ip addr add 10.0.0.11/24 dev eth0
ip addr add 10.0.0.12/24 dev eth1
ip route add default via 10.0.0.1 dev eth0
for name in all eth0; do echo 0 > /proc/sys/net/ipv4/conf/$name/rp_filter; done
echo 1 > /proc/sys/net/ipv4/conf/eth1/rp_filter
"""
"""The article's guest: replies leave by eth0, and eth1 checks strictly."""


def world() -> World:
    return (
        World(region="us-south")
        .vpc("prod", prefixes=["10.0.0.0/16"])
        .subnet("a", "10.0.0.0/24")
        .instance(
            "web-1",
            interfaces=[
                {"subnet": "a", "address": f"10.0.0.{11 + place}", "mac": mac} for place, mac in enumerate(MACS)
            ],
        )
    )


def on_the_instance(tmp_path: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of vnicheck in the guest's namespace."""
    path = tmp_path / "world.json"
    world().save(path)
    program = f"{sys.executable} -m tests.api.metadata {path} web-1 {sys.executable} -m vnicheck {' '.join(arguments)}"
    out, err, status = (tmp_path / name for name in ("out", "err", "status"))
    # a bare environment: no key, no home, no proxy but one that leads nowhere
    bare = f"env -i PATH={os.environ['PATH']} http_proxy=http://127.0.0.1:1 PYTHONPATH={ROOT}"
    run_in_namespace(f"{GUEST}\ncd {tmp_path}\nset +e\n{bare} {program} > {out} 2> {err}\necho $? > {status}\n")
    return int(status.read_text()), out.read_text(), err.read_text()


def test_an_instance_looks_at_itself(tmp_path: Path) -> None:
    status, out, err = on_the_instance(tmp_path, "analyze", "--local", "-f", "json", "-f", "text=report.txt")
    assert (status, err) == (3, "")
    (instance,) = json.loads(out)["instances"]
    assert (instance["name"], instance["status"], instance["vpc"]["name"]) == ("web-1", "incomplete", "prod")
    matched = [each for each in instance["interfaces"] if each["vni"] is not None]
    assert [each["name"] for each in matched] == ["eth0", "eth1"]
    assert {each["vni"]["protocol_state_filtering_mode"] for each in matched} == {"auto"}
    assert "VNC101" in {finding["rule"] for finding in instance["findings"]}
    verdicts = {flow["verdict"] for flow in instance["flows"]}
    assert verdicts == {"dropped", "unknown"}, "security groups are not known, so nothing is said to be delivered"
    dropped = [flow for flow in instance["flows"] if flow["dropped_by"] == "rp_filter"]
    assert {flow["local"] for flow in dropped} == {"10.0.0.12"}
    told = {problem["message"].partition(":")[0] for problem in instance["problems"]}
    assert {"security groups", "network acls", "routing tables", "public gateways", "floating ips"} <= told
    assert "only by the API" in (tmp_path / "report.txt").read_text()


def test_what_an_instance_saw_of_itself_is_looked_at_elsewhere(tmp_path: Path) -> None:
    status, out, err = on_the_instance(tmp_path, "snapshot", "--local", "-o", "web-1.json")
    assert (status, out) == (3, "")
    assert "security_groups: not told by the metadata service, only by the API" in err
    document = json.loads((tmp_path / "web-1.json").read_bytes())
    assert document["servers"][0]["guest"]["via"] == "local"
    done = run("analyze", "web-1", "--snapshot", str(tmp_path / "web-1.json"), "-f", "json")
    assert done.returncode == 3
    (instance,) = json.loads(done.stdout)["instances"]
    assert "VNC101" in {finding["rule"] for finding in instance["findings"]}


def test_where_no_service_answers() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = run("analyze", "--local", env={"VNICHECK_METADATA_URL": url})
    assert done.returncode == 2
    assert one_line(done).startswith(
        f"no answer from a metadata service at {url}; on an IBM Cloud VPC instance it is off"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["analyze", "web-1", "--local"], "name no server beside it"),
        (["analyze", "--local", "--region", "us-south"], "--region has no meaning with --local"),
        (["analyze", "--local", "--snapshot", "x"], "--snapshot has no meaning with --local"),
        (["analyze", "--local", "--guest", "a=b"], "--guest has no meaning with --local"),
        (["snapshot", "--local", "--all", "-o", "x"], "or --local on the instance itself"),
        (["analyze", "--local"], "VNICHECK_METADATA_URL is not a URL"),
    ],
)
def test_slips_are_one_line(arguments: list[str], words: str) -> None:
    done = run(*arguments, env={"VNICHECK_METADATA_URL": "nowhere"})
    assert done.returncode == 2
    assert words in one_line(done)


def test_the_script_runs_here() -> None:
    result = collect_local(timeout=30)
    assert isinstance(result, Guest)
    assert (result.via, result.os.hostname) == ("local", os.uname().nodename)


@pytest.mark.parametrize(
    ("path", "script", "words"),
    [
        ("/nonexistent", None, "no shell to run the collect script here: No such file or directory"),
        (None, "exit 3", "the collect script printed nothing here"),
        (None, "sleep 20", "the collect script did not end here in 0.5 seconds"),
        (None, "echo hello", "not"),
    ],
)
def test_a_script_that_does_not_run_is_the_guests_problem(
    monkeypatch: pytest.MonkeyPatch, path: str | None, script: str | None, words: str
) -> None:
    if path is not None:
        monkeypatch.setenv("PATH", path)
    if script is not None:
        monkeypatch.setattr("vnicheck.guest.local.collect_script_text", lambda: script)
    result: Any = collect_local(timeout=0.5)
    assert isinstance(result, Problem)
    assert result.code == "guest_unreadable"
    assert words in result.message
