"""A request that the guest forwards is answered by somebody else: nothing is said of the reply."""

from typing import Any

import pytest

from tests.support.cases import find
from tests.support.servers import flows, guest, link, report, server, vni
from vnicheck.model.firewall import Firewall, FirewallChain, FirewallRule
from vnicheck.model.firewall import Verdict as Target
from vnicheck.model.flow import Direction, Outcome, Verdict
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Server

TCP = "inbound tcp/443 10.8.0.4 -> 10.0.0.77"
"""To a secondary address of the VNI that the guest does not have."""
ROUTES = "default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n"


def balancer(routes: str = ROUTES, *, forwarding: int = 1, rp_filter: int = 0, **more: Any) -> Server:
    own: Guest = guest(
        link("eth0", 0, "10.0.0.11/24"),
        routes=routes,
        rp_filter={"eth0": rp_filter},
        sysctls={"conf/eth0/forwarding": forwarding},
        **more,
    )
    return server(vni(0, "10.0.0.11", "10.0.0.77", allow_ip_spoofing=True), guest=own)


@pytest.mark.parametrize("routes", [ROUTES, ROUTES + "10.0.0.77 dev docker0\n"])
def test_what_the_server_forwards_is_unknown(routes: str) -> None:
    flow = find(report(balancer(routes)), TCP)
    assert (flow.verdict, flow.drops) == (Verdict.UNKNOWN, ())
    forwarded, answered = [hop.reason for hop in flow.hops if hop.outcome is Outcome.UNKNOWN]
    assert forwarded.startswith(f"the guest forwards it by {'docker0' if 'docker0' in routes else 'eth0'}, which is")
    assert answered.startswith("whoever gets the forwarded packet answers it")


def test_what_it_does_not_forward_is_dropped() -> None:
    flow = find(report(balancer(forwarding=0)), TCP)
    assert [drop.by.value for drop in flow.drops] == ["not_local", "not_local"]


def test_forwarding_by_a_rule_for_marked_packets_may_lead_to_somebody_who_answers() -> None:
    rules = "0: from all lookup local\n9: from all fwmark 0x1 lookup 100\n32766: from all lookup main"
    flow = find(report(balancer(ROUTES + "local default dev lo table 100", forwarding=0, rules=rules)), TCP)
    assert (flow.verdict, flow.drops) == (Verdict.UNKNOWN, ())


@pytest.mark.parametrize(("verdict", "known"), [(Target.DNAT, False), (Target.REDIRECT, False), (Target.ACCEPT, True)])
def test_translation_may_lead_it_elsewhere(verdict: Target, known: bool) -> None:
    rule = FirewallRule(text="tcp dport 443 ...", verdict=verdict)
    chain = FirewallChain(family="ip", table="nat", name="PREROUTING", type="nat", hook="prerouting", rules=(rule,))
    flow = find(report(balancer(forwarding=0, firewall=Firewall(chains=(chain,)))), TCP)
    assert (flow.verdict is Verdict.DROPPED) is known


@pytest.mark.parametrize(
    ("way", "verdict"),
    [
        ("10.0.0.77 dev cali1 scope link\n", Verdict.UNKNOWN),
        ("10.0.0.77 dev eth0 scope link\n", Verdict.DROPPED),
        ("", Verdict.DROPPED),
    ],
)
def test_a_pod_with_an_address_of_a_vni_may_open_connections(way: str, verdict: Verdict) -> None:
    own = guest(link("eth0", 0, "10.0.0.11/24"), link("cali1", 2, kind="veth", index=9), routes=ROUTES + way)
    flow = find(report(server(vni(0, "10.0.0.11", "10.0.0.77"), guest=own)), "outbound tcp/443 10.0.0.77 -> 10.8.0.4")
    assert flow.verdict is verdict


def test_addresses_of_its_own_are_answered() -> None:
    of = flows(balancer())
    own = [flow for flow in of if flow.local == "10.0.0.11" and flow.direction is Direction.INBOUND]
    assert Verdict.DELIVERED in {flow.verdict for flow in own}
