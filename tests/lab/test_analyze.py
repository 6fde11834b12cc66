"""End to end: the `vnicheck` program, a real VPC API over HTTP, a real sshd, and real packets that have the last word.

The program runs in the client's network namespace, as a user's would: it reads the stand-in API, connects to the
target over SSH, and predicts. Then every kind of packet is sent both ways, and every verdict must be what packets did.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api import StandIn
from tests.lab import scenario as scenarios
from tests.lab.probe import probe_predicted
from tests.lab.program import DECIDED_BY_CLIENT_PORT, PROGRAM, REPOSITORY, configuration, holds, ssh_arguments
from tests.lab.require import require_lab
from tests.lab.topology import Lab
from tests.lab.world import world_of
from tests.support.asked import asked_of
from tests.support.sshd import Sshd, require
from vnicheck.rehearse.packets import Tried

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]


ALWAYS = {
    "article-check-1",
    "article-check-2",
    "article-check-3",
    "everything-at-once",
    "floating-ip-asymmetric",
    "network-acl",
    "policy-routing",
    "security-groups",
    "vpc-route-drop",
}
"""Scenarios in which each cause of a drop is met, and none is; of the others a sample is taken."""
NAMES = [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.long) for name in scenarios.names()]


class Run(Struct, frozen=True):
    """What the program said, and what packets did."""

    status: int
    report: dict[str, Any]
    stderr: str
    probes: list[Tried]
    calls: list[str]
    unexpected: list[str]
    sessions: int

    @property
    def instance(self) -> dict[str, Any]:
        (instance,) = self.report["instances"]
        return dict(instance)

    def flow(self, wanted: Tried) -> dict[str, Any]:
        """The one class that a probe belongs to."""
        (flow,) = [flow for flow in self.instance["flows"] if holds(flow, wanted)]
        return dict(flow)


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
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The scenarios that the selected tests ask for, several at a time: the probes mostly wait for what never comes."""
    require_lab()
    require("sshd", "ssh-keygen")
    folder = tmp_path_factory.mktemp("analyze")
    wanted = {each["name"] for each in asked_of(request)}
    asked = [name for name in scenarios.names() if name in wanted]
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(asked, pool.map(lambda name: analyze(name, folder / name), asked), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_every_verdict_is_what_packets_did(name: str, runs: dict[str, Run]) -> None:
    run = runs[name]
    assert (run.status, run.stderr) == (0, "")
    assert run.report["complete"] is True
    assert len(run.probes) >= 48
    wrong = []
    for sent in run.probes:
        flow = run.flow(sent)
        reasons = [hop["reason"] for hop in flow["hops"] if hop["outcome"] != "pass"]
        if flow["verdict"] == "unknown" and name in DECIDED_BY_CLIENT_PORT:
            assert all(reason.endswith("decide by the opening side's own port") for reason in reasons)
        elif flow["verdict"] != ("delivered" if sent.delivered else "dropped"):
            wrong.append((sent, flow["verdict"], reasons))
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_one_exec_and_no_call_per_vni(name: str, runs: dict[str, Run]) -> None:
    run = runs[name]
    assert run.unexpected == []
    assert run.sessions == 1
    assert len(run.calls) == len(set(run.calls))
    assert not [call for call in run.calls if "virtual_network_interfaces/" in call or "reserved_ips" in call]
