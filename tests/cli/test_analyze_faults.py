"""One run over servers that fail in their several ways: a line for each, the healthy one reported, exit code 3.

Real sshds and a stand-in API on loopback; an SSH configuration leads each server's name to its own port.
"""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api import StandIn, World
from tests.support import patience, program
from tests.support.sshd import Sshd, free_port, generate_key, require

TIMEOUT = 6
FAULTS = {
    "wrong-key": "ssh_auth",
    "refused": "ssh_refused",
    "unknown-key": "ssh_host_key_unknown",
    "silent": "ssh_banner",
    "hangs": "ssh_timeout",
    "not-linux": "guest_not_linux",
    "windows": "guest_not_linux",
}
COLLECTED = Path(__file__).parents[2] / "fixtures" / "cases" / "policy-routing-collected" / "collected.txt"
"""What the script prints on the healthy server, whose interfaces are not those of the machine that the tests run on."""

WINDOWS = "VersionAddendum for_Windows_9.5"
DARWIN = (
    "cat >/dev/null; printf '%s\\n' 'vnicheck-guest/1 begin' '+ uname uname -s' '|Darwin' '|23.0.0' '- uname 0' "
    "'vnicheck-guest/1 end'"
)


class Run(Struct, frozen=True):
    """What the program came to."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    def instances(self) -> dict[str, dict[str, Any]]:
        return {instance["name"]: instance for instance in json.loads(self.stdout)["instances"]}


def run(arguments: list[str], api: StandIn) -> Run:
    start = time.monotonic()
    done = program.run(*arguments, env=api.environ)
    return Run(done.returncode, done.stdout, done.stderr, time.monotonic() - start)


@pytest.fixture(scope="module")
def world() -> World:
    world = World(region="us-south").vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    world.instance(
        "healthy",
        interfaces=[
            {"subnet": "a", "address": "10.0.0.11", "mac": "02:00:05:02:70:58"},
            {"subnet": "a", "address": "10.0.0.12", "mac": "02:00:25:02:70:58"},
        ],
    )
    for number, name in enumerate(FAULTS):
        world.instance(name, interfaces=[{"subnet": "a", "address": f"10.0.0.{20 + number}"}])
    return world


@pytest.fixture(scope="module")
def ssh_arguments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    require("sshd", "ssh-keygen")
    folder = tmp_path_factory.mktemp("faults")
    key = generate_key(folder / "client")
    today = "s/^|2026-[0-9T:-]*Z$/|$(date -u +%FT%TZ)/"  # or its clock would be told to be off
    with (
        Sshd(folder / "healthy", client_key=key, force_command=f'cat >/dev/null; sed "{today}" {COLLECTED}') as healthy,
        Sshd(folder / "other", client_key=generate_key(folder / "stranger")) as wrong_key,
        Sshd(folder / "hangs", client_key=key, force_command="sleep 600") as hangs,
        Sshd(folder / "not-linux", client_key=key, force_command=DARWIN) as not_linux,
        Sshd(folder / "windows", client_key=key, config=[WINDOWS], force_command="exit 1") as windows,
        Sshd(folder / "unknown", client_key=key) as unknown,
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        ports = {
            "healthy": healthy.port,
            "wrong-key": wrong_key.port,
            "refused": free_port(),
            "unknown-key": unknown.port,
            "silent": silent.getsockname()[1],
            "hangs": hangs.port,
            "not-linux": not_linux.port,
            "windows": windows.port,
        }
        config = folder / "config"
        config.write_text(
            "".join(f"Host {name}\n  HostName 127.0.0.1\n  Port {port}\n" for name, port in ports.items())
            + f"Host *\n  User {healthy.user}\n"
        )
        known_hosts = folder / "known_hosts"
        known = [sshd.known_hosts_line() for sshd in (healthy, wrong_key, hangs, not_linux, windows)]
        known_hosts.write_text("\n".join(known) + "\n")
        yield [
            *("-F", str(config), "--known-hosts", str(known_hosts), "-i", str(key)),
            *("--timeout", str(TIMEOUT), "--connect-timeout", "3"),
        ]


def test_each_fault_is_one_line_and_touches_no_other_server(world: World, ssh_arguments: list[str]) -> None:
    with StandIn(world) as api:
        done = run(["analyze", "healthy", *FAULTS, "-f", "json", *ssh_arguments], api)
    assert (done.status, done.stderr) == (3, "")
    assert done.seconds < patience.SECONDS
    instances = done.instances()
    assert {name: [p["code"] for p in instances[name]["problems"]] for name in FAULTS} == {
        name: [code] for name, code in FAULTS.items()
    }
    for name, code in FAULTS.items():
        (problem,) = instances[name]["problems"]
        assert "\n" not in problem["message"]
        assert instances[name]["status"] == ("skipped" if code == "guest_not_linux" else "incomplete")
        assert all(flow["verdict"] != "delivered" for flow in instances[name]["flows"])
    assert instances["healthy"]["problems"] == []
    assert instances["healthy"]["status"] == "analyzed"
    assert json.loads(done.stdout)["complete"] is False


def test_the_text_report_names_each_fault_once(world: World, ssh_arguments: list[str]) -> None:
    with StandIn(world) as api:
        done = run(["analyze", "refused", "unknown-key", "wrong-key", *ssh_arguments], api)
        allowed = run(["analyze", "refused", "--allow-incomplete", *ssh_arguments], api)
    assert (done.status, done.stderr) == (3, "")
    for code in ("ssh_refused", "ssh_host_key_unknown", "ssh_auth"):
        assert done.stdout.count(code) == 1
    assert "Traceback" not in done.stdout
    assert allowed.status == 0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 401}, "401"),
        ({"status": 404}, "404"),
        ({"status": 429, "headers": {"Retry-After": "1"}, "times": None}, "wait a minute"),
        ({"status": 500, "times": None}, "run again later"),
        ({"status": 200, "body": "{ nonsense"}, "not JSON"),
    ],
    ids=lambda value: str(value["status"]) if isinstance(value, dict) else "",
)
def test_an_api_that_fails_is_one_line_and_exit_2(world: World, fault: dict[str, Any], words: str) -> None:
    with StandIn(world) as api:
        api.fail("/instances", **fault)
        done = run(["analyze", "healthy", "-f", "json"], api)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("vnicheck: ")
    assert words in done.stderr


def test_one_429_is_waited_out(world: World, ssh_arguments: list[str]) -> None:
    with StandIn(world) as api:
        api.fail("/instances", status=429, headers={"Retry-After": "1"}, times=1)
        done = run(["analyze", "healthy", "-f", "json", *ssh_arguments], api)
    assert (done.status, done.stderr) == (0, "")


def test_a_list_that_is_forbidden_makes_verdicts_unknown_not_wrong(world: World, ssh_arguments: list[str]) -> None:
    with StandIn(world) as api:
        api.fail("/security_groups", status=403, times=None)
        done = run(["analyze", "healthy", "-f", "json", *ssh_arguments], api)
    assert done.status == 3
    (instance,) = json.loads(done.stdout)["instances"]
    assert instance["status"] == "incomplete"
    assert "security groups" in instance["problems"][0]["message"]
    assert all(flow["verdict"] != "delivered" for flow in instance["flows"])


def test_load_balancers_that_are_forbidden_leave_the_run_complete(
    world: World, ssh_arguments: list[str], tmp_path: Path
) -> None:
    with StandIn(world) as api:
        api.fail("/load_balancers", status=403, times=None)
        done = run(["analyze", "healthy", "-f", "json", *ssh_arguments], api)
        kept = run(["snapshot", "healthy", "-o", str(tmp_path / "snapshot.json"), *ssh_arguments], api)
    assert (done.status, done.stderr) == (0, "")
    assert json.loads(done.stdout)["complete"] is True
    assert (kept.status, kept.stderr) == (0, "")
    assert "403" in json.loads((tmp_path / "snapshot.json").read_bytes())["fabric"]["missing"]["load_balancers"]


def test_thirty_servers_take_no_more_calls_than_one(tmp_path: Path) -> None:
    world = World(region="us-south").vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    for number in range(30):
        world.instance(f"web-{number}", interfaces=[{"subnet": "a", "address": f"10.0.0.{10 + number}"}])
    guests = [f"--guest=web-{number}=/dev/null" for number in range(30)]
    with StandIn(world) as api:
        one = run(["analyze", "web-0", guests[0], "-f", "json"], api)
        calls = len(api.calls)
        thirty = run(["analyze", *(f"web-{number}" for number in range(30)), *guests, "-f", "json"], api)
        assert len(api.calls) == 2 * calls
        assert api.unexpected == []
    assert (one.status, thirty.status) == (3, 3)
    assert {p["code"] for i in thirty.instances().values() for p in i["problems"]} == {"guest_unreadable"}
