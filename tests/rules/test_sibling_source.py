"""Flows at risk: asymmetric, and nothing is unknown but what an open assumption comes to."""

import pytest

from tests.support.servers import DROPPED, guest, link, report, server, two_vnis, vni
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.finding import Finding
from vnicheck.model.flow import Verdict
from vnicheck.model.snapshot import Server

LOOSE = {"all": 2}
PASSED = Config(assumptions=Assumptions(spoofing_sibling="passed"))


def at_risk(of: Server, config: Config | None = None) -> list[Finding]:
    return [each for each in report(of, None, config).findings if each.rule == "VNC208"]


def unfiltered(**more: object) -> Server:
    return server(
        *two_vnis(spoofing=False, protocol_state_filtering_mode="disabled", **more), guest=guest(rp_filter=LOOSE)
    )


def test_flows_that_may_be_dropped_are_a_warning_that_names_both_sources() -> None:
    (finding,) = at_risk(unfiltered())
    assert (finding.severity, finding.confidence) == ("warning", "assumed")
    for words in ("10.0.0.12 (eth1)", "enter by eth1 and leave by eth0", "ip-spoofing-about", "the article's captures"):
        assert words in finding.message
    assert {protocol for each in finding.affected for protocol in each.protocols} == {"tcp", "udp", "icmp"}
    assert any("ip rule add from 10.0.0.12" in str(fix) for fix in finding.fixes)
    assert any("allow_ip_spoofing = false" in each.text for each in finding.evidence)


def test_what_a_state_filter_drops_is_dropped_whatever_the_spoofing_check_does() -> None:
    instance = report(server(*two_vnis(spoofing=False), guest=guest(rp_filter=LOOSE)))
    errors = [each for each in instance.findings if each.rule == "VNC102"]
    assert [each.severity for each in errors] == ["error", "warning"]
    assert all("spoofing-sibling" in each.message for each in errors)
    (finding,) = [each for each in instance.findings if each.rule == "VNC208"]
    assert {instance.flows[index].protocol for index in finding.flows} == {"udp", "icmp"}
    assert {instance.flows[index].verdict for index in finding.flows} == {Verdict.UNKNOWN}


@pytest.mark.parametrize("config", [PASSED, DROPPED], ids=["passed", "dropped"])
def test_a_configuration_that_answers_the_question_ends_it(config: Config) -> None:
    assert at_risk(unfiltered(), config) == []
    verdicts = {flow.verdict for flow in report(unfiltered(), None, config).flows if flow.local == "10.0.0.12"}
    assert Verdict.UNKNOWN not in verdicts


def test_the_answer_may_be_for_one_server() -> None:
    elsewhere = Config(assumptions=Assumptions(spoofing_sibling={"other": "passed"}))
    here = Config(assumptions=Assumptions(spoofing_sibling={"server": "passed", "other": "dropped"}))
    assert at_risk(unfiltered(), elsewhere)
    assert not at_risk(unfiltered(), here)


@pytest.mark.parametrize(
    "config", [Config(), Config(assumptions=Assumptions(spoofing_check=False))], ids=["allowed", "unchecked"]
)
def test_where_spoofing_is_allowed_or_not_checked_nothing_is_at_risk(config: Config) -> None:
    of = unfiltered(allow_ip_spoofing=True) if config == Config() else unfiltered()
    assert at_risk(of, config) == []


def test_three_vnis_make_a_finding_for_each_pair() -> None:
    inside = guest(
        link("eth0", 0, "10.0.0.11/24"),
        link("eth1", 1, "10.0.0.12/24", "10.0.0.13/24"),
        link("eth2", 2, "10.0.0.14/24"),
        rp_filter=LOOSE,
    )
    more = {"protocol_state_filtering_mode": "disabled"}
    of = server(
        vni(0, "10.0.0.11", **more), vni(1, "10.0.0.12", "10.0.0.13", **more), vni(2, "10.0.0.14", **more), guest=inside
    )
    first, second = at_risk(of)
    assert "10.0.0.12 and 10.0.0.13 (eth1)" in first.message
    assert "10.0.0.14 (eth2)" in second.message
    assert first.fingerprint != second.fingerprint


def test_flows_that_are_unknown_for_something_else_are_no_finding_of_this_kind() -> None:
    of = server(
        *two_vnis(spoofing=False, protocol_state_filtering_mode="later", security_groups=None),
        guest=guest(rp_filter=LOOSE),
    )
    assert at_risk(of) == []
    assert any(each.rule == "VNC402" for each in report(of).findings)


def test_towards_the_internet_it_is_no_question() -> None:
    of = server(
        vni(0, "10.0.0.11", protocol_state_filtering_mode="disabled"),
        vni(1, "10.0.0.12", protocol_state_filtering_mode="disabled", floating_ip="203.0.113.7"),
        guest=guest(rp_filter=LOOSE),
    )
    flows = [flow for flow in report(of).flows if flow.local == "10.0.0.12" and flow.remote_scope == "internet"]
    assert {flow.verdict for flow in flows} == {Verdict.DROPPED}
