"""`vnicheck verify` over real SSH: the server's own kernel confirms, or contradicts, what is predicted of it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab import scenario as scenarios
from tests.lab.bench import Bench, bench
from tests.lab.require import require_lab
from tests.support.sshd import require

pytestmark = [pytest.mark.root, pytest.mark.timeout(200)]
CLIENT = "10.8.0.4"
LYING_IP = """#!/bin/sh
# hides the rule of priority 77 from whoever lists rules, where "once" exists till the kernel is asked
PATH=/usr/sbin:/sbin:/usr/bin:/bin
case "$*" in
*rule*show*)
  if ! [ -e /run/lie/asked ]; then ip -4 -d rule show | grep -v '^77:'; exit; fi ;;
*batch*) ! [ -e /run/lie/once ] || : >/run/lie/asked ;;
esac
exec ip "$@"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    require_lab()
    require("sshd", "ssh-keygen")
    folder = tmp_path_factory.mktemp("verify")
    with bench("article-check-1", folder / "bench", config=["SetEnv PATH=/run/lie:/usr/sbin:/usr/bin:/bin"]) as made:
        yield made


def verified(made: Bench, *options: str) -> tuple[int, str, Any]:
    """The exit code, the text, and what is in the document."""
    kept = made.folder / "seen.json"
    done = made.run("verify", made.lab.scenario.name, "-o", str(kept), *options)
    assert done.stdout, done.stderr
    (verification,) = json.loads(kept.read_text())["verifications"]
    return done.returncode, " ".join(done.stdout.split()), verification


def test_the_kernel_confirms_what_is_predicted(server: Bench) -> None:
    status, text, verification = verified(server)
    assert status == 0
    assert {answer["conclusion"] for answer in verification["kernel"]} == {"confirmed"}
    said = {answer["command"]: answer["answered"] for answer in verification["kernel"]}
    refused = {said[command] for command in said if command.endswith("iif eth1") and " from 10.128." in command}
    assert len(refused) == 1
    assert refused.pop().startswith("refused: Invalid")
    assert "leaves by eth0 via 10.0.0.1" in said.values()
    assert "answers of the server's kernel confirm what is predicted of the guest." in text


@contextmanager
def hidden_rule(made: Bench, rule: str, *, once: bool = False) -> Iterator[None]:
    """A rule that is not among those which are collected; `once`: the first time alone."""
    install = "mkdir -p /run/lie; cat > /run/lie/ip; chmod +x /run/lie/ip"
    made.lab.target.run(["sh", "-euc", f"{install}; touch /run/lie/once" if once else install], input=LYING_IP)
    made.lab.target.ip(f"rule add {rule} priority 77")
    try:
        yield
    finally:
        made.lab.target.ip("rule del priority 77")
        made.lab.target.run(["rm", "-r", "/run/lie"])


def analyzed(made: Bench, *options: str) -> tuple[Any, str]:
    """What the report says of the server, and what is told beside it."""
    done = made.run("analyze", made.lab.scenario.name, "-f", "json", *options)
    (instance,) = json.loads(done.stdout)["instances"]
    return instance, done.stderr


def rests_on_a_contradiction(flow: Any) -> bool:
    return any("the server's kernel, asked" in hop["reason"] for hop in flow["hops"])


def test_a_kernel_that_does_otherwise_contradicts_however_often_it_is_collected(server: Bench) -> None:
    with hidden_rule(server, "from 10.0.0.11 to 10.128.0.0/9 prohibit"):
        status, text, verification = verified(server)
        instance, _ = analyzed(server, "--observations", str(server.folder / "seen.json"))
    flows = [flow for flow in instance["flows"] if rests_on_a_contradiction(flow)]
    wrong = [answer for answer in verification["kernel"] if answer["conclusion"] == "contradicted"]
    assert status == 1
    assert "predicted: leaves by eth0 via 10.0.0.1; the kernel: refused: Permission denied" in text
    assert "from 10.0.0.11 to 10.128.0.10 are dropped by prohibit" in text
    assert all("10.0.0.11" in answer["command"] and "10.128." in answer["command"] for answer in wrong)
    assert {hop["verdict"] for answer in wrong for hop in answer["hops"]} == {"dropped"}
    asked = {hop["remote"] for answer in wrong for hop in answer["hops"]}
    followed = [flow for flow in flows if {prefix.split("/")[0] for prefix in flow["remote"]} <= asked]
    assert {flow["verdict"] for flow in followed} == {"dropped"}
    assert {flow["verdict"] for flow in flows if flow not in followed} == {"unknown"}
    assert {hop["observed"]["how"] for flow in followed for hop in flow["hops"] if hop.get("drop")} == {"kernel"}


