"""What works and may not tomorrow, what is more open than it needs to be, and what was not seen."""

from typing import Any

import msgspec
import pytest

from tests.support.latent_cases import CLOSED, FIRES, OFF, STRICT, routed
from tests.support.servers import (
    POLICY_ROUTING,
    TWO_DEFAULTS,
    fabric,
    findings_of,
    guest,
    link,
    report,
    rules_of,
    server,
    vni,
)
from vnicheck.demo.checks import AS_RECORDED, CHECKS, load_check
from vnicheck.engine.own_devices import owner_of
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.finding import Finding


@pytest.mark.parametrize("rule", FIRES)
def test_where_a_rule_fires(rule: str) -> None:
    of, severity, words = FIRES[rule]
    found = findings_of(of, rule)
    assert found
    for finding in found:
        assert finding.severity == severity
        assert finding.message.endswith(".")
        assert finding.evidence
        assert finding.fixes
        for word in words:
            assert word in finding.message


@pytest.mark.parametrize("rule", FIRES)
def test_a_healthy_server_is_silent(rule: str) -> None:
    assert findings_of(routed(), rule) == []
    assert report(routed()).findings == ()


@pytest.mark.parametrize("more", [{"rp_filter": {"all": 1}}, {"rp_filter": {"all": 2, **STRICT}}])
def test_policy_routing_is_silent_whatever_the_filter(more: dict[str, Any]) -> None:
    assert report(routed(**more)).findings == ()


COLLECTED = [rule for rule in FIRES if rule not in {"VNC401", "VNC402"}]
UNTOLD: dict[str, tuple[str, ...]] = {
    "interfaces": ("VNC201", "VNC202", "VNC204", "VNC205", "VNC206", "VNC301", "VNC302", "VNC303", "VNC304"),
    "routes": ("VNC201", "VNC202", "VNC203", "VNC204", "VNC205", "VNC301", "VNC302", "VNC304"),
    "rules": ("VNC201", "VNC202", "VNC203", "VNC205", "VNC301", "VNC302", "VNC304"),
    "sysctls": ("VNC201", "VNC302", "VNC303", "VNC304"),
}


@pytest.mark.parametrize("rule", COLLECTED)
def test_without_a_guest_nothing_is_claimed(rule: str) -> None:
    of = msgspec.structs.replace(FIRES[rule][0], guest=None)
    assert findings_of(of, rule) == []


@pytest.mark.parametrize(("fact", "rule"), [(fact, rule) for fact, rules in UNTOLD.items() for rule in rules])
def test_where_facts_are_missing_nothing_is_claimed(fact: str, rule: str) -> None:
    of = FIRES[rule][0]
    assert of.guest is not None
    empty: Any = {} if fact == "sysctls" else ()
    blind = msgspec.structs.replace(of.guest, **{fact: empty}, missing={fact: "timed out"})
    assert findings_of(msgspec.structs.replace(of, guest=blind), rule) == []


# --- one finding per path ---------------------------------------------------------------------------------------------


def on_check(number: int) -> list[Finding]:
    snapshot = load_check(CHECKS[number - 1])
    return list(report(snapshot.servers[0], snapshot.fabric, AS_RECORDED).findings)


def test_check_1_is_one_error_and_one_warning() -> None:
    error, warning = on_check(1)
    assert (error.rule, error.severity, warning.rule, warning.severity) == ("VNC101", "error", "VNC102", "warning")
    assert "rp_filter is strict on eth1" in error.message
    assert "With that fixed, tcp would be dropped by the state filter at eth0 (vni-1)." in error.message
    assert "udp and icmp are dropped by rp_filter at eth1 (vni-2)." in warning.message


def test_check_2_is_one_error_and_one_warning() -> None:
    by_severity = [(finding.rule, finding.severity) for finding in on_check(2)]
    assert by_severity == [("VNC102", "error"), ("VNC102", "warning"), ("VNC304", "note")]


