"""Rule VNC501: what the configuration expects, held against the exact classes."""

from typing import Any

import msgspec
import pytest

from tests.support.servers import (
    POLICY_ROUTING,
    POLICY_RULES,
    acl_rule,
    fabric,
    guest,
    link,
    report,
    server,
    two_vnis,
    vni,
)
from vnicheck.analysis.mutes import notes
from vnicheck.analysis.server import analyze_server
from vnicheck.engine.classify import local_addresses, predict_flow
from vnicheck.model.address import parse_address
from vnicheck.model.cloud import FloatingIp, NetworkAcl
from vnicheck.model.config import Config
from vnicheck.model.finding import Finding
from vnicheck.model.flow import Direction, Protocol
from vnicheck.model.naming import Day
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import Server

STRICT = server(guest=guest(rp_filter={"eth1": 1}))
"""The article's check 1: eth1 is dead."""
WELL = server(guest=guest(routes=POLICY_ROUTING, rules=POLICY_RULES))
EXPECT = {"server": "server", "to": "eth1", "from": "on-prem", "port": 443, "verdict": "delivered"}
NETWORKS = {"on-prem": ["10.8.0.0/16"]}
NO_SSH = NetworkAcl(
    id="acl",
    name="acl",
    rules=(
        acl_rule("deny", "inbound", "tcp", destination_port_min=22, destination_port_max=22),
        acl_rule("deny", "inbound", "tcp", "10.8.4.0/24", destination_port_min=443, destination_port_max=443),
        acl_rule("allow", "inbound"),
        acl_rule("allow", "outbound"),
    ),
)


def config(*expectations: dict[str, Any], **more: Any) -> Config:
    return msgspec.convert({"networks": NETWORKS, "expect": expectations, **more}, Config)


def analyzed(of: Server, *expectations: dict[str, Any], around: Any = None) -> InstanceReport:
    return report(of, around, config(*expectations))


def violations(of: Server, *expectations: dict[str, Any], around: Any = None) -> list[Finding]:
    return [each for each in analyzed(of, *expectations, around=around).findings if each.rule == "VNC501"]


# --- where it fires ---------------------------------------------------------------------------------------------------


def test_a_dropped_flow_that_must_be_delivered() -> None:
    instance = analyzed(STRICT, EXPECT)
    (finding,) = [each for each in instance.findings if each.rule == "VNC501"]
    assert (finding.name, finding.severity, finding.confidence) == ("expectation-violated", "error", "computed")
    assert finding.message == (
        "tcp port 443 from on-prem to 10.0.0.12 (eth1) is expected to be delivered, but is dropped by rp_filter at "
        "eth1: rp_filter is strict on eth1 and the way back leaves by eth0 (route 'default via 10.0.0.1 dev eth0')."
    )
    (index,) = finding.flows
    flow = instance.flows[index]
    assert (flow.remote_network, flow.local, flow.protocol, flow.verdict) == ("on-prem", "10.0.0.12", "tcp", "dropped")
    assert "VNC501" in flow.findings
    assert finding.evidence
    assert finding.fixes


@pytest.mark.parametrize("local", ["203.0.113.7", "eth0"])
def test_a_floating_ip_that_is_not_translated_is_an_address_as_the_others(local: str) -> None:
    """The guest lacks it."""
    first, *others = WELL.vnis
    floating = (FloatingIp(id="fip", name="fip", address="203.0.113.7"),)
    first = msgspec.structs.replace(first, floating_ips=floating, enable_infrastructure_nat=False)
    of = msgspec.structs.replace(WELL, vnis=(first, *others))
    (finding,) = violations(of, EXPECT | {"from": "internet", "to": local})
    assert "203.0.113.7" in finding.message


def test_a_delivered_flow_that_must_be_dropped() -> None:
    (finding,) = violations(WELL, EXPECT | {"verdict": "dropped"})
    assert finding.severity == "error"
    assert finding.message.endswith("is expected to be dropped, but is delivered, in by eth1 and out by eth1.")
    assert [fix.title.partition(",")[0] for fix in finding.fixes] == ["close it with a security group or a network ACL"]


