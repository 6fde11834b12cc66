"""Packets in rebuilt servers do what was predicted; plans keep their promises there; what-ifs show what they change."""

from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec
import pytest

from tests.lab.require import require_lab
from tests.support import cases
from vnicheck.engine.server_view import ServerView
from vnicheck.fixes.planner import NothingKnownError, plan_server
from vnicheck.model.diff import ServerChange
from vnicheck.model.flow import DropCode, Protocol, Verdict
from vnicheck.model.rehearsal import Phase, RehearsedFlow
from vnicheck.model.snapshot import Snapshot
from vnicheck.rehearse.namespaces import RehearsalError
from vnicheck.rehearse.network import Network, Remotes, Transit
from vnicheck.rehearse.packets import TIMEOUTS
from vnicheck.rehearse.rehearsal import Change, Rehearsing
from vnicheck.rehearse.sandbox import Sandbox
from vnicheck.rehearse.settings import SettingError, with_setting
from vnicheck.rehearse.vpc import network_of

WITH_GUEST = [name for name in cases.names() if cases.load(name).guest is not None]
SAMPLE = {"article-check-1", "security-group-names-groups"}
ARTICLE = "article-check-1"
LOOSE = "sysctl -w net.ipv4.conf.all.rp_filter=2"


class Rehearsed:
    """One case in a sandbox."""

    def __init__(self, name: str, observed: Snapshot | None = None) -> None:
        require_lab()
        self.observed = observed or cases.snapshot_of(name)
        self.config = cases.config_of(name)
        (self.server,) = self.observed.servers

    def run(self, then: Callable[[Rehearsing], tuple[Phase, ...]] = lambda _: ()) -> tuple[Phase, ...]:
        assert self.server.guest is not None
        with Sandbox() as box:
            rehearsing = Rehearsing(
                box, self.server, self.server.guest, self.observed.fabric, self.config, tell=lambda _: None
            )
            return (rehearsing.as_is(), *then(rehearsing))

    def changed(self, script: str = "true", settings: tuple[str, ...] = ()) -> tuple[Phase, Phase, ServerChange]:
        server, fabric = self.server, self.observed.fabric
        for setting in settings:
            server, fabric = with_setting(server, fabric, setting)
        found: list[ServerChange] = []

        def change(rehearsing: Rehearsing) -> tuple[Phase, ...]:
            phase, difference = rehearsing.changed(Change(server=server, fabric=fabric, script=script))
            found.append(difference)
            return (phase,)

        before, after = self.run(change)
        return before, after, found[0]


def differing(phases: tuple[Phase, ...]) -> list[RehearsedFlow]:
    return [flow for phase in phases for flow in phase.flows if flow.judgement == "differs"]


def delivered(phase: Phase, local: str) -> set[tuple[str, str, str]]:
    """What gets through to and from an address, but for the internet."""
    return {(f.direction, f.protocol, f.remote_scope) for f in phase.flows if f.local == local and f.delivered}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.long(24)) for name in WITH_GUEST]
)
def test_packets_do_what_was_predicted_and_plans_keep_their_promises(name: str) -> None:
    case = Rehearsed(name)
    if case.server.guest is None:
        assert case.server.problems, "there is nothing to rebuild, and it is said why"
        return
    proof = None
    with suppress(NothingKnownError):
        proof = plan_server(case.server, case.observed.fabric, case.config)
    phases = case.run(lambda rehearsing: rehearsing.with_fix(proof) if proof is not None and proof.effects else ())
    assert differing(phases) == []
    predicted = [flow for flow in phases[0].flows if flow.predicted is not Verdict.UNKNOWN]
    assert all(flow.judgement == "agrees" for flow in predicted)
    assert predicted or all(flow.predicted is Verdict.UNKNOWN for flow in phases[0].flows)


def test_where_packets_die_is_told() -> None:
    (phase,) = Rehearsed(ARTICLE).run()
    tcp = {
        (str(flow.direction), flow.local, str(flow.remote_scope)): (
            None if flow.died is None else (flow.died.leg, flow.died.by, flow.died.at)
        )
        for flow in phase.flows
        if flow.protocol == "tcp"
    }
    assert tcp["inbound", "10.0.0.12", "private"] == ("request", None, None)
    assert tcp["outbound", "10.0.0.12", "private"] == ("reply", DropCode.PROTOCOL_STATE_FILTERING, "eth1")
    assert phase.rp_filter_drops > 0