def test_check_3_is_no_error_and_two_warnings() -> None:
    outbound, inbound, note = on_check(3)
    assert (outbound.rule, inbound.rule, note.rule) == ("VNC102", "VNC201", "VNC304")
    assert (outbound.severity, inbound.severity) == ("warning", "warning")
    for words in ("rp_filter being loose on eth1", "lost at the next boot", "vni-1 not filtering", "as configured"):
        assert words in inbound.message


def test_a_path_covers_all_its_broken_flows() -> None:
    snapshot = load_check(CHECKS[0])
    instance = report(snapshot.servers[0], snapshot.fabric, Config())
    warning = instance.findings[1]
    assert {instance.flows[index].protocol for index in warning.flows} == {"tcp", "udp", "icmp"}
    assert {instance.flows[index].dropped_by for index in warning.flows} == {"rp_filter", "protocol_state_filtering"}


def test_disabling_the_state_filter_is_proposed_only_where_it_is_enough() -> None:
    assert not any("disable protocol state filtering" in fix.title for fix in on_check(1)[1].fixes)
    assert any("disable protocol state filtering" in fix.title for fix in on_check(2)[0].fixes)


def test_a_sure_cause_is_not_hidden_behind_an_assumed_one() -> None:
    """Groups of the other VNI (assumed) come before the ACL (documented), and let some ports through."""
    from tests.support.servers import acl_rule, group_rule
    from vnicheck.model.cloud import NetworkAcl, SecurityGroup

    inbound_acl = NetworkAcl(id="acl", name="acl", rules=(acl_rule("allow", "inbound"),))
    rules = (group_rule("inbound"), group_rule("outbound", "udp"), group_rule("outbound", "icmp"))
    around = fabric(acls=[inbound_acl], groups=[SecurityGroup(id="open", name="open", rules=rules)])
    found = [
        finding
        for finding in findings_of(server(*OFF, guest=guest()), "VNC106", around)
        if "10.0.0.12" in finding.message
    ]
    assert [(finding.severity, finding.confidence) for finding in found] == [("error", "computed")]


# --- evidence ---------------------------------------------------------------------------------------------------------


def texts(finding: Finding) -> list[tuple[str, str]]:
    return [(fact.source, fact.text) for fact in finding.evidence]


def test_a_strict_filter_rests_on_sysctls_lines_and_the_counter() -> None:
    inside = guest(rp_filter={"eth1": 1}, counters={"TcpExtIPReversePathFilter": 12})
    error = findings_of(server(guest=inside), "VNC101")[0]
    route = "10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11 metric 100"
    assert texts(error) == [
        ("sysctl", "net/ipv4/conf/all/rp_filter = 0"),
        ("sysctl", "net/ipv4/conf/eth1/rp_filter = 1"),
        ("ip route", route),
        ("ip rule", "32766: from all lookup main"),
        (
            "/proc/net/netstat",
            "TcpExtIPReversePathFilter = 12 (all interfaces of the network namespace, since it was made)",
        ),
        ("GET /virtual_network_interfaces/vni-id-1", "vni-1: protocol_state_filtering_mode = auto"),
    ]
    assert {fact.collected_at for fact in error.evidence if fact.source[:3] != "GET"} == {inside.collected_at}


def test_a_counter_of_zero_is_no_sign() -> None:
    inside = guest(rp_filter={"eth1": 1}, counters={"TcpExtIPReversePathFilter": 0})
    assert all(
        "TcpExt" not in text for finding in findings_of(server(guest=inside), "VNC101") for _, text in texts(finding)
    )


def test_fields_of_the_vpc_carry_the_time_they_were_read() -> None:
    from vnicheck.analysis.server import report_on

    snapshot = load_check(CHECKS[1])
    (instance,) = report_on(snapshot, generated_at="2026-11-23T00:00:00Z", config=Config()).instances
    fields = [fact for finding in instance.findings for fact in finding.evidence if fact.source.startswith("GET /")]
    assert fields
    assert {fact.collected_at for fact in fields} == {snapshot.created_at}


