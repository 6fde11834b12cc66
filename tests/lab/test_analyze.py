"""End to end: the `vnicheck` program, a real VPC API over HTTP, a real sshd, and real packets that have the last word.

The program runs in the client's network namespace, as a user's would: it reads the stand-in API, connects to the
target over SSH, and predicts. Then every kind of packet is sent both ways, and every verdict must be what packets did.
"""

import ipaddress
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api import StandIn
from tests.lab import scenario as scenarios
from tests.lab.namespaces import require_lab
from tests.lab.probe import Probe, probe_predicted
from tests.lab.scenario import Scenario
from tests.lab.topology import Lab
from tests.lab.world import world_of
from tests.sshd import Sshd, require

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

PROGRAM = [sys.executable, "-m", "vnicheck"]
DECIDED_BY_CLIENT_PORT = {"security-groups", "network-acl"}
"""Scenarios whose rules admit an answer only to some ports: vnicheck cannot know which port the opening side takes."""
REPOSITORY = Path(__file__).resolve().parents[2]


class Run(Struct, frozen=True):
    """What the program said, and what packets did."""

    status: int
    report: dict[str, Any]
    stderr: str
    probes: list[Probe]
    calls: list[str]
    unexpected: list[str]
    sessions: int

    @property
    def instance(self) -> dict[str, Any]:
        (instance,) = self.report["instances"]
        return dict(instance)

    def flow(self, wanted: Probe) -> dict[str, Any]:
        """The one class that a probe belongs to."""
        (flow,) = [flow for flow in self.instance["flows"] if holds(flow, wanted)]
        return dict(flow)


def holds(flow: dict[str, Any], probe: Probe) -> bool:
    if (flow["direction"], flow["protocol"], flow["local"]) != (probe.direction, probe.protocol, probe.local):
        return False
    if not any(ipaddress.ip_address(probe.remote) in ipaddress.ip_network(prefix) for prefix in flow["remote"]):
        return False
    ranges = [ports.split("-") for ports in flow.get("ports") or []]
    return probe.port is None or any(int(ends[0]) <= probe.port <= int(ends[-1]) for ends in ranges)


def ssh_arguments(lab: Lab, sshd: Sshd, folder: Path) -> list[str]:
    """Options with which the program reaches the target: bound, like its user's, to the management address."""
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(sshd.known_hosts_line(lab.scenario.locals[0]) + "\n")
    return [
        "--ssh-address",
        "private",
        "--known-hosts",
        str(known_hosts),
        "-i",
        str(sshd.client_key),
        "-F",
        "none",
        "--ssh-user",
        "root",
    ]


def configuration(scenario: Scenario, folder: Path) -> list[str]:
    """What a user would tell: what the lab's spoofing check does, and the clients' ports where they are known."""
    lines = ["[assumptions]", 'spoofing-sibling = "dropped"']
    if scenario.client_ports is not None:
        first, last = scenario.client_ports
        lines.append(f'client-ports = "{first}-{last}"')
    (folder / "vnicheck.toml").write_text("\n".join(lines) + "\n")
    return ["--config", str(folder / "vnicheck.toml")]


def analyze(name: str, folder: Path) -> Run:
    scenario = scenarios.load(name)
    folder.mkdir()
    with (
        Lab(scenario) as lab,
        Sshd(folder / "sshd", address=scenario.locals[0], port=22, prefix=lab.target.prefix()) as sshd,
        lab.client.call(lambda: StandIn(world_of(scenario))) as api,
    ):
        command = [
            *PROGRAM,
            "analyze",
            scenario.name,
            "-f",
            "json",
            "--timeout",
            "30",
            *configuration(scenario, folder),
            *ssh_arguments(lab, sshd, folder),
        ]
        done = lab.client.run(command, cwd=REPOSITORY, env={**os.environ, **api.environ}, timeout=60, check=False)
        assert done.stdout, done.stderr
        return Run(
            status=done.returncode,
            report=json.loads(done.stdout),
            stderr=done.stderr,
            probes=probe_predicted(lab),
            calls=api.lines,
            unexpected=[str(call) for call in api.unexpected],
            sessions=sshd.sessions(),
        )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Every scenario, several at a time: the probes mostly wait for what never comes."""
    require_lab()
    require("sshd", "ssh-keygen")
    folder = tmp_path_factory.mktemp("analyze")
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda name: analyze(name, folder / name), scenarios.names())
        yield dict(zip(scenarios.names(), results, strict=True))


@pytest.mark.parametrize("name", scenarios.names())
def test_every_verdict_is_what_packets_did(name: str, runs: dict[str, Run]) -> None:
    run = runs[name]
    assert (run.status, run.stderr) == (0, "")
    assert run.report["complete"] is True
    assert len(run.probes) >= 54
    wrong = []
    for sent in run.probes:
        flow = run.flow(sent)
        reasons = [hop["reason"] for hop in flow["hops"] if hop["outcome"] != "pass"]
        if flow["verdict"] == "unknown" and name in DECIDED_BY_CLIENT_PORT:
            assert all(reason.endswith("decide by the opening side's own port") for reason in reasons)
        elif flow["verdict"] != ("delivered" if sent.delivered else "dropped"):
            wrong.append((sent, flow["verdict"], reasons))
    assert wrong == []


@pytest.mark.parametrize("name", scenarios.names())
def test_one_exec_and_no_call_per_vni(name: str, runs: dict[str, Run]) -> None:
    run = runs[name]
    assert run.unexpected == []
    assert run.sessions == 1
    assert len(run.calls) == len(set(run.calls))
    assert not [call for call in run.calls if "virtual_network_interfaces/" in call or "reserved_ips" in call]