def test_an_unknown_flow_has_not_the_expected_verdict() -> None:
    for verdict in ("delivered", "dropped"):
        (finding,) = violations(server(), EXPECT | {"to": "vni-2", "verdict": verdict})
        assert finding.message.endswith("but is unknown: the guest was not collected.")


def test_one_part_is_enough_and_is_named() -> None:
    (finding,) = violations(WELL, EXPECT, around=fabric(acls=[NO_SSH]))
    assert "but from 10.8.4.0/24 it is dropped by the network ACL at eth1" in finding.message
    (finding,) = violations(WELL, EXPECT | {"port": "20-30"}, around=fabric(acls=[NO_SSH]))
    assert "but from 10.8.0.0/16 port 22 it is dropped by the network ACL" in finding.message
    assert violations(WELL, EXPECT | {"port": "23-442"}, around=fabric(acls=[NO_SSH])) == []


def test_every_address_is_the_default() -> None:
    (finding,) = violations(STRICT, {key: value for key, value in EXPECT.items() if key != "to"})
    assert "to every address is expected" in finding.message
    assert "but from 10.8.0.0/16 to 10.0.0.12 it is dropped by rp_filter" in finding.message


def test_outbound_the_remote_is_the_end() -> None:
    outbound = {"direction": "outbound", "from": "eth1", "to": "on-prem"}
    instance = analyzed(STRICT, EXPECT | outbound)
    (finding,) = [each for each in instance.findings if each.rule == "VNC501"]
    assert "tcp port 443 from 10.0.0.12 (eth1) to on-prem is expected" in finding.message
    assert {instance.flows[index].direction for index in finding.flows} == {Direction.OUTBOUND}
    assert violations(STRICT, EXPECT | outbound | {"from": "eth0"}) == []


def test_it_is_an_error_even_where_it_rests_on_an_assumption() -> None:
    vnis = two_vnis(protocol_state_filtering_mode="enabled")
    assumed = msgspec.convert({"assumptions": {"psf-protocols": ["tcp", "udp"]}}, Config).assumptions
    udp = EXPECT | {"protocol": "udp"}
    of = server(*vnis, guest=guest())
    around = fabric()
    found = report(of, around, msgspec.structs.replace(config(udp), assumptions=assumed)).findings
    others = {each.severity for each in found if each.confidence == "assumed" and each.rule != "VNC501"}
    (finding,) = [each for each in found if each.rule == "VNC501"]
    assert finding.severity == "error"
    assert "error" not in others


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"to": "eth7"}, "the server has no interface, VNI or address eth7"),
        ({"to": "10.0.0.99"}, "the server has no interface, VNI or address 10.0.0.99"),
        ({"to": "lo"}, "lo in the guest is matched to no VNI"),
        ({"from": "127.0.0.0/8"}, "no flow of the server is one of these"),
        ({"from": "10.0.0.11"}, "no flow of the server is one of these"),
        ({"from": "10.0.0.255"}, "no flow of the server is one of these"),
    ],
)
def test_an_expectation_about_nothing_is_violated(change: dict[str, str], why: str) -> None:
    (finding,) = violations(WELL, EXPECT | change)
    assert (finding.severity, finding.flows) == ("error", ())
    assert finding.message.endswith(f"but that is about nothing: {why}.")


def test_an_interface_of_a_guest_that_was_not_collected_cannot_be_told() -> None:
    (finding,) = violations(server(), EXPECT)
    assert finding.message.endswith("which interface eth1 is cannot be told: the guest was not collected.")


# --- where it does not ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("local", ["eth1", "vni-2", "vni-id-2", "10.0.0.12"])
@pytest.mark.parametrize("remote", ["on-prem", "subnet", "vpc", "private", "10.8.4.0/24", "10.8.4.7"])
def test_a_healthy_server_is_as_expected(local: str, remote: str) -> None:
    assert violations(WELL, EXPECT | {"to": local, "from": remote}) == []
    assert violations(STRICT, EXPECT | {"to": local, "from": remote}) != []


