"""`vnicheck fix` end to end: the plan is applied over SSH and the stand-in API, whose patches the lab's fabric follows,
and real packets then have the last word.
"""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api.faults import Fault
from tests.lab import scenario as scenarios
from tests.lab.bench import Bench, bench
from tests.lab.probe import probe_predicted
from tests.lab.program import DECIDED_BY_CLIENT_PORT, PROGRAM, REPOSITORY, holds
from tests.lab.require import require_lab
from tests.lab.topology import Lab
from tests.support.asked import asked_of
from tests.support.sshd import Sshd, require
from vnicheck.rehearse.packets import Tried

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

HEALTHY = {
    "bare-metal",
    "blackhole",
    "filtering-disabled-on-both",
    "floating-ip-policy-routing",
    "network-acl",
    "policy-routing",
    "public-gateway",
}
"""Scenarios in which nothing is broken that is meant to work."""
HOPELESS = {"secondary-addresses"}
"""Scenarios that no strategy fixes: the guest lacks an address."""
ALONE = {
    "policy-routing": ("three-subnets", "floating-ip-asymmetric", "vpc-route-drop"),
    "rp-filter": ("article-check-1", "policy-table-without-rule", "strict-on-all-only"),
    "state-filtering": (
        "acl-of-another-subnet",
        "article-check-2",
        "article-check-3",
        "filtering-disabled-on-wrong-vni",
        "spoofing-not-allowed",
        "vpc-route-drop",
    ),
}
"""Scenarios that a strategy fixes alone, in part at least; `auto` takes policy routing for most."""
RUNS = [(name, "auto") for name in scenarios.names()] + [(name, how) for how in ALONE for name in ALONE[how]]
EACH_STRATEGY = {("article-check-1", "auto"), ("article-check-1", "rp-filter"), ("article-check-2", "state-filtering")}
"""Runs that are no matter of the sample."""
SAMPLED = [pytest.param(*run, marks=() if run in EACH_STRATEGY else pytest.mark.long) for run in RUNS]


class Fixed(Struct, frozen=True):
    """What the program did, and what packets did after it (none are sent where it did nothing)."""

    status: int
    stdout: str
    stderr: str
    probes: list[Tried]
    unexpected: list[str]

    @property
    def instance(self) -> dict[str, Any]:
        (instance,) = json.loads(self.stdout)["instances"]
        return dict(instance)


def fixed(name: str, strategy: str, folder: Path) -> Fixed:
    with bench(name, folder) as server:
        done = server.fix("--strategy", strategy)
        assert done.stdout, done.stderr
        acted = any(instance["plan"]["actions"] for instance in json.loads(done.stdout)["instances"])
        probes = probe_predicted(server.lab) if acted else []
        return Fixed(done.returncode, done.stdout, done.stderr, probes, list(server.api.unexpected))


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Fixed]:
    """All that the selected tests ask for, several at a time: the probes mostly wait for what never comes."""
    require_lab()
    require("sshd", "ssh-keygen")
    folder = tmp_path_factory.mktemp("fix")
    wanted = {(str(each["name"]), str(each.get("strategy", "auto"))) for each in asked_of(request)}
    asked = [run for run in RUNS if run in wanted]
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda run: fixed(run[0], run[1], folder / "-".join(run)), asked)
        return dict(zip(asked, results, strict=True))


@pytest.mark.parametrize(("name", "strategy"), SAMPLED)
def test_packets_do_what_the_plan_promised(name: str, strategy: str, runs: dict[tuple[str, str], Fixed]) -> None:
    """What it promised is delivered, what worked still is, and every other verdict is what packets did, too."""
    run = runs[name, strategy]
    assert run.unexpected == []
    if name in HEALTHY:
        assert (run.status, json.loads(run.stdout)["instances"]) == (0, [])
        return
    plan = run.instance["plan"]
    if name in HOPELESS:
        assert (run.status, plan["strategy"], plan["actions"]) == (1, "none", [])
        assert plan["why_not"]
        return
    assert run.instance["outcome"]["status"] == "applied", run.stderr
    assert run.status == (1 if plan["remaining"] else 0)
    assert plan["fixed"] > 0
    assert plan["broken"] == 0
    expected = scenarios.load(name).expected()
    promised = [change for change in plan["changes"] if change["fixed"]]
    assert promised
    wrong = []
    for sent in run.probes:
        (flow,) = [flow for flow in plan["after"] if holds(flow, sent)]
        kind = scenarios.load(name).kind_of(sent.protocol, sent.port)
        worked = expected[sent.direction, kind, sent.remote, sent.local]
        if flow["verdict"] == "unknown" and name in DECIDED_BY_CLIENT_PORT:
            continue
        if sent.delivered != (flow["verdict"] == "delivered") or (worked and not sent.delivered):
            wrong.append((sent, flow["verdict"]))
    assert wrong == []


