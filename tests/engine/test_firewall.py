"""The guest's firewall in flows, findings' plans and transit; what is assumed where it was not read."""

from typing import Any

import pytest

from tests.support.cases import find
from tests.support.kernel_guests import replaced
from tests.support.servers import fabric, flows, guest, link, report, router, server, transit_fabric, two_vnis
from vnicheck.fixes.planner import plan_server
from vnicheck.guest.parsers.iptables import parse_iptables
from vnicheck.guest.parsers.nftables import parse_nftables
from vnicheck.model.config import Config
from vnicheck.model.firewall import Firewall
from vnicheck.model.flow import Direction, Outcome, Protocol, Stage, Verdict
from vnicheck.model.snapshot import Server

CLOSED = """
*filter
:INPUT DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
"""
PUBLISHED = """
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 10.0.0.12/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""


def read(text: str) -> Firewall:
    chains, strange = parse_iptables(text)
    return Firewall(chains=chains, unmodelled=strange)


def one(text: str | None, **more: Any) -> Server:
    return server(*two_vnis(), guest=guest(firewall=None if text is None else read(text), **more))


def test_what_it_stops_is_unknown_and_its_answers_pass() -> None:
    found = report(one(CLOSED))
    assert find(found, "inbound tcp/22 10.8.0.4 -> 10.0.0.11").verdict is Verdict.DELIVERED
    assert find(found, "outbound tcp/443 10.0.0.11 -> 10.8.0.4").verdict is Verdict.DELIVERED
    flow = find(found, "inbound tcp/443 10.8.0.4 -> 10.0.0.11")
    (doubt,) = [hop for hop in flow.hops if hop.outcome is Outcome.UNKNOWN]
    assert (flow.verdict, doubt.stage) == (Verdict.UNKNOWN, Stage.GUEST_FIREWALL)
    assert "policy drop of chain filter INPUT" in doubt.reason


def test_what_the_fabric_drops_is_dropped_still_and_a_plan_fixes_what_the_firewall_lets_in() -> None:
    of = one(CLOSED)
    flow = find(report(of), "inbound tcp/443 10.8.0.4 -> 10.0.0.12")
    assert flow.verdict is Verdict.DROPPED
    assert Stage.GUEST_FIREWALL in {hop.stage for hop in flow.hops}
    proof = plan_server(of, fabric(), Config())
    assert proof is not None
    assert proof.document.plan.strategy == "policy-routing"
    assert {str(proof.trial.before[index].ports) for index in proof.promised} >= {"('22',)"}


@pytest.mark.parametrize(
    ("rule", "to_first", "to_second"),
    [
        ("fib saddr . iif oif missing drop", False, False),
        ('iifname "eth1" fib saddr . mark . iif oif missing drop', True, False),
        ('iifname != "wg0" ip daddr 10.66.0.2 fib saddr type != local drop', True, True),
        ("ip daddr 10.0.0.12 fib daddr . iif type { local, broadcast } drop", True, False),
        ('iifname "eth0" fib daddr . iif type local ct mark set ct mark | 0x80', True, True),
        ("meta l4proto tcp socket transparent 1 meta mark set 0x1 accept", True, True),
    ],
)
def test_a_look_at_the_fib_touches_what_its_rule_may_stop(rule: str, to_first: bool, to_second: bool) -> None:
    text = f"table ip t {{\nchain c {{\ntype filter hook prerouting priority raw; policy accept;\n{rule}\n}}\n}}"
    chains, strange = parse_nftables(text)
    read_whole = guest(firewall=Firewall(chains=chains, unmodelled=strange))
    found = report(server(*two_vnis(protocol_state_filtering_mode="disabled"), guest=read_whole))
    for address, delivered in (("10.0.0.11", to_first), ("10.0.0.12", to_second)):
        flow = find(found, f"inbound tcp/22 10.8.0.4 -> {address}")
        assert (flow.verdict is Verdict.DELIVERED) is delivered, flow


def test_a_plan_says_which_ports_it_does_not_fix() -> None:
    proof = plan_server(one(PUBLISHED), fabric(), Config())
    assert proof is not None
    assert any("tcp 8080 of 10.0.0.12" in effect for effect in proof.document.plan.side_effects)


@pytest.mark.parametrize(("forwarding", "text", "told"), [(1, None, True), (0, None, False), (1, CLOSED, False)])
def test_a_server_with_containers_is_assumed_to_answer_itself(forwarding: int, text: str | None, told: bool) -> None:
    inside = guest()
    bridge = link("docker0", 2, "172.17.0.1/16", kind="bridge", index=9)
    firewall = None if text is None else read(text)
    inside = guest(*inside.interfaces, bridge, sysctls={"conf/eth0/forwarding": forwarding}, firewall=firewall)
    of = server(*two_vnis(), guest=inside)
    flow = find(report(of), "inbound tcp/22 10.8.0.4 -> 10.0.0.11")
    assert flow.verdict is Verdict.DELIVERED
    assert ("answered-here" in {hop.assumption for hop in flow.hops}) is told
    assert ("guest-firewall" in {hop.assumption for hop in flow.hops}) is (text is None)


def test_rules_that_may_not_be_all_are_asked_and_the_rest_is_assumed() -> None:
    """iptables told its rules, and there is no nft to tell of other tables."""
    found = report(one(CLOSED, unexamined={"firewall": "there is no nft"}))
    flow = find(found, "inbound tcp/22 10.8.0.4 -> 10.0.0.11")
    assert flow.verdict is Verdict.DELIVERED
    assert "guest-firewall" in {hop.assumption for hop in flow.hops}
    assert find(found, "inbound tcp/443 10.8.0.4 -> 10.0.0.11").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("rule", "protocol", "whole", "half"),
    [
        ("ct state invalid drop", Protocol.TCP, Verdict.DELIVERED, Verdict.UNKNOWN),
        ("ct state invalid drop", Protocol.ICMP, Verdict.DELIVERED, Verdict.DELIVERED),
        ("ct state ! new,established drop", Protocol.TCP, Verdict.DELIVERED, Verdict.UNKNOWN),
        ("ct state established drop", Protocol.TCP, Verdict.UNKNOWN, Verdict.UNKNOWN),
        ("ct state new tcp flags != syn / fin,syn,rst,ack drop", Protocol.TCP, Verdict.DELIVERED, Verdict.DELIVERED),
        ("tcp flags & (syn | ack) == ack drop", Protocol.TCP, Verdict.UNKNOWN, Verdict.UNKNOWN),
    ],
)
def test_of_a_connection_whose_answers_go_past_the_server_it_sees_no_more_than_the_first_packet_as_valid(
    rule: str, protocol: Protocol, whole: Verdict, half: Verdict
) -> None:
    """With real packets in tests/lab/test_connection_states.py."""
    chain = f"chain c {{\ntype filter hook forward priority filter; policy accept;\n{rule}\n}}"
    chains, _ = parse_nftables(f"table ip t {{\n{chain}\n}}")
    of = router(protocol_state_filtering_mode="disabled")
    assert of.guest is not None
    of = replaced(of, guest=replaced(of.guest, firewall=Firewall(chains=chains)))
    for back_by, verdict in (("10.0.1.11", whole), (None, half)):
        found = flows(of, transit_fabric(back_by=back_by))
        through = [flow for flow in found if flow.direction is Direction.TRANSIT and flow.protocol is protocol]
        assert {flow.verdict for flow in through if flow.local == "10.8.0.0/16"} == {verdict}
