"""VNC109: what a program on 0.0.0.0 is asked at one address and answers from another."""

import msgspec
import pytest

from tests.support.servers import POLICY_ROUTING, POLICY_RULES, guest, report, server, two_vnis
from vnicheck.model.finding import Finding
from vnicheck.model.guest import Guest, Sockets
from vnicheck.model.snapshot import Server

POLICY_ROUTED = guest(routes=POLICY_ROUTING, rules=POLICY_RULES)


def listening(inside: Guest, *ports: int) -> Server:
    return server(*two_vnis(), guest=msgspec.structs.replace(inside, sockets=Sockets(udp_everywhere=ports)))


def found(of: Server) -> list[Finding]:
    return [finding for finding in report(of).findings if finding.rule == "VNC109"]


def test_policy_routing_does_not_help_a_program_that_names_no_address() -> None:
    instance = report(listening(POLICY_ROUTED, 53, 123))
    (finding,) = [finding for finding in instance.findings if finding.rule == "VNC109"]
    assert (finding.severity, finding.confidence) == ("note", "assumed")
    assert "UDP 53 and 123" in finding.message
    assert "10.0.0.12 (eth1) from 10.0.0.11" in finding.message
    assert [evidence.text for evidence in finding.evidence] == ["0.0.0.0:53", "0.0.0.0:123"]
    for index in finding.flows:
        flow = instance.flows[index]
        assert (flow.local, flow.protocol, flow.direction, flow.verdict) == ("10.0.0.12", "udp", "inbound", "delivered")


@pytest.mark.parametrize("ports", [(), (68,)], ids=["none", "dhcp client"])
def test_without_such_a_service_nothing_is_said(ports: tuple[int, ...]) -> None:
    assert found(listening(POLICY_ROUTED, *ports)) == []


def test_an_address_that_the_route_chooses_itself_is_fine() -> None:
    of = listening(POLICY_ROUTED, 53)
    assert all("10.0.0.11 (eth0) from" not in finding.message for finding in found(of))


@pytest.mark.parametrize("fact", ["routes", "rules", "interfaces"])
def test_missing_facts_are_no_finding(fact: str) -> None:
    inside = msgspec.structs.replace(POLICY_ROUTED, missing={fact: "timed out"})
    assert found(listening(inside, 53)) == []


def test_sockets_that_were_not_collected_are_no_finding() -> None:
    assert found(server(*two_vnis(), guest=POLICY_ROUTED)) == []


def test_half_open_connections_and_silent_logs_are_evidence() -> None:
    strict = guest(rp_filter={"all": 1}, sysctls={"conf/all/log_martians": 0, "conf/eth1/log_martians": 0})
    (error,) = [finding for finding in report(server(guest=strict)).findings if finding.severity == "error"]
    assert "net/ipv4/conf/all/log_martians = 0" in [evidence.text for evidence in error.evidence]
    loose = msgspec.structs.replace(guest(), sockets=Sockets(half_open={"10.0.0.12": 3}))
    (error,) = [finding for finding in report(server(guest=loose)).findings if finding.severity == "error"]
    assert any("3 half-open connections to 10.0.0.12" in evidence.text for evidence in error.evidence)