@pytest.mark.long
@pytest.mark.parametrize("name", sorted({name for name, _ in RUNS} - HEALTHY - HOPELESS))
def test_more_packets_get_through_than_before(name: str, runs: dict[tuple[str, str], Fixed]) -> None:
    run = runs[name, "auto"]
    if name == "everything-at-once":
        return  # what its plan fixes, no client of the scenario tries
    scenario = scenarios.load(name)
    before = sum(
        delivered
        for (direction, _, remote, _), delivered in scenario.expected().items()
        if direction == "outbound" or remote not in scenario.clients.service
    )
    assert sum(sent.delivered for sent in run.probes) > before


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Bench]:
    require_lab()
    require("sshd", "ssh-keygen")
    with bench("article-check-2", tmp_path / "bench") as server:
        yield server


@pytest.mark.parametrize("strategy", ["policy-routing", "state-filtering"])
def test_what_was_applied_can_be_rolled_back(server: Bench, strategy: str) -> None:
    before = server.everything()
    done = server.fix("--strategy", strategy)
    assert done.returncode == 0
    assert ("not permanent: the next boot takes it back" in done.stderr) == (strategy == "policy-routing")
    assert server.everything() != before
    listed = server.lab.client.run([*PROGRAM, "ledger"], cwd=REPOSITORY, env=server.environ).stdout
    change, status, name, how = listed.split()
    assert (status, name, how) == ("applied", "article-check-2", strategy)
    done = server.run("rollback", change, "--yes")
    assert (done.returncode, "as it was before" in done.stdout) == (0, True), done.stderr
    assert server.everything() == before
    again = server.run("rollback", change, "--yes")
    assert (again.returncode, "is undone since" in again.stderr) == (0, True)


def cut(server: Bench, words: str, seconds: int, *arguments: str) -> tuple[int, str]:
    """Run a fix; when it says `words`, its sessions are killed and the server cannot be reached for some seconds."""
    process = server.start(
        "fix", "article-check-2", "--yes", "--rollback-after", "5", "--connect-timeout", "2", *arguments
    )
    assert process.stderr is not None
    told = ""
    for line in process.stderr:
        told += line
        if words in line:
            server.lab.target.ip("link set eth0 down")
            server.sshd.kill_sessions()
            time.sleep(seconds)
            server.lab.target.ip("link set eth0 up", *restored(server.lab))
            words = "\0"
    process.wait(60)
    assert words == "\0", told
    assert process.stdout is not None
    return process.returncode, told + process.stdout.read()


def restored(lab: Lab) -> list[str]:
    """What an interface loses that goes down: its gateway's neighbour entry, and the routes by it."""
    return [
        "route replace default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.11 metric 100",
        "neighbour replace 10.0.0.1 lladdr 02:fa:b0:00:00:00 dev eth0 nud noarp",
    ]


@pytest.mark.parametrize("words", ["changing the guest", "connecting anew"])
def test_a_server_that_cannot_be_reached_any_more_undoes_the_change(server: Bench, words: str) -> None:
    before = server.guest()[0]
    status, told = cut(server, words, 8)
    assert status == 4, told
    assert "as it was before" in told
    assert server.guest()[0] == before
    entries = server.lab.client.run([*PROGRAM, "ledger"], cwd=REPOSITORY, env=server.environ).stdout
    assert "rolled_back" in entries


