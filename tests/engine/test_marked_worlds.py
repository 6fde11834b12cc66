"""Flows of which the guest's part is not known are compared by what becomes of them in each world."""

import pytest

from tests.support.cases import find
from tests.support.reports import render
from tests.support.servers import TWO_DEFAULTS, guest, link, report, server, two_vnis
from vnicheck.analysis.server import assemble_report
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import Flow, Verdict

LOCAL = "0: from all lookup local\n"
MAIN = "32766: from all lookup main\n"
REPLY = "inbound tcp/443 10.8.0.4 -> 10.0.0.12"
OTHERS = "default via 10.0.0.1 dev eth1 table 7\n10.0.0.0/24 dev eth1 scope link table 7\n"


def flow_of(rules: str, routes: str = TWO_DEFAULTS + OTHERS, what: str = REPLY, config: Config | None = None) -> Flow:
    return find(report(server(guest=guest(rules=LOCAL + rules + MAIN, routes=routes)), config=config), what)


@pytest.mark.parametrize("reads", ["tos 0x10", "uidrange 1000-2000", "dscp 46"])
def test_dropped_in_every_world_is_dropped(reads: str) -> None:
    """By eth0 whatever is open, on-link or by the gateway: the spoofing check drops both."""
    routes = TWO_DEFAULTS + "default dev eth0 table 7\n"
    flow = flow_of(f"100: from all {reads} lookup 7\n", routes)
    assert flow.verdict is Verdict.DROPPED
    assert {drop.at for drop in flow.drops} == {"eth0"}


@pytest.mark.parametrize("reads", ["tos 0x10", "uidrange 1000-2000"])
def test_worlds_that_differ_are_unknown_and_the_rule_is_named(reads: str) -> None:
    flow = flow_of(f"100: from all {reads} lookup 7\n200: from 10.9.9.9 {reads} lookup 8\n")
    assert flow.verdict is Verdict.UNKNOWN
    (reason,) = {hop.reason for hop in flow.hops if hop.outcome == "unknown"}
    assert f"rule '100: from all {reads} lookup 7' and 1 more read it" in reason
    assert "leave by eth0" in reason


def test_a_route_that_reads_the_tos_is_named() -> None:
    flow = flow_of("", TWO_DEFAULTS + "10.8.0.0/16 tos 0x10 via 10.0.0.1 dev eth1\n")
    assert flow.verdict is Verdict.UNKNOWN
    assert any("route '10.8.0.0/16 tos 0x10 via 10.0.0.1 dev eth1' reads it" in hop.reason for hop in flow.hops)


def test_delivered_in_every_world_is_delivered() -> None:
    rules = "100: from 10.0.0.12 tos 0x10 lookup 7\n101: from 10.0.0.12 lookup 8\n"
    routes = TWO_DEFAULTS + OTHERS + "default via 10.0.0.1 dev eth1 table 8\n"
    flow = flow_of(rules, routes)
    assert (flow.verdict, flow.egress, flow.symmetric) == (Verdict.DELIVERED, "eth1", True)


def test_next_hops_of_equal_cost_that_fare_alike_are_known() -> None:
    """Whichever the kernel chooses, the spoofing check of eth0's VNI drops it; or eth1's lets it out."""
    hops = "\n\tnexthop via 10.0.0.1 dev {0} weight 1\n\tnexthop via 10.0.0.9 dev {1} weight 1"
    subnets = "10.0.0.0/24 dev eth0 scope link\n10.0.0.0/24 dev eth1 scope link metric 5\n"
    dropped = flow_of("", f"default proto static{hops.format('eth0', 'eth0')}\n{subnets}")
    assert (dropped.verdict, {drop.at for drop in dropped.drops}) == (Verdict.DROPPED, {"eth0"})
    unknown = flow_of("", f"default proto static{hops.format('eth0', 'eth1')}\n{subnets}")
    assert unknown.verdict is Verdict.UNKNOWN
    assert any("several next hops of equal cost" in hop.reason for hop in unknown.hops)


@pytest.mark.parametrize("reads", ["tos 0x10", "uidrange 1000-2000", "fwmark 0x1"])
@pytest.mark.parametrize("way", [REPLY, "outbound tcp/443 10.0.0.11 -> 10.8.0.4"])
def test_next_hops_of_equal_cost_are_not_all_worlds_where_a_rule_leads_others_elsewhere(reads: str, way: str) -> None:
    hops = "".join(f"\n\tnexthop via 10.0.0.1 dev eth{number} weight 1" for number in (0, 1))
    routes = f"default proto static{hops}\n10.0.0.0/24 dev eth0 scope link\nblackhole default table 7\n"
    config = Config(assumptions=Assumptions(packets_unmarked=False))
    for rule, verdict in ((f"100: from all {reads} lookup 7\n", Verdict.UNKNOWN), ("", Verdict.DELIVERED)):
        known = guest(routes=routes, rules=LOCAL + rule + MAIN)
        of = server(*two_vnis(protocol_state_filtering_mode="disabled"), guest=known)
        assert find(report(of, config=config), way).verdict is verdict


def test_marks_count_where_the_configuration_says_so() -> None:
    rules = "100: from all fwmark 0x1 lookup 7\n"
    assert flow_of(rules).verdict is Verdict.DROPPED
    for said in (False, {"server": False}):
        config = Config(assumptions=Assumptions(packets_unmarked=said))
        assert flow_of(rules, config=config).verdict is Verdict.UNKNOWN
    elsewhere = Config(assumptions=Assumptions(packets_unmarked={"another": False}))
    assert flow_of(rules, config=elsewhere).verdict is Verdict.DROPPED


def test_it_is_told_once_and_lowers_no_confidence() -> None:
    strict = guest(rules=LOCAL + "100: from all fwmark 0x1 lookup 7\n" + MAIN, rp_filter={"eth1": 1})
    instance = report(server(guest=strict))
    assert {finding.confidence for finding in instance.findings if finding.severity == "error"} == {"computed"}
    text = " ".join(render(assemble_report((instance,), generated_at="2026-11-23T00:00:00Z"), 100).split())
    assert text.count("packets-unmarked") == 1
    plain = report(server(guest=guest(link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"))))
    assert "packets-unmarked" not in render(assemble_report((plain,), generated_at="2026-11-23T00:00:00Z"), 100)