def test_a_guest_interface_comes_before_a_vni_of_that_name() -> None:
    vnis = (vni(0, "10.0.0.11", name="eth1", allow_ip_spoofing=True), vni(1, "10.0.0.12", allow_ip_spoofing=True))
    (finding,) = violations(server(*vnis, guest=guest(rp_filter={"eth1": 1})), EXPECT)
    assert "to 10.0.0.12 (eth1) is expected" in finding.message


def test_a_vni_without_an_address_yet() -> None:
    of = server(vni(0, "10.0.0.11"), vni(1, "0.0.0.0"), guest=guest())
    (finding,) = violations(of, EXPECT | {"to": "vni-2"})
    assert finding.message.endswith("but that is about nothing: vni-2 has no address yet.")


def test_icmp_has_no_ports() -> None:
    echo = {key: value for key, value in EXPECT.items() if key != "port"} | {"protocol": "icmp"}
    assert violations(WELL, echo) == []
    (finding,) = violations(STRICT, echo)
    assert finding.message.startswith(
        "icmp from on-prem to 10.0.0.12 (eth1) is expected to be delivered, but is dropped"
    )


def test_a_floating_ip_stands_for_the_address_that_it_leads_to() -> None:
    vnis = (vni(0, "10.0.0.11"), vni(1, "10.0.0.12", floating_ip="203.0.113.7"))
    of = server(*vnis, guest=guest(routes=POLICY_ROUTING, rules=POLICY_RULES))
    assert violations(of, EXPECT | {"to": "203.0.113.7", "from": "internet"}) == []
    assert violations(of, EXPECT | {"to": "eth0", "from": "internet"}) != []


def test_other_servers_are_not_meant() -> None:
    assert violations(STRICT, EXPECT | {"server": "web-*"}) == []
    assert len(violations(STRICT, EXPECT | {"server": "s*"})) == 1
    assert len(violations(STRICT, EXPECT | {"server": "crn:v1:server"})) == 1


def test_what_is_said_twice_is_found_once() -> None:
    (finding,) = violations(STRICT, EXPECT, EXPECT | {"server": "s*"}, EXPECT | {"port": "443-443"})
    assert finding.rule == "VNC501"


# --- what is expected to be dropped is nothing else's finding ---------------------------------------------------------


def test_expected_drops_silence_the_other_rules() -> None:
    dropped = {"server": "server", "to": "eth1", "from": "0.0.0.0/0", "verdict": "dropped"}
    everything = [dropped | {"protocol": protocol} for protocol in Protocol]
    before = {(each.rule, each.severity) for each in report(STRICT).findings}
    after = {(each.rule, each.severity) for each in analyzed(STRICT, *everything).findings}
    assert ("VNC101", "error") in before
    assert before - after == {("VNC101", "error")}
    assert after < before


def test_expected_drops_leave_the_rest_of_the_finding() -> None:
    dropped = {"server": "server", "to": "eth1", "from": "0.0.0.0/0", "verdict": "dropped"}
    instance = analyzed(STRICT, dropped)
    (finding,) = [each for each in instance.findings if each.rule == "VNC101"]
    assert finding.message.startswith("udp and icmp requests to 10.0.0.12 (eth1) are dropped")
    assert {instance.flows[index].protocol for index in finding.flows} == {Protocol.UDP, Protocol.ICMP}


def test_a_part_of_a_class_silences_nothing() -> None:
    """All ports are dropped alike; that one of them is expected to be says nothing of the others."""
    dropped = EXPECT | {"port": 22, "verdict": "dropped"}
    assert [(each.rule, each.flows) for each in analyzed(STRICT, dropped).findings] == [
        (each.rule, each.flows) for each in report(STRICT, None, config()).findings
    ]