def test_a_program_that_is_killed_leaves_it_to_the_servers_timer(server: Bench) -> None:
    """And the next run tells of what it does not know the end of."""
    before = server.guest()
    process = server.start("fix", "article-check-2", "--yes", "--rollback-after", "5")
    assert process.stderr is not None
    for line in process.stderr:
        if "connecting anew" in line:
            process.send_signal(signal.SIGKILL)
    process.wait(10)
    deadline = time.monotonic() + 10
    while server.guest() != before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert server.guest() == before
    done = server.fix()
    assert "its end is not known: 'vnicheck rollback " in done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_program_that_is_terminated_undoes_what_it_began(server: Bench, number: signal.Signals) -> None:
    """Once both VNIs are changed, and before it can have looked at the server again; by somebody impatient."""
    before = server.everything()
    follow = server.api.on_patch
    second = server.api.world["virtual_network_interfaces"][1]["id"]

    def let_it_wait_after(vni: dict[str, Any]) -> None:
        assert follow is not None
        follow(vni)
        if vni["id"] == second:
            server.sshd.let_wait()

    server.api.on_patch = let_it_wait_after
    process = server.start("fix", "article-check-2", "--yes", "--strategy", "state-filtering")
    assert process.stderr is not None
    told = ""
    for line in process.stderr:
        told += line
        while "connecting anew" in line and process.poll() is None:
            process.send_signal(number)
            time.sleep(0.02)
    server.sshd.let_in()
    assert (process.returncode, "interrupted" in told) == (4, True), told
    assert server.everything() == before


def test_nobody_reads_what_it_says(server: Bench) -> None:
    """The pipe is closed in the middle, and then the API refuses: it is undone, and the exit code says so."""
    before = server.everything()
    second = server.api.world["virtual_network_interfaces"][1]["id"]
    server.api.fail(f"/virtual_network_interfaces/{second}", method="PATCH", status=403)
    process = server.start("fix", "article-check-2", "--yes", "--strategy", "state-filtering")
    assert process.stderr is not None
    assert process.stdout is not None
    for line in process.stderr:
        if "changing" in line:
            break
    process.stderr.close()
    process.stdout.close()
    assert process.wait(30) == 4
    assert server.everything() == before
    entries = server.lab.client.run([*PROGRAM, "ledger"], cwd=REPOSITORY, env=server.environ).stdout
    assert " rolled_back " in entries


def test_the_vpcs_side_is_rolled_back_without_the_server(server: Bench) -> None:
    modes = server.modes()
    assert server.fix("--strategy", "state-filtering").returncode == 0
    assert server.modes() != modes
    server.sshd.stop()
    change = server.lab.client.run([*PROGRAM, "ledger"], cwd=REPOSITORY, env=server.environ).stdout.split()[0]
    done = server.run("rollback", change, "--yes")
    assert (done.returncode, "as it was before" in done.stdout) == (0, True), done.stderr
    assert server.modes() == modes


@pytest.mark.parametrize("status", [403, 409, 500])
def test_the_api_refuses_the_second_patch(server: Bench, status: int) -> None:
    before = server.everything()
    second = server.api.world["virtual_network_interfaces"][1]["id"]
    server.api.fail(f"/virtual_network_interfaces/{second}", method="PATCH", status=status)
    done = server.fix("--strategy", "state-filtering")
    assert done.returncode == 4, done.stderr
    assert json.loads(done.stdout)["instances"][0]["outcome"]["status"] == "rolled_back"
    if status == 403:
        action = "is.virtual-network-interface.virtual-network-interface.manage-protocol-state-filtering-mode"
        assert action in done.stderr
    assert server.everything() == before