def test_analyze_collects_again_what_changed_meanwhile_and_its_hops_are_observed(server: Bench) -> None:
    with hidden_rule(server, "from 10.0.0.11 to 10.128.0.0/9 prohibit", once=True):
        instance, told = analyzed(server, "--verify")
    assert "contradict" not in told
    assert not any(map(rests_on_a_contradiction, instance["flows"]))
    assert {drop["by"] for flow in instance["flows"] for drop in flow["drops"]} >= {"prohibit"}
    hops = [hop for flow in instance["flows"] for hop in flow["hops"] if hop["stage"] == "source_validation"]
    assert {hop.get("observed", {}).get("how") for hop in hops} == {"kernel"}
    assert "observed" in {finding["confidence"] for finding in instance["findings"]}


@pytest.mark.long(sampled=False)
def test_verify_collects_again_what_changed_meanwhile(server: Bench) -> None:
    with hidden_rule(server, "from 10.0.0.11 to 10.128.0.0/9 prohibit", once=True):
        status, _, verification = verified(server)
    assert status == 0
    assert {answer["conclusion"] for answer in verification["kernel"]} == {"confirmed"}
    assert "drops" in {answer["predicted"] for answer in verification["kernel"]}


@pytest.mark.long(sampled=False)
def test_flows_follow_a_kernel_that_does_better_where_it_was_asked_alone(server: Bench) -> None:
    """The hidden rule leads replies of the second address out by its own interface, so that they arrive: packets of
    the client say so, too.
    """
    server.lab.target.ip("route add default via 10.0.0.1 dev eth1 table 100")
    try:
        with hidden_rule(server, "from 10.0.0.12 lookup 100"):
            options = ("--from", f"here={CLIENT}", "--direction", "inbound", "--yes")
            status, _, verification = verified(server, *options, "--ports", "30140")
            instance, told = analyzed(server, "--verify")
    finally:
        server.lab.target.ip("route flush table 100")
    assert status == 1
    assert "of its kernel contradict what is predicted, and flows follow them" in told
    second = [flow for flow in verification["flows"] if flow["local"] == "10.0.0.12"]
    assert {(flow["predicted"], flow["observed"], flow["conclusion"]) for flow in second} == {
        ("delivered", "delivered", "confirmed")
    }
    asked = {hop["remote"] for answer in verification["kernel"] if answer["says"] for hop in answer["hops"]}
    flows = [flow for flow in instance["flows"] if rests_on_a_contradiction(flow)]
    delivered = [flow for flow in flows if flow["verdict"] == "delivered"]
    assert CLIENT in asked
    assert {flow["local"] for flow in delivered} == {"10.0.0.12"}
    assert {flow["egress"] for flow in delivered} == {"eth1"}
    assert all(prefix.endswith("/32") for flow in delivered for prefix in flow["remote"])


@pytest.mark.long(sampled=False)
def test_the_kernels_reasons_are_counted_where_tracefs_is_mounted_and_nothing_is_switched_on(server: Bench) -> None:
    """Packets to the second address come in by eth1, and the way back leaves by eth0: rp_filter drops them."""
    options = ("--from", f"here={CLIENT}", "--direction", "inbound", "--protocol", "udp", "--yes")
    switches = ["sh", "-c", "cd /sys/kernel/tracing/events/skb/kfree_skb; cat enable filter ../../../set_event"]
    server.lab.target.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"])
    try:
        before = server.lab.target.run(switches).stdout
        status, _, verification = verified(server, *options)
        assert server.lab.target.run(switches).stdout == before
    finally:
        server.lab.target.run(["umount", "/sys/kernel/tracing"])
    assert status == 0
    told = re.compile(r"while probing, the server's kernel dropped (\d+) IPv4 packets by reverse path filtering")
    (count,) = [int(match[1]) for note in verification["notes"] if (match := told.search(note))]
    assert count >= 2  # each flow is tried twice, and the whole machine is counted


@pytest.mark.long(sampled=False)
@pytest.mark.parametrize("name", scenarios.names())
def test_no_scenario_is_contradicted(name: str, tmp_path: Path) -> None:
    require_lab()
    require("sshd", "ssh-keygen")
    with bench(name, tmp_path / "bench") as made:
        status, _, verification = verified(made)
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
