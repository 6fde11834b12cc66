"""Worlds in which the VPC disobeys an assumption: `verify --from` names that one, and what it has seen, fed back,
predicts what packets do.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from tests.lab import scenario as scenarios
from tests.lab.bench import Bench, bench
from tests.lab.probe import probe, probe_predicted
from tests.lab.program import configuration, holds
from tests.lab.require import require_lab
from tests.lab.scenario import Scenario
from tests.support.sshd import require
from vnicheck.rehearse.network import Obeys

pytestmark = [pytest.mark.root, pytest.mark.timeout(200)]
PRIVATE, INTERNET = "10.8.0.4", "203.0.113.9"


class World(Struct, frozen=True, kw_only=True):
    """A scenario, what its VPC obeys instead of what is assumed, and the assumption that is to be named, with its line.

    `config`: a line below [assumptions].
    """

    scenario: str
    obeys: Obeys
    named: str
    line: str | None
    conclusion: str = "refuted"
    change: Callable[[Scenario], Scenario] = lambda scenario: scenario
    config: str = ""
    clients: tuple[str, ...] = (PRIVATE,)


def _mode(mode: Any) -> Callable[[Scenario], Scenario]:
    return lambda scenario: replace(
        scenario, vnis=tuple(replace(vni, protocol_state_filtering_mode=mode) for vni in scenario.vnis)
    )


def _strict_groups(scenario: Scenario) -> Scenario:
    """The groups of the egress VNI let nothing out by themselves."""
    (first, *others) = scenario.security_groups
    return replace(
        scenario,
        security_groups=(replace(first, rules=tuple(r for r in first.rules if r.direction == "inbound")), *others),
    )


def _auto(server: str, value: str) -> str:
    return f'psf-auto = {{ {server} = "{value}" }}'


def _sibling(server: str, value: str) -> str:
    return f'spoofing-sibling = {{ {server} = "{value}" }}'


DROPPED = 'spoofing-sibling = "dropped"'
WORLDS = {
    "auto does not filter": World(
        scenario="article-check-2",
        obeys=Obeys(psf_auto=False),
        named="psf-auto",
        line=_auto("article-check-2", "disabled"),
    ),
    "ICMP is filtered": World(
        scenario="article-check-2",
        obeys=Obeys(psf_protocols=("tcp", "icmp")),
        named="psf-protocols",
        line='psf-protocols = ["tcp", "icmp"]',
    ),
    "UDP is filtered": World(
        scenario="article-check-2",
        obeys=Obeys(psf_protocols=("tcp", "udp")),
        named="psf-protocols",
        line='psf-protocols = ["tcp", "udp"]',
    ),
    "UDP and ICMP are filtered": World(
        scenario="article-check-2",
        obeys=Obeys(psf_protocols=("tcp", "udp", "icmp")),
        named="psf-protocols",
        line='psf-protocols = ["tcp", "udp", "icmp"]',
    ),
    "enabled does not filter": World(
        scenario="article-check-2",
        change=_mode("enabled"),
        obeys=Obeys(psf_opening=False),
        named="psf-opening",
        line="psf-opening = false",
    ),
    "auto filters on bare metal": World(
        scenario="bare-metal",
        obeys=Obeys(psf_auto=True),
        named="psf-auto",
        line=_auto("bare-metal", "enabled"),
    ),
    "spoofing by a sibling passes": World(
        scenario="spoofing-not-allowed",
        obeys=Obeys(spoofing_sibling="passed"),
        named="spoofing-sibling",
        line=_sibling("spoofing-not-allowed", "passed"),
        conclusion="settled",
    ),
    "spoofing by a sibling is dropped": World(
        scenario="spoofing-not-allowed",
        obeys=Obeys(spoofing_sibling="dropped"),
        named="spoofing-sibling",
        line=_sibling("spoofing-not-allowed", "dropped"),
        conclusion="settled",
    ),
    "spoofing by a sibling passes, though the configuration says not": World(
        scenario="spoofing-not-allowed",
        obeys=Obeys(spoofing_sibling="passed"),
        config=DROPPED,
        named="spoofing-sibling",
        line=_sibling("spoofing-not-allowed", "passed"),
    ),
    "spoofing by a sibling is dropped, though the configuration says not": World(
        scenario="spoofing-not-allowed",
        obeys=Obeys(spoofing_sibling="dropped"),
        config='spoofing-sibling = "passed"',
        named="spoofing-sibling",
        line=_sibling("spoofing-not-allowed", "dropped"),
    ),
    "a reply by another floating IP passes": World(
        scenario="floating-ip-asymmetric",
        obeys=Obeys(fip_return=False),
        named="fip-return",
        line="fip-return = false",
        clients=(INTERNET,),
    ),
    "groups know the connections of others": World(
        scenario="security-groups",
        obeys=Obeys(sg_stateless=False),
        change=_strict_groups,
        named="sg-stateless",
        line="sg-stateless = false",
    ),
    "auto does not filter, and spoofing by a sibling passes": World(
        scenario="article-check-2",
        change=lambda scenario: replace(
            scenario, vnis=tuple(replace(vni, allow_ip_spoofing=False) for vni in scenario.vnis)
        ),
        obeys=Obeys(psf_auto=False, spoofing_sibling="passed"),
        named="psf-auto",
        line=_auto("article-check-2", "disabled"),
    ),
    "UDP is filtered where the mode is enabled": World(
        scenario="article-check-2",
        change=_mode("enabled"),
        obeys=Obeys(psf_protocols=("tcp", "udp")),
        named="psf-protocols",
        line='psf-protocols = ["tcp", "udp"]',
    ),
}


@pytest.mark.long(1000)  # the first one stands for all
@pytest.mark.parametrize("name", WORLDS)
def test_the_assumption_is_named_and_fed_back(name: str, tmp_path: Path) -> None:
    require_lab()
    require("sshd", "ssh-keygen")
    world = WORLDS[name]
    scenario = world.change(replace(scenarios.load(world.scenario), name=world.scenario, obeys=world.obeys))
    with bench(scenario, tmp_path / "bench") as made:
        config: tuple[str, ...] = ()
        if world.config:
            (tmp_path / "vnicheck.toml").write_text(f"[assumptions]\n{world.config}\n")
            config = ("--config", str(tmp_path / "vnicheck.toml"))
        seen = tmp_path / "seen.json"
        hosts = [option for client in world.clients for option in ("--from", f"here={client}")]
        done = made.run(
            "verify", world.scenario, "--yes", *hosts, "--ports", str(scenario.ports[0]), "-o", str(seen), *config
        )
        assert done.returncode == (1 if world.conclusion == "refuted" else 0), done.stdout + done.stderr
        (verification,) = json.loads(seen.read_text())["verifications"]
        named = {
            each["id"]: (each["conclusion"], each["line"])
            for each in verification["assumptions"]
            if each["conclusion"] == world.conclusion
        }
        assert named == {world.named: (world.conclusion, world.line)}
        assert_predicts(made, ("--observations", str(seen), *config), world.clients)


def assert_predicts(made: Bench, options: tuple[str, ...], clients: tuple[str, ...]) -> None:
    """What is predicted with observations is what all packets of the clients do, also those not sent before."""
    done = made.run("analyze", made.lab.scenario.name, "-f", "json", *options)
    flows: list[dict[str, Any]] = json.loads(done.stdout)["instances"][0]["flows"]
    tried = probe(made.lab, clients=clients)
    assert tried
    for each in tried:
        (flow,) = [flow for flow in flows if holds(flow, each)]
        assert flow["verdict"] == ("delivered" if each.delivered else "dropped"), (msgspec.to_builtins(each), flow)


@pytest.mark.long(sampled=False)
@pytest.mark.parametrize("name", scenarios.names())
def test_every_row_of_a_scenario_agrees_with_the_packets(name: str, tmp_path: Path) -> None:
    require_lab()
    require("sshd", "ssh-keygen")
    with bench(name, tmp_path / "bench") as made:
        scenario = made.lab.scenario
        config = configuration(scenario, tmp_path)
        clients = [client for client in scenario.clients.addresses if client not in scenario.clients.service]
        hosts = [option for client in clients for option in ("--from", f"here={client}")]
        ports = ("--ports", str(scenario.ports[0]))
        done = made.run("verify", name, "--yes", "-f", "json", *hosts, *ports, *config)
        assert done.stdout, done.stderr
        (verification,) = json.loads(done.stdout)["verifications"]
        truth = {
            (str(flow.direction), str(flow.protocol), flow.remote, flow.local): flow.delivered
            for flow in probe_predicted(made.lab)
            if flow.port in (None, scenario.ports[0])
        }
    # the lab plays no ACL of a client's own subnet: such flows are not in the truth
    rows = [flow for flow in verification["flows"] if (key_of(flow) in truth or flow["observed"] == "unknown")]
    assert any(flow["observed"] != "unknown" for flow in rows)
    assert [flow for flow in rows if flow["conclusion"] == "contradicted"] == []
    if scenario.client_ports is None:
        for flow in rows:
            delivered = truth.get(key_of(flow))
            assert flow["observed"] in ("unknown", "delivered" if delivered else "dropped"), flow


def key_of(flow: dict[str, Any]) -> tuple[str, str, str, str]:
    return flow["direction"], flow["protocol"], flow["remote"], flow["local"]
