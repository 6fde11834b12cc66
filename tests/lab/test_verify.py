"""`vnicheck verify` over real SSH: the server's own kernel confirms, or contradicts, what is predicted of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import scenario as scenarios
from tests.lab.bench import Bench, bench
from tests.lab.require import require_lab
from tests.support.sshd import require

pytestmark = [pytest.mark.root, pytest.mark.timeout(200)]
LYING_IP = """#!/bin/sh
# hides the rule of priority 77 from whoever lists rules
case "$*" in
*rule*show*) PATH=/usr/sbin:/sbin:/usr/bin:/bin ip -4 -d rule show | grep -v '^77:' ;;
*) PATH=/usr/sbin:/sbin:/usr/bin:/bin exec ip "$@" ;;
esac
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    require_lab()
    require("sshd", "ssh-keygen")
    folder = tmp_path_factory.mktemp("verify")
    with bench("article-check-1", folder / "bench", config=["SetEnv PATH=/run/lie:/usr/sbin:/usr/bin:/bin"]) as made:
        yield made


def verified(made: Bench, *options: str) -> tuple[int, Any]:
    done = made.run("verify", made.lab.scenario.name, "-f", "json", *options)
    assert done.stdout, done.stderr
    (verification,) = json.loads(done.stdout)["verifications"]
    return done.returncode, verification


def test_the_kernel_confirms_what_is_predicted(server: Bench) -> None:
    status, verification = verified(server)
    assert status == 0
    assert {answer["conclusion"] for answer in verification["kernel"]} == {"confirmed"}
    said = {answer["command"]: answer["answered"] for answer in verification["kernel"]}
    refused = {said[command] for command in said if command.endswith("iif eth1") and " from 10.128." in command}
    assert len(refused) == 1
    assert refused.pop().startswith("refused: Invalid")
    assert "leaves by eth0" in said.values()


def test_text_says_how_much_is_confirmed(server: Bench) -> None:
    done = server.run("verify", server.lab.scenario.name)
    assert done.returncode == 0
    assert "answers of the server's kernel confirm what is predicted of the guest." in " ".join(done.stdout.split())


def test_a_kernel_that_does_otherwise_contradicts_however_often_it_is_collected(server: Bench) -> None:
    install = "mkdir -p /run/lie; cat > /run/lie/ip; chmod +x /run/lie/ip"
    server.lab.target.run(["sh", "-euc", install], input=LYING_IP)
    server.lab.target.ip("rule add from 10.0.0.11 to 10.128.0.0/9 priority 77 prohibit")
    try:
        status, verification = verified(server)
        analyzed = server.run("analyze", server.lab.scenario.name, "--verify", "-f", "json")
    finally:
        server.lab.target.ip("rule del priority 77")
        server.lab.target.run(["rm", "-r", "/run/lie"])
    wrong = [answer for answer in verification["kernel"] if answer["conclusion"] == "contradicted"]
    assert status == 1
    assert {(answer["predicted"], answer["answered"]) for answer in wrong} >= {
        ("leaves by eth0", "refused: Permission denied")
    }
    doubted = [
        flow
        for flow in json.loads(analyzed.stdout)["instances"][0]["flows"]
        if any("the server's kernel, asked" in hop["reason"] for hop in flow["hops"])
    ]
    assert doubted
    assert "delivered" not in {flow["verdict"] for flow in doubted}
    assert all("10.0.0.11" in answer["command"] and "10.128." in answer["command"] for answer in wrong)


def test_analyze_asks_too_and_its_hops_are_observed(server: Bench) -> None:
    done = server.run("analyze", server.lab.scenario.name, "--verify", "-f", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["instances"][0]
    hops = [hop for flow in report["flows"] for hop in flow["hops"] if hop["stage"] == "source_validation"]
    assert {hop.get("observed", {}).get("how") for hop in hops} == {"kernel"}
    assert "observed" in {finding["confidence"] for finding in report["findings"]}


@pytest.mark.long(24)
@pytest.mark.parametrize("name", scenarios.names())
def test_no_scenario_is_contradicted(name: str, tmp_path: Path) -> None:
    require_lab()
    require("sshd", "ssh-keygen")
    with bench(name, tmp_path / "bench") as made:
        status, verification = verified(made)
    assert verification["kernel"]
    assert [answer for answer in verification["kernel"] if answer["conclusion"] == "contradicted"] == []
    assert status in (0, 3)


def test_a_server_that_cannot_be_reached_is_told(server: Bench) -> None:
    server.sshd.stop()
    done = server.run("verify", server.lab.scenario.name, "--connect-timeout", "1")
    assert done.returncode == 3
    assert "ssh_" in done.stdout


def test_the_document_has_a_schema() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vnicheck", "schema", "verification"], capture_output=True, text=True, check=True
    )
    assert "vnicheck.verification/1" in done.stdout