def test_every_finding_has_evidence() -> None:
    for of, _, _ in FIRES.values():
        for finding in report(of).findings:
            assert finding.evidence, finding.message
            assert all(fact.source and fact.text for fact in finding.evidence)


# --- what is not flagged ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["cali1a2b3c", "cilium_host", "lxc12ab", "veth9f", "docker0", "br-4f5e6a", "cni0", "flannel.1", "tun0", "tunl0"],
)
def test_devices_of_container_software_are_recognised_and_never_flagged(name: str) -> None:
    assert owner_of(name) is not None
    links = (
        link("eth0", 0, "10.0.0.11/24"),
        link("eth1", 1, "10.0.0.12/24"),
        link(name, 3, "172.17.0.1/16", kind="bridge"),
    )
    routes = f"{POLICY_ROUTING}172.17.0.0/16 dev {name} scope link\ndefault dev {name} table 77\ndefault dev {name}\n"
    inward = "1002: from all to 172.17.0.0/16 lookup main"
    rules = rules_of(inward, "1003: from 10.0.0.12 lookup 1003", f"1500: from all iif {name} lookup 78")
    inside = guest(*links, routes=routes, rules=rules, rp_filter=STRICT | {name: 0})
    assert not any(name in finding.message for finding in report(server(*CLOSED, guest=inside)).findings)


@pytest.mark.parametrize("name", ["eth0", "ens3", "enp0s1", "bond0", "eth0.100", "team0"])
def test_devices_of_the_server_are_not_taken_for_those_of_containers(name: str) -> None:
    assert owner_of(name) is None


def test_what_is_configured_to_pass_is_not_called_unfiltered() -> None:
    config = Config(assumptions=Assumptions(psf_opening=False))
    (found,) = [each for each in report(server(guest=guest()), None, config).findings if each.rule == "VNC201"]
    assert "not filtering" not in found.message


def test_the_table_of_a_vrf_needs_no_rule() -> None:
    vrf = link("red", 3, kind="vrf", vrf_table=1003)
    links = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"), vrf)
    inside = guest(*links, routes=POLICY_ROUTING, rules=rules_of(), rp_filter=STRICT)
    assert findings_of(server(*CLOSED, guest=inside), "VNC202") == []


def test_a_vni_without_an_interface_is_told_once() -> None:
    rules = [finding.rule for finding in report(FIRES["VNC206"][0]).findings]
    assert ("VNC206" in rules, "VNC402" in rules) == (True, False)


def test_a_stopped_server_is_not_missed() -> None:
    assert report(server(status="stopped")).findings == ()


def test_default_routes_of_different_metrics_are_in_order() -> None:
    routes = f"{POLICY_ROUTING}default via 10.0.0.1 dev eth1 metric 200\n"
    assert report(routed(routes=routes)).findings == ()


def test_a_trace_claims_nothing_about_the_server() -> None:
    from tests.support.cases import report_of
    from vnicheck.analysis.trace import trace
    from vnicheck.model.flow import Protocol

    snapshot = load_check(CHECKS[1])
    assert "VNC304" in [finding.rule for finding in report_of(snapshot).findings]
    (side,) = trace(snapshot, Config(), start="10.8.0.4", end="10.0.0.12", protocol=Protocol.TCP, port=80)
    assert [finding.rule for finding in side.findings] == ["VNC102"]


def test_fingerprints_of_latent_findings_survive_addresses_and_time() -> None:
    def prints(address: str, time: str) -> set[tuple[str, str]]:
        links = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, f"{address}/24"))
        inside = guest(*links, routes=TWO_DEFAULTS.replace("10.0.0.12", address), collected_at=time)
        vnis = tuple(
            vni(n, a, allow_ip_spoofing=True, protocol_state_filtering_mode="disabled")
            for n, a in ((0, "10.0.0.11"), (1, address))
        )
        return {(finding.rule, finding.fingerprint) for finding in report(server(*vnis, guest=inside)).findings}

    assert prints("10.0.0.12", "2026-01-01T00:00:00Z") == prints("10.0.0.77", "2027-01-01T00:00:00Z") != set()
