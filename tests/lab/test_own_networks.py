"""Servers with networks of their own behind them (a tailnet, pods, containers, a transparent proxy): every verdict is
what packets did, before the plan of `fix` and after it, and the plan changes no flow of those networks.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.lab import own_networks as own
from tests.lab.bench import bench
from tests.lab.probe import probe_predicted
from tests.lab.program import configuration, holds
from tests.lab.require import require_lab
from tests.support.asked import asked_of
from tests.support.sshd import require
from vnicheck.rehearse.network import Direction
from vnicheck.rehearse.packets import Tried

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]


class Packets(Struct, frozen=True):
    """What packets did."""

    tried: list[Tried]
    own: dict[own.Flow, bool]


class Run(Struct, frozen=True):
    """What the program said, and what packets did, before its plan was carried out and after it."""

    instance: dict[str, Any]
    plan: dict[str, Any]
    before: Packets
    after: Packets


def packets(lab: own.OwnLab) -> Packets:
    return Packets(probe_predicted(lab), lab.try_own())


def try_plan(name: str, folder: Path) -> Run:
    scenario = own.load(name)
    with bench(scenario, folder, build=own.OwnLab) as server:
        lab = server.lab
        assert isinstance(lab, own.OwnLab)
        before = packets(lab)
        said = server.run("analyze", name, "-f", "json", *configuration(scenario, folder))
        (instance,) = json.loads(said.stdout)["instances"]
        done = server.fix()
        assert done.returncode in {0, 1}, done.stderr
        (fixed,) = json.loads(done.stdout)["instances"]
        return Run(instance, fixed["plan"], before, packets(lab))


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The scenarios that the selected tests ask for, several at a time: the probes mostly wait for what never comes."""
    require_lab()
    require("sshd", "ssh-keygen")
    folder = tmp_path_factory.mktemp("own")
    asked = sorted({str(each["name"]) for each in asked_of(request)})
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(asked, pool.map(lambda name: try_plan(name, folder / name), asked), strict=True))


def as_tried(scenario: own.OwnScenario, flow: own.Flow, delivered: bool) -> Tried | None:
    """An own flow that is one between a client and an address of a VNI; None where it is not."""
    addresses = {address for vni in scenario.vnis for address in vni.addresses}
    direction: Direction = "inbound" if flow.answerer in addresses else "outbound"
    local, remote = (flow.answerer, flow.opener) if direction == "inbound" else (flow.opener, flow.answerer)
    if local not in addresses or remote not in scenario.clients.addresses:
        return None
    return Tried(
        direction=direction, protocol=flow.protocol, remote=remote, local=local, port=flow.port, delivered=delivered
    )


def judged(scenario: own.OwnScenario, flows: list[dict[str, Any]], seen: Packets) -> Iterator[tuple[Tried, str]]:
    """Each flow that is one of a VNI, with its verdict."""
    more = [as_tried(scenario, flow, delivered) for flow, delivered in seen.own.items()]
    for tried in [*seen.tried, *(each for each in more if each is not None)]:
        for flow in flows:
            if holds(flow, tried):
                yield tried, flow["verdict"]


ALWAYS = "pods-led-out"
NAMES = [ALWAYS, *(pytest.param(name, marks=pytest.mark.long) for name in own.names() if name != ALWAYS)]


@pytest.mark.parametrize("name", NAMES)
def test_packets_do_what_the_scenario_says(name: str, runs: dict[str, Run]) -> None:
    scenario, before = own.load(name), runs[name].before
    expected = scenario.expected()
    for sent in before.tried:
        kind = scenario.kind_of(sent.protocol, sent.port)
        assert sent.delivered == expected[sent.direction, kind, sent.remote, sent.local], sent
    assert before.own == scenario.own_flows()


@pytest.mark.parametrize("name", NAMES)
def test_every_verdict_is_what_packets_did(name: str, runs: dict[str, Run]) -> None:
    run, scenario = runs[name], own.load(name)
    for flows, seen in ((run.instance["flows"], run.before), (run.plan["after"], run.after)):
        found = list(judged(scenario, flows, seen))
        assert len(found) >= len(seen.tried)
        wrong = [(tried, said) for tried, said in found if said != ("delivered" if tried.delivered else "dropped")]
        assert [each for each in wrong if each[1] != "unknown"] == []
        assert len(wrong) <= scenario.unknown, wrong


@pytest.mark.parametrize("name", NAMES)
def test_the_plan_changes_no_flow_of_own_networks(name: str, runs: dict[str, Run]) -> None:
    run, scenario = runs[name], own.load(name)
    behind = {address for peer in scenario.peers for address in peer.addresses}
    for flow, delivered in run.before.own.items():
        of_peer = flow.opener in behind or flow.answerer in behind
        assert run.after.own[flow] == delivered or (delivered is False and not of_peer), flow
    for old, new in zip(run.before.tried, run.after.tried, strict=True):
        assert new.delivered or not old.delivered, old
    assert run.plan["fixed"] > 0
    assert run.plan["broken"] == 0
    assert sum(each.delivered for each in run.after.tried) > sum(each.delivered for each in run.before.tried)


@pytest.mark.parametrize("name", NAMES)
def test_findings(name: str, runs: dict[str, Run]) -> None:
    found = {finding["rule"] for finding in runs[name].instance["findings"]}
    assert set(own.load(name).rules) <= found
