"""Routes and rules that refuse were put there by somebody: a note, and nothing that stays broken."""

import pytest

from tests.support.servers import TWO_DEFAULTS, fabric, guest, report, server, two_vnis
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.findings.broken_paths import broken_flows
from vnicheck.findings.facts import Facts
from vnicheck.model.config import Config
from vnicheck.model.finding import Finding
from vnicheck.model.guest import Guest

DISABLED = two_vnis(protocol_state_filtering_mode="disabled")
LOCAL = "0: from all lookup local\n"
DEFAULTS = "32766: from all lookup main\n32767: from all lookup default\n"


def refusing(routes: str = "", rules: str = "", rp_filter: int = 0) -> Guest:
    return guest(routes=TWO_DEFAULTS + routes, rules=LOCAL + rules + DEFAULTS, rp_filter={"all": rp_filter})


def findings(of: Guest) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in report(server(*DISABLED, guest=of)).findings:
        found.setdefault(finding.rule, []).append(finding)
    return found


@pytest.mark.parametrize(
    ("inside", "word"),
    [
        (refusing("blackhole 192.168.0.0/26 proto bird"), "swallows"),
        (refusing("unreachable 172.16.0.0/12"), "unreachable"),
        (refusing("prohibit 10.9.0.0/16 metric 5"), "prohibited"),
        (refusing("", "99: from all to 10.9.0.0/16 blackhole\n"), "swallows"),
        (refusing("blackhole 192.168.0.0/26\n192.168.0.7 dev cali7 scope link"), "swallows"),
    ],
)
def test_what_refuses_is_a_note(inside: Guest, word: str) -> None:
    (note,) = findings(inside)["VNC104"]
    assert (note.severity, note.fixes) == ("note", ())
    assert word in note.message
    assert note.evidence


@pytest.mark.parametrize("rp_filter", [0, 1, 2])
def test_nothing_of_it_is_broken(rp_filter: int) -> None:
    """Whichever stage drops first: with rp_filter the request is refused for want of a way back."""
    rules = "99: from 10.0.0.0/24 to 192.168.0.0/26 blackhole\n"
    view = ServerView(server(*DISABLED, guest=refusing("", rules, rp_filter)), fabric(), Config())
    facts = Facts(view, predict_flows(view))
    refused = {index for index, flow in enumerate(facts.flows) if "192.168.0.0/26" in flow.remote}
    assert refused
    assert refused.isdisjoint(broken_flows(facts))


def test_without_refusals_there_is_no_note() -> None:
    assert "VNC104" not in findings(refusing())


def test_no_route_at_all_stays_an_error() -> None:
    only = guest(routes="10.0.0.0/24 dev eth0 scope link\n", rules=LOCAL + DEFAULTS)
    assert {finding.severity for finding in findings(only)["VNC104"]} == {"error", "warning"}
