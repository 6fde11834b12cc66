"""Plans where containers answer at published ports: no rule for the server's addresses fixes them, and plans say so."""

from typing import Any

import pytest

from tests.support.servers import (
    POLICY_ROUTING,
    POLICY_RULES,
    TWO_DEFAULTS,
    fabric,
    guest,
    link,
    report,
    server,
    two_vnis,
)
from vnicheck.fixes.planner import Proof, plan_server
from vnicheck.guest.parsers.iptables import parse_iptables
from vnicheck.model.config import Config
from vnicheck.model.firewall import Firewall
from vnicheck.model.snapshot import Server

DOCKER = """
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""


def host(routes: str = TWO_DEFAULTS, rules: str | None = None, **more: Any) -> Server:
    chains, strange = parse_iptables(DOCKER)
    links = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"))
    inside = guest(
        *links,
        link("docker0", 2, "172.17.0.1/16", kind="bridge", index=9),
        routes=f"{routes}172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1\n",
        rules=rules,
        sysctls={f"conf/{name}/forwarding": 1 for name in ("eth0", "eth1", "docker0")},
        firewall=Firewall(chains=chains, unmodelled=strange),
        **more,
    )
    return server(*two_vnis(), guest=inside)


def plan(of: Server) -> Proof:
    proof = plan_server(of, fabric(), Config())
    assert proof is not None
    return proof


def test_policy_routing_for_the_servers_own_and_connection_marks_by_hand() -> None:
    proof = plan(host())
    assert proof.document.plan.strategy == "policy-routing"
    stays = {
        flow.ports for index in proof.trial.outcome(proof.effects).remaining for flow in [proof.trial.before[index]]
    }
    assert stays == {("8080",)}
    assert any("connection marks" in words for words in proof.document.unfixed)
    (advice,) = proof.document.by_hand
    made = {step.command for action in proof.document.plan.actions for step in action.steps}
    assert made.isdisjoint(advice.commands)  # of the table that the plan makes, nothing again
    assert advice.commands[-1] == "ip rule add iif docker0 fwmark 0x3eb table 1003 priority 1003"


@pytest.mark.parametrize("strict", [0, 1])
def test_nothing_of_the_vpc_is_loosened_for_them(strict: int) -> None:
    proof = plan(host(POLICY_ROUTING, POLICY_RULES, rp_filter={"eth1": strict}))
    assert (proof.document.plan.strategy, proof.document.plan.actions) == ("none", ())
    assert "connection marks" in (proof.document.plan.why_not or "")
    (advice,) = proof.document.by_hand
    assert ("sysctl -w net/ipv4/conf/eth1/rp_filter=2" in advice.commands) is bool(strict)


def test_a_mark_that_nothing_else_uses() -> None:
    taken = POLICY_RULES + "1001:\tfrom all fwmark 0x3eb lookup main\n"
    (advice,) = plan(host(POLICY_ROUTING, taken)).document.by_hand
    assert any("fwmark 0x3ec " in command for command in advice.commands)


def test_where_others_mark_connections_no_commands_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """amazon-vpc-cni's, say: a connection has one mark, and theirs would be gone."""
    theirs = "*mangle\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p udp -j CONNMARK --set-xmark 0x80/0x80\nCOMMIT\n"
    monkeypatch.setattr("tests.fixes.test_published.DOCKER", theirs + DOCKER)
    (advice,) = plan(host(POLICY_ROUTING, POLICY_RULES)).document.by_hand
    assert advice.commands == ()
    assert "CONNMARK --set-xmark 0x80/0x80" in advice.title


def test_findings_tell_containers_from_the_server_and_an_old_baseline_covers_both() -> None:
    found = [each for each in report(host()).findings if each.rule == "VNC102" and "opens" not in each.headline]
    own, theirs = found
    assert "containers behind 10.0.0.12" in theirs.headline
    assert own.fingerprint != theirs.fingerprint
    assert own.fingerprint in (theirs.aliases or ())
    assert [fix.by_hand for fix in theirs.fixes if fix.commands] == [True]


def test_a_cause_says_that_containers_answer() -> None:
    (cause,) = [each for each in report(host(POLICY_ROUTING, POLICY_RULES)).causes or () if each.severity == "error"]
    assert "containers answer" in cause.title