def test_loosening_rp_filter_uncovers_the_state_filter_as_in_the_article() -> None:
    before, after, difference = Rehearsed(ARTICLE).changed(LOOSE)
    assert delivered(before, "10.0.0.12") == set()
    gained = delivered(after, "10.0.0.12")
    assert {protocol for _, protocol, _ in gained} == {"icmp", "udp"}
    assert {change.rule for change in difference.findings if change.change == "gone"} >= {"VNC101"}
    assert {change.rule for change in difference.findings if change.change == "new"} >= {"VNC102"}
    assert differing((before, after)) == []


@pytest.mark.long(sampled=False)
def test_the_filter_of_the_vni_that_the_reply_leaves_by_is_the_one_that_matters() -> None:
    wrong = Rehearsed(ARTICLE).changed(LOOSE, ("vni-2.protocol_state_filtering_mode=disabled",))[1]
    right = Rehearsed(ARTICLE).changed(LOOSE, ("vni-1.protocol_state_filtering_mode=disabled",))[1]
    assert ("inbound", "tcp", "private") not in delivered(wrong, "10.0.0.12")
    assert ("inbound", "tcp", "private") in delivered(right, "10.0.0.12")
    assert differing((wrong, right)) == []


SECOND_DEFAULT = """
ip route del default
ip route add default via 10.0.0.1 dev eth1
ip route add default via 10.0.0.1 dev eth0 metric 900
"""
AGENT = """
ip route add throw 100.64.0.0/10 table 52
ip route add 10.8.0.0/16 dev eth0 table 52
ip rule add fwmark 0x80000/0xff0000 table main priority 5210
ip rule add table 52 priority 5270
"""


@pytest.mark.long(24)
@pytest.mark.parametrize(
    ("name", "script", "new"),
    [
        (ARTICLE, SECOND_DEFAULT, "VNC101"),
        ("policy-routing-collected", "ip route add default via 10.0.0.1 dev eth1 table 77", "VNC202"),
        ("policy-routing-collected", "ip route change default via 10.0.0.1 dev eth0 table 102 metric 7", None),
        ("policy-routing-collected", AGENT, None),
    ],
    ids=["a second default route", "a table without a rule", "a wrong metric", "an agent's rules"],
)
def test_a_change_is_collected_and_analysed_and_tried(name: str, script: str, new: str | None) -> None:
    before, after, difference = Rehearsed(name).changed(script)
    assert differing((before, after)) == []
    if new is not None:
        assert new in {change.rule for change in difference.findings if change.change == "new"}


def test_a_script_that_fails_is_told() -> None:
    _, after, _ = Rehearsed(ARTICLE).changed("echo before; exit 3")
    assert (after.status, after.printed) == (3, "before\n")


def test_a_script_that_ends_what_holds_the_server_is_one_line() -> None:
    with pytest.raises(RehearsalError, match="has ended"):
        Rehearsed(ARTICLE).changed("kill -9 -1")


def test_what_is_predicted_wrongly_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VPC that filters no states, where the prediction says that it does."""

    def lenient(view: ServerView, remotes: Remotes, transits: Iterable[Transit]) -> Network:
        network = network_of(view, remotes, transits)
        return msgspec.structs.replace(network, obeys=msgspec.structs.replace(network.obeys, psf_opening=False))

    monkeypatch.setattr("vnicheck.rehearse.rehearsal.network_of", lenient)
    (phase,) = Rehearsed("article-check-2").run()
    wrong = [flow for flow in phase.flows if flow.judgement == "differs"]
    assert wrong
    assert {(flow.protocol, flow.local, flow.predicted, flow.delivered) for flow in wrong} == {
        (Protocol.TCP, "10.0.0.12", Verdict.DROPPED, True)
    }


def test_what_a_busy_machine_loses_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vnicheck.rehearse.rehearsal.TIMEOUTS", (0.0001,))
    monkeypatch.setattr("vnicheck.rehearse.rehearsal.PATIENCE", TIMEOUTS)
    (phase,) = Rehearsed(ARTICLE).run()
    assert differing((phase,)) == []
    assert any(flow.delivered for flow in phase.flows)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("x", "write NAME.FIELD=VALUE"),
        ("vni-9.allow_ip_spoofing=true", "no VNI of this server goes by 'vni-9'; there is vni-1 and vni-2"),
        ("vni-1.allow_ip_spoofing=yes", "write true or false"),
        ("vni-1.protocol_state_filtering_mode=off", "write auto, enabled and disabled"),
        ("vni-1.colour=red", "no field 'colour'"),
        ("subnet-1.network_acl=nothing", "no network ACL goes by 'nothing'"),
    ],
)
def test_a_setting_that_cannot_be_made_is_one_line(setting: str, said: str) -> None:
    observed = cases.snapshot_of(ARTICLE)
    with pytest.raises(SettingError) as refused:
        with_setting(observed.servers[0], observed.fabric, setting)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
