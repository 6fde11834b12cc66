"""Every scenario of the lab, collected there and rehearsed from that: packets do twice what was predicted once."""

import pytest

from tests.api import StandIn
from tests.lab import scenario as scenarios
from tests.lab.require import require_lab
from tests.lab.topology import Lab
from tests.lab.world import world_of
from vnicheck.cloud.connect import connect
from vnicheck.collect.live import observe_regions
from vnicheck.fixes.planner import plan_server
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import Verdict
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import with_guest
from vnicheck.rehearse.rehearsal import Rehearsing
from vnicheck.rehearse.sandbox import Sandbox

pytestmark = [pytest.mark.root, pytest.mark.timeout(200)]


@pytest.mark.long(24)
@pytest.mark.parametrize("name", scenarios.names())
def test_a_scenario_is_rehearsed_from_what_is_collected_of_it(name: str) -> None:
    require_lab()
    scenario = scenarios.load(name)
    with Lab(scenario) as lab:
        collected = lab.target.run(["sh", "-s"], input=collect_script_text()).stdout
    guest = read_guest(collected.encode(), via="file")
    assert isinstance(guest, Guest)
    with StandIn(world_of(scenario)) as api:
        client = connect(region=None, environ=api.environ, auth=None)
        (region,) = observe_regions([client], [scenario.name], vpc=None, resource_group=None)
    config = Config()
    if scenario.client_ports is not None:
        config = Config(assumptions=Assumptions(client_ports="{}-{}".format(*scenario.client_ports)))
    server = with_guest(region.servers[0], guest)
    proof = plan_server(server, region.fabric, config)
    with Sandbox() as box:
        rehearsing = Rehearsing(box, server, guest, region.fabric, config, tell=lambda _: None)
        phases = [rehearsing.as_is()]
        if proof is not None and proof.effects:
            phases += rehearsing.with_fix(proof)
    for phase in phases:
        assert [flow for flow in phase.flows if flow.judgement == "differs"] == []
        assert all(flow.judgement == "agrees" for flow in phase.flows if flow.predicted is not Verdict.UNKNOWN)