def test_an_expected_drop_that_is_delivered_silences_nothing() -> None:
    dropped = {"server": "server", "to": "eth0", "from": "0.0.0.0/0", "verdict": "dropped"}
    rules = [each.rule for each in analyzed(STRICT, dropped).findings]
    assert "VNC501" in rules
    assert "VNC101" in rules


# --- a trace, and notes -----------------------------------------------------------------------------------------------


def test_a_traced_flow_is_held_against_its_own_expectations_alone() -> None:
    def predict(view: Any) -> Any:
        own = next(each for each in local_addresses(view) if each.address == "10.0.0.12")
        return (predict_flow(view, Direction.INBOUND, Protocol.TCP, own, parse_address("10.8.0.4"), 443),)

    others = [EXPECT | {"to": "eth7"}, EXPECT | {"port": 80}, EXPECT | {"from": "10.9.0.0/16"}]
    found = analyze_server(STRICT, fabric(), config(EXPECT, *others), predict=predict).findings
    assert [each.message[:40] for each in found if each.rule == "VNC501"] == [
        "tcp port 443 from on-prem to 10.0.0.12 ("
    ]


def test_an_expectation_that_means_no_server_is_told_of_a_whole_region_alone() -> None:
    known = config(EXPECT, EXPECT | {"server": "web-*"})
    instances = [report(STRICT, None, known)]
    day = Day("2026-11-23")
    assert notes(known, instances, today=day, soon=day, whole=False) == []
    assert notes(known, instances, today=day, soon=day, whole=True) == ["[[expect]] 2: no server is named 'web-*'"]


def test_a_server_without_flows_is_told_to_be_unchecked() -> None:
    asleep = report(server(status="stopped"), None, config(EXPECT))
    day = Day("2026-11-23")
    assert asleep.findings == ()
    assert notes(config(EXPECT), [asleep], today=day, soon=day, whole=False) == [
        "[[expect]] 1: server was not checked: the server is stopped; only the VPC's side is known"
    ]


# --- fingerprints -----------------------------------------------------------------------------------------------------


def fingerprints(of: Server, *expectations: dict[str, Any]) -> set[str]:
    return {each.fingerprint for each in analyzed(of, *expectations).findings}


def test_fingerprints_survive_order_time_and_new_addresses() -> None:
    other = EXPECT | {"port": 80}
    inside = guest(
        link("eth1", 1, "10.0.0.78/24"),
        link("eth0", 0, "10.0.0.77/24"),
        routes="default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n10.0.0.0/24 dev eth1 scope link\n",
        rp_filter={"eth1": 1},
        collected_at="2027-01-01T00:00:00Z",
    )
    first, second = vni(0, "10.0.0.77", allow_ip_spoofing=True), vni(1, "10.0.0.78", allow_ip_spoofing=True)
    readdressed = server(second, first, guest=inside, name="server")
    assert fingerprints(readdressed, other, EXPECT) == fingerprints(STRICT, EXPECT, other)
    assert len({each.fingerprint for each in violations(STRICT, EXPECT, other)}) == 2


def test_fingerprints_survive_new_names_of_interfaces_where_the_vni_is_named() -> None:
    inside = guest(
        link("ens3", 0, "10.0.0.11/24"),
        link("ens4", 1, "10.0.0.12/24"),
        routes="default via 10.0.0.1 dev ens3\n10.0.0.0/24 dev ens3 scope link\n10.0.0.0/24 dev ens4 scope link\n",
        rp_filter={"ens4": 1},
    )
    by_vni = EXPECT | {"to": "vni-2"}
    assert fingerprints(server(guest=inside), by_vni) == fingerprints(STRICT, by_vni)


def test_fingerprints_tell_expectations_and_servers_apart() -> None:
    changed = [EXPECT | {"port": 80}, EXPECT | {"from": "vpc"}, EXPECT | {"to": "vni-2"}]
    found = [violations(STRICT, each)[0].fingerprint for each in (EXPECT, *changed)]
    found.append(violations(msgspec.structs.replace(STRICT, crn="crn:v1:other"), EXPECT)[0].fingerprint)
    assert len(set(found)) == 5
