"""What was seen, fed back: the next prediction follows it, and says so; for that server, and those facts."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.program import run
from vnicheck.analysis.observations import informed
from vnicheck.analysis.server import analyze_server
from vnicheck.cli.failure import UserError
from vnicheck.cli.observations import with_observations
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import Direction, Flow, Leg, Observed, Outcome, Protocol, Stage, Verdict
from vnicheck.model.observation import facts_of
from vnicheck.model.report import InstanceReport, Tool
from vnicheck.model.snapshot import Snapshot
from vnicheck.model.verification import (
    VERIFICATION_SCHEMA,
    AskedHop,
    KernelAnswer,
    KernelSays,
    SeenAssumption,
    SeenFlow,
    SeenHop,
    Verification,
    VerificationDocument,
)
from vnicheck.system.clock import now

ROOT = Path(__file__).parents[2]
AT = "2026-11-27T00:00:00Z"
SIBLING = SeenAssumption(id="spoofing-sibling", conclusion="settled", how="capture", value="passed")


def snapshot(check: int) -> Snapshot:
    return load_check(CHECKS[check - 1])


def seen(check: int, **fields: Any) -> VerificationDocument:
    (server,) = snapshot(check).servers
    each = Verification(**{"id": server.id, "name": server.name, "facts": facts_of(server)} | fields)
    tool = Tool(name="vnicheck", version="1")
    return VerificationDocument(schema=VERIFICATION_SCHEMA, tool=tool, verified_at=AT, verifications=(each,))


def report(check: int, *documents: VerificationDocument) -> InstanceReport:
    read = snapshot(check)
    return analyze_server(read.servers[0], read.fabric, informed(Config(), documents))


def ping(report: InstanceReport) -> Flow:
    """From the client to the second interface."""
    return next(
        flow
        for flow in report.flows
        if (flow.direction, flow.protocol, flow.local) == (Direction.INBOUND, Protocol.ICMP, "10.0.0.12")
        and any(prefix.startswith("10.") for prefix in flow.remote)
        and flow.remote_scope == "private"
    )


def test_a_settled_question_is_settled_on_that_server_alone() -> None:
    assert ping(report(2)).verdict is Verdict.UNKNOWN
    settled = ping(report(2, seen(2, assumptions=(SIBLING,))))
    assert settled.verdict is Verdict.DELIVERED
    (hop,) = [hop for hop in settled.hops if hop.stage is Stage.IP_SPOOFING_CHECK]
    assert hop.observed == Observed("capture", AT)
    assert ping(report(2, seen(2, id="another", assumptions=(SIBLING,)))).verdict is Verdict.UNKNOWN


def test_an_assumption_holds_as_long_as_the_server_has_its_vnis() -> None:
    (server,) = snapshot(2).servers
    own = msgspec.structs.replace(SIBLING, vnis=tuple(vni.id for vni in server.vnis))
    gone = msgspec.structs.replace(SIBLING, vnis=("gone",))
    assert ping(report(2, seen(2, facts="other", assumptions=(own,)))).verdict is Verdict.DELIVERED
    assert ping(report(2, seen(2, assumptions=(gone,)))).verdict is Verdict.UNKNOWN


def test_the_latest_counts() -> None:
    dropped = msgspec.structs.replace(SIBLING, value="dropped")
    later = msgspec.structs.replace(seen(2, assumptions=(dropped,)), verified_at="2026-11-28T00:00:00Z")
    for order in ((later, seen(2, assumptions=(SIBLING,))), (seen(2, assumptions=(SIBLING,)), later)):
        assert ping(report(2, *order)).verdict is Verdict.DROPPED


def test_a_firewall_that_was_seen_to_drop_makes_no_hop_observed() -> None:
    wall = SeenAssumption(id="guest-firewall", conclusion="refuted", how="probe")
    assert all(
        hop.observed is msgspec.UNSET for flow in report(2, seen(2, assumptions=(wall,))).flows for hop in flow.hops
    )


def test_of_a_flow_the_latest_counts() -> None:
    old = msgspec.structs.replace(
        seen(2, assumptions=(SIBLING,), flows=(seen_flow(Verdict.DROPPED),)), verified_at="2026-11-01T00:00:00+09:00"
    )
    new = seen(2, assumptions=(SIBLING,), flows=(seen_flow(Verdict.DELIVERED),))
    for order in ((old, new), (new, old)):
        assert ping(report(2, *order)).verdict is Verdict.DELIVERED


def test_what_was_confirmed_holds_with_the_value_that_it_had() -> None:
    """Whatever a configuration says otherwise; and of an older file, which does not say it, nothing is marked."""
    known = SeenAssumption(id="psf-opening", conclusion="confirmed", how="capture", value=True)
    otherwise = Config(assumptions=Assumptions(psf_opening=False))
    read = snapshot(2)

    def filtered(one: SeenAssumption) -> set[tuple[Outcome, bool]]:
        told = analyze_server(read.servers[0], read.fabric, informed(otherwise, [seen(2, assumptions=(one,))]))
        hops = (hop for flow in told.flows for hop in flow.hops if hop.assumption == "psf-opening")
        return {(hop.outcome, hop.observed is not msgspec.UNSET) for hop in hops}

    assert (Outcome.DROP, True) in filtered(known)
    assert not any(observed for _, observed in filtered(msgspec.structs.replace(known, value=None)))


def test_what_is_suspected_changes_nothing() -> None:
    suspected = msgspec.structs.replace(SIBLING, conclusion="suspected")
    assert ping(report(2, seen(2, assumptions=(suspected,)))).verdict is Verdict.UNKNOWN


def kernel_answer(conclusion: Any, outcome: Outcome) -> KernelAnswer:
    hop = AskedHop(
        direction=Direction.INBOUND,
        protocol=Protocol.ICMP,
        local="10.0.0.12",
        remote="10.8.0.4",
        port=None,
        leg=Leg.REQUEST,
        stage=Stage.SOURCE_VALIDATION,
        at="eth1",
        outcome=outcome,
    )
    return KernelAnswer(
        command="ip route get ...", predicted="x", answered="y", conclusion=conclusion, flows=1, hops=(hop,)
    )


def test_a_hop_that_the_kernel_confirms_is_observed_while_the_facts_are_the_same() -> None:
    confirmed = kernel_answer("confirmed", Outcome.DROP)
    found = report(1, seen(1, kernel=(confirmed,)))
    (hop,) = [hop for hop in ping(found).hops if hop.stage is Stage.SOURCE_VALIDATION and hop.leg is Leg.REQUEST]
    assert hop.observed == Observed("kernel", AT)
    assert ping(found).verdict is Verdict.DROPPED
    other = ping(report(1, seen(1, kernel=(confirmed,), facts="other")))
    assert all(hop.observed is msgspec.UNSET for hop in other.hops)


def test_a_hop_that_the_kernel_contradicts_is_not_known() -> None:
    doubted = ping(report(1, seen(1, kernel=(kernel_answer("contradicted", Outcome.DROP),))))
    assert doubted.verdict is Verdict.UNKNOWN
    (hop,) = [hop for hop in doubted.hops if hop.outcome is Outcome.UNKNOWN and hop.stage is Stage.SOURCE_VALIDATION]
    assert "kernel" in hop.reason
    passes = report(3, seen(3, kernel=(kernel_answer("contradicted", Outcome.PASS),), assumptions=(SIBLING,)))
    assert ping(passes).verdict is Verdict.UNKNOWN


def seen_flow(observed: Verdict, hops: tuple[SeenHop, ...] = ()) -> SeenFlow:
    return SeenFlow(
        direction=Direction.INBOUND,
        protocol=Protocol.ICMP,
        local="10.0.0.12",
        remote="10.8.0.4",
        port=None,
        how="probe",
        predicted=Verdict.DELIVERED,
        dropped_by=None,
        observed=observed,
        last_seen="",
        conclusion="contradicted",
        hops=hops,
    )


def test_packets_that_fare_otherwise_leave_a_flow_unknown() -> None:
    lost = ping(report(2, seen(2, assumptions=(SIBLING,), flows=(seen_flow(Verdict.DROPPED),))))
    assert lost.verdict is Verdict.UNKNOWN
    assert "was seen to be dropped (probe" in lost.hops[-1].reason
    came = ping(report(1, seen(1, flows=(seen_flow(Verdict.DELIVERED),))))
    assert came.verdict is Verdict.UNKNOWN
    same = ping(report(2, seen(2, assumptions=(SIBLING,), flows=(seen_flow(Verdict.DELIVERED),))))
    assert same.verdict is Verdict.DELIVERED


def test_a_finding_whose_drop_was_seen_is_observed() -> None:
    plain = {finding.rule: finding.confidence for finding in report(1).findings}
    hops = tuple(
        kernel_answer("confirmed", Outcome.DROP)
        .hops[0]
        .__class__(
            **msgspec.structs.asdict(kernel_answer("confirmed", Outcome.DROP).hops[0])
            | {"protocol": flow.protocol, "remote": flow.remote[0].split("/")[0], "port": _port(flow)}
        )
        for flow in report(1).flows
        if flow.local == "10.0.0.12" and flow.direction is Direction.INBOUND
    )
    answer = msgspec.structs.replace(kernel_answer("confirmed", Outcome.DROP), hops=hops)
    found = {finding.rule: finding for finding in report(1, seen(1, kernel=(answer,))).findings}
    assert plain["VNC101"] == "computed"
    assert found["VNC101"].confidence == "observed"
    assert ("seen (kernel)", AT) in [(each.source, each.collected_at) for each in found["VNC101"].evidence]


def _port(flow: Flow) -> int | None:
    return None if isinstance(flow.ports, msgspec.UnsetType) else int(flow.ports[0].split("-")[0])


def test_the_article_in_words_is_an_observation_file() -> None:
    reported = msgspec.json.decode((ROOT / "fixtures/article/reported.json").read_bytes(), type=VerificationDocument)
    assert {flow.how for each in reported.verifications for flow in each.flows} == {"reported"}
    flow = ping(report(2, reported))
    assert flow.verdict is Verdict.DELIVERED
    assert Observed("reported", reported.verified_at) in {hop.observed for hop in flow.hops}


def test_commands_take_the_file(tmp_path: Path, check_3: Path) -> None:
    place = tmp_path / "seen.json"
    place.write_bytes(msgspec.json.encode(seen(3, assumptions=(SIBLING,))))
    ends = ("--from", "10.8.0.4", "--to", "10.0.0.12", "--port", "80", "--expect", "delivered")
    given = ("--snapshot", str(check_3), "--observations", str(place))
    assert run("trace", "server", *ends, *given[:2]).returncode == 3
    traced = run("trace", "server", *ends, *given)
    assert traced.returncode == 0
    assert "(seen by a capture, 2026-11-27 00:00:00Z)" in " ".join(traced.stdout.split())
    analyzed = json.loads(run("analyze", "server", "-f", "json", *given).stdout)
    hops = [hop for flow in analyzed["instances"][0]["flows"] for hop in flow["hops"]]
    assert {"how": "capture", "at": AT} in [hop.get("observed") for hop in hops]
    linted = json.loads(run("lint", "-f", "json", "--flows", *given).stdout)
    verdicts = [[flow["verdict"] for flow in each["instances"][0]["flows"]] for each in (analyzed, linted)]
    assert verdicts[0] == verdicts[1]
    listed = run("assumptions", "--observations", str(place))
    assert "Settled on server by a capture, 2026-11-27T00:00:00Z" in " ".join(listed.stdout.split())
    (sibling,) = [
        each
        for each in json.loads(run("assumptions", "-f", "json", "--observations", str(place)).stdout)
        if each["id"] == "spoofing-sibling"
    ]
    assert sibling["seen"][0]["conclusion"] == "settled"


def test_todays_files_stay_readable(tmp_path: Path, check_3: Path) -> None:
    """One of the time when only the kernel was asked."""
    old = {
        "schema": "vnicheck.verification/1",
        "tool": {"name": "vnicheck", "version": "0.1.0"},
        "verified_at": AT,
        "verifications": [
            {
                "id": "x",
                "name": "server",
                "kernel": [
                    {
                        "command": "ip route get 10.8.0.10 from 10.0.0.11",
                        "predicted": "leaves by eth0",
                        "answered": "leaves by eth0",
                        "conclusion": "confirmed",
                        "flows": 3,
                        "why": None,
                    }
                ],
                "problems": [],
            }
        ],
    }
    place = tmp_path / "old.json"
    place.write_text(json.dumps(old))
    done = run("analyze", "--snapshot", str(check_3), "--observations", str(place))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not what 'vnicheck verify -o' writes"),
        ("{}", "not what 'vnicheck verify -o' writes"),
        ("[" * 100_000, "not what 'vnicheck verify -o' writes"),
        (json.dumps({"schema": "vnicheck.report/2"}), "not what 'vnicheck verify -o' writes"),
        ("WHEN", "is no time"),
        ("VALUE", "a value is none for its assumption"),
        ("REMOTE", "'abc' is no IPv4 address"),
        ("remotes", "'10.0.0.0/33' is no IPv4 prefix"),
        ("ports", "'9-2' is no port"),
        ("local", "'abc' is no IPv4 address"),
        ("gateway", "'fe80::1' is no IPv4 address"),
    ],
)
def test_what_is_no_observation_file_is_refused_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    place = tmp_path / "seen.json"
    document = seen(3, assumptions=(msgspec.structs.replace(SIBLING, value="perhaps"),))
    if text == "WHEN":
        document = msgspec.structs.replace(document, verified_at="yesterday\x1b[31m")
    if text == "REMOTE":
        document = seen(3, flows=(msgspec.structs.replace(seen_flow(Verdict.DROPPED), remote="abc"),))
    wrong = {"remotes": ("10.0.0.0/33",), "ports": ("9-2",), "local": "abc", "gateway": "fe80::1"}
    if text in wrong:
        answer = kernel_answer("contradicted", Outcome.DROP)
        says = KernelSays(outcome="leaves", interface="eth1", gateway="fe80::1" if text == "gateway" else None)
        (hop,) = answer.hops
        hop = hop if text == "gateway" else msgspec.structs.replace(hop, **{text: wrong[text]})
        document = seen(3, kernel=(msgspec.structs.replace(answer, says=says, hops=(hop,)),))
    made = text in {"WHEN", "VALUE", "REMOTE", *wrong}
    place.write_bytes(msgspec.json.encode(document) if made else text.encode())
    with pytest.raises(UserError) as caught:
        with_observations(Config(), [place])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(("days", "said"), [(-366, "too old to count"), (1, "in the future, does not count")])
def test_what_is_of_another_time_is_told_and_does_not_count(
    days: int, said: str, tmp_path: Path, check_3: Path
) -> None:
    place = tmp_path / "seen.json"
    at = (datetime.fromisoformat(now()) + timedelta(days=days)).isoformat()
    old = msgspec.structs.replace(seen(3, assumptions=(SIBLING,)), verified_at=at)
    place.write_bytes(msgspec.json.encode(old))
    ends = ("--from", "10.8.0.4", "--to", "10.0.0.12", "--port", "80", "--expect", "delivered")
    done = run("trace", "server", *ends, "--snapshot", str(check_3), "--observations", str(place))
    assert done.returncode == 3
    assert said in done.stderr