@pytest.mark.long
@pytest.mark.parametrize("reader", ["gone", "full"])
@pytest.mark.parametrize("form", ["json", "jsonl", "text"])
def test_the_exit_code_does_not_depend_on_whoever_reads(server: Bench, form: str, reader: str) -> None:
    """The second patch is refused, and so is the undoing of the first. JSON Lines begin before anything is changed."""
    before = server.modes()
    first, second = (vni["id"] for vni in server.api.world["virtual_network_interfaces"])
    server.api.fail(f"/virtual_network_interfaces/{second}", method="PATCH", status=403)
    follow = server.api.on_patch

    def refuse_the_next(vni: dict[str, Any]) -> None:
        assert follow is not None
        follow(vni)
        server.api.faults.append(Fault(f"/virtual_network_interfaces/{first}", method="PATCH", times=None, status=403))

    server.api.on_patch = refuse_the_next
    command = server.command("fix", "article-check-2", "--yes", "--strategy", "state-filtering", "-f", form)
    with open("/dev/full", "w") as full:
        process = server.lab.client.popen(
            command,
            cwd=REPOSITORY,
            env=server.environ,
            stdout=full if reader == "full" else subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    if process.stdout is not None:
        process.stdout.close()
    assert process.stderr is not None
    told = process.stderr.read()
    early = (form, reader) == ("jsonl", "full")
    assert process.wait(60) == (2 if early else 5), told
    assert "Traceback" not in told
    assert (server.modes() == before) is early


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        ["-f", "json=/nonexistent/plan"],
        ["-f", "text", "-f", "sh=/proc/plan"],
        ["-f", "text=/dev"],
        ["-f", "jsonl=/nonexistent/plan"],
        ["-o", "/proc/plans"],
    ],
)
def test_outputs_that_cannot_be_written_are_noticed_before_anything_is_changed(
    server: Bench, arguments: list[str]
) -> None:
    before = server.everything()
    done = server.run("fix", "article-check-2", "--yes", *arguments)
    assert done.returncode == 2, done.stderr
    assert "cannot " in done.stderr.splitlines()[-1]
    assert server.everything() == before
    assert not (server.folder / "state" / "vnicheck" / "ledger").exists()


def test_the_live_state_differs_from_the_planned_one(server: Bench) -> None:
    """Somebody adds a rule while the plan is shown and the user is asked."""
    sshd = server.sshd
    process = server.start("fix", "article-check-2", "--yes")
    while sshd.sessions() < 2:  # collected, and looked at who we are
        time.sleep(0.01)
    server.lab.target.ip("rule add from 10.0.0.12 table 77 priority 77")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 4, told
    assert "is no longer as it was planned for (its policy rules)" in told
    assert "table 1003" not in server.lab.target.run(["ip", "rule"]).stdout


def test_nobody_can_be_asked(server: Bench) -> None:
    before = server.everything()
    done = server.run("fix", "article-check-2")
    assert (done.returncode, "add --yes" in done.stderr) == (2, True), done.stderr
    assert server.everything() == before


def test_a_dry_run_changes_nothing(server: Bench) -> None:
    before = server.everything()
    done = server.run("fix", "article-check-2", "--dry-run", "-f", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["instances"][0]["plan"]["fixed"] == 7
    assert server.everything() == before
    assert not (server.folder / "state").exists()


def test_the_path_of_the_session_itself_is_told(tmp_path: Path) -> None:
    """SSH comes in by the address whose replies are to leave by another interface: the open session does not survive
    that, for the VNI that it moves to has not seen it opened; a new one does, and confirms.
    """
    require_lab()
    with bench("filtering-disabled-on-wrong-vni", tmp_path / "bench") as server:
        second = server.lab.scenario.vnis[1].addresses[0]
        server.lab.set_vni("vni-1", protocol_state_filtering_mode="disabled")
        server.lab.set_vni("vni-2", protocol_state_filtering_mode="auto")
        for vni, mode in zip(server.api.world["virtual_network_interfaces"], ("disabled", "auto"), strict=True):
            vni["protocol_state_filtering_mode"] = mode
        with Sshd(
            tmp_path / "second",
            address=second,
            port=22,
            prefix=server.lab.target.prefix(),
            client_key=server.sshd.client_key,
        ) as sshd:
            config = tmp_path / "ssh_config"
            config.write_text(f"Host 10.0.0.11\n  HostName {second}\n")
            known = tmp_path / "known"
            known.write_text(sshd.known_hosts_line(second))
            arguments = [
                "--ssh-address",
                "private",
                "-F",
                str(config),
                "--known-hosts",
                str(known),
                "--ssh-user",
                "root",
            ]
            done = server.lab.client.run(
                [*PROGRAM, "fix", server.lab.scenario.name, "--yes", *arguments, "-i", str(sshd.client_key)],
                cwd=REPOSITORY,
                env=server.environ,
                timeout=100,
                check=False,
            )
    assert "this changes the path of the SSH session itself (10.8.0.4 to 10.0.0.12)" in done.stderr
    assert done.returncode == 0, done.stderr
