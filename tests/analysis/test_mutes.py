"""Mutes: what they take out of the counts, what comes back, and which are told to be of no use. The day is given."""

import io
import json

import msgspec
import pytest
from rich.console import Console

from tests.support.servers import POLICY_ROUTING, POLICY_RULES, fabric, guest, server
from vnicheck.analysis.mutes import notes
from vnicheck.analysis.server import report_on
from vnicheck.model.config import Config
from vnicheck.model.finding import Finding, Muted
from vnicheck.model.mute import Mute
from vnicheck.model.naming import Day
from vnicheck.model.report import Report, encode_report
from vnicheck.model.snapshot import SCHEMA, Server, Snapshot
from vnicheck.report.text import write_text

STRICT = server(guest=guest(rp_filter={"eth1": 1}))
WELL = server(guest=guest(routes=POLICY_ROUTING, rules=POLICY_RULES), name="well", id="well-id", crn="crn:v1:well")
TODAY = Day("2026-11-23")
SOON = Day("2026-12-07")


def mute(rule: str = "VNC101", expires: str = "2027-06-30", **more: str) -> Mute:
    fields = {"server": "server", "reason": "known since May"} | more
    return Mute(rule=rule, expires=Day(expires), **fields)


def reported(*mutes: Mute, servers: tuple[Server, ...] = (STRICT,), today: str = TODAY) -> Report:
    snapshot = Snapshot(
        schema=SCHEMA, tool_version="0", created_at="2026-11-23T00:00:00Z", servers=servers, fabric=fabric()
    )
    return report_on(snapshot, generated_at=f"{today}T12:00:00Z", config=Config(mute=mutes))


def of_rule(report: Report, rule: str = "VNC101") -> Finding:
    (finding,) = [each for instance in report.instances for each in instance.findings if each.rule == rule]
    return finding


def noted(*mutes: Mute, servers: tuple[Server, ...] = (STRICT,), whole: bool = False) -> list[str]:
    report = reported(*mutes, servers=servers)
    return notes(Config(mute=mutes), report.instances, today=TODAY, soon=SOON, whole=whole)


def as_text(report: Report) -> str:
    page = io.StringIO()
    write_text(report, Console(file=page, width=100, color_system=None, highlight=False, markup=False))
    return page.getvalue()


# --- what a mute does -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["VNC101", "strict-reverse-path"])
@pytest.mark.parametrize("of", ["server", "serv*", "server-id", "crn:v1:server"])
def test_a_muted_finding_is_kept_but_does_not_count(rule: str, of: str) -> None:
    before, after = reported(), reported(mute(rule, server=of))
    finding = of_rule(after)
    assert finding.muted == Muted(reason="known since May", expires="2027-06-30")
    assert not finding.counts
    assert msgspec.structs.replace(finding, muted=msgspec.UNSET) == of_rule(before)
    assert after.summary.muted == 1
    assert after.summary.findings == before.summary.findings | {"error": before.summary.findings["error"] - 1}
    assert after.instances[0].flows == before.instances[0].flows


def test_in_json_only_muted_findings_say_so() -> None:
    (instance,) = json.loads(encode_report(reported(mute())))["instances"]
    said = {finding["rule"]: finding.get("muted") for finding in instance["findings"]}
    assert said.pop("VNC101") == {"reason": "known since May", "expires": "2027-06-30"}
    assert said
    assert set(said.values()) == {None}


def test_other_rules_and_servers_are_not_muted() -> None:
    for other in (mute("VNC103"), mute(server="web-*"), mute(server="SERVER"), mute(server="crn:v1:*")):
        assert of_rule(reported(other)).counts


def test_a_violated_expectation_can_be_muted() -> None:
    wish = {"server": "server", "to": "eth1", "from": "vpc", "verdict": "delivered"}
    config = msgspec.convert({"expect": [wish]}, Config)
    config = msgspec.structs.replace(config, mute=(mute("VNC501"),))
    snapshot = Snapshot(schema=SCHEMA, tool_version="0", created_at="", servers=(STRICT,), fabric=fabric())
    finding = of_rule(report_on(snapshot, generated_at=f"{TODAY}T00:00:00Z", config=config), "VNC501")
    assert finding.severity == "error"
    assert not finding.counts


def test_the_text_tells_what_is_muted_until_when_and_why() -> None:
    text = as_text(reported(mute()))
    assert "ERROR VNC101" not in text
    assert "1 muted" in text.splitlines()[-2]
    words = " ".join(text.split())
    assert "Muted - VNC101 tcp, udp and icmp requests to 10.0.0.12 (eth1) are dropped" in words
    assert "Until 2027-06-30: known since May" in words


def test_a_reason_cannot_steer_a_terminal() -> None:
    text = as_text(reported(mute(reason="\x1b[31mred\u202e\nnext")))
    assert "\x1b" not in text
    assert "\u202e" not in text


# --- its day ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expires", "muted"), [("2026-11-22", False), ("2026-11-23", True), ("2026-11-24", True), ("2025-12-31", False)]
)
def test_it_holds_to_the_end_of_its_day(expires: str, muted: bool) -> None:
    finding = of_rule(reported(mute(expires=expires)))
    assert finding.counts is not muted
    assert (f" It was muted until {expires}: known since May." in finding.message) is not muted


def test_an_expired_mute_changes_nothing_but_the_words() -> None:
    before, after = of_rule(reported()), of_rule(reported(mute(expires="2026-01-01")))
    assert msgspec.structs.replace(after, message=before.message, headline=before.headline) == before
    assert after.message.startswith(before.message)
    assert after.headline == f"{before.headline} (muted until 2026-01-01)"


def test_of_several_the_one_that_holds_longest_counts() -> None:
    finding = of_rule(reported(mute(expires="2026-01-01"), mute(expires="2026-12-24"), mute(expires="2026-12-01")))
    assert finding.muted == Muted(reason="known since May", expires="2026-12-24")
    assert "It was muted" not in finding.message


# --- notes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expires", "line"),
    [
        ("2026-12-08", None),
        ("2026-12-07", "it expires on 2026-12-07; fix what it mutes, or renew it"),
        ("2026-11-23", "it expires on 2026-11-23; fix what it mutes, or renew it"),
        ("2026-11-22", "it expired on 2026-11-22: what it muted counts again; fix that, or renew the mute"),
    ],
)
def test_one_that_expires_soon_is_told(expires: str, line: str | None) -> None:
    expected = [] if line is None else [f"[[mute]] 1 (VNC101 on server): {line}"]
    assert noted(mute(expires=expires)) == expected


def test_an_expired_one_beside_one_that_holds_is_not_told() -> None:
    assert noted(mute(expires="2026-01-01"), mute(expires="2027-12-24")) == []


def test_one_that_mutes_nothing_is_told() -> None:
    assert noted(mute("VNC103"), mute()) == ["[[mute]] 1 (VNC103 on server): it mutes nothing; remove it"]
    assert noted(mute("VNC103", expires="2026-01-01")) == [
        "[[mute]] 1 (VNC103 on server): it mutes nothing and expired on 2026-01-01; remove it"
    ]


def test_one_server_that_it_is_of_use_on_is_enough() -> None:
    assert noted(mute(server="*"), servers=(WELL, STRICT)) == []
    assert noted(mute(server="well"), servers=(WELL, STRICT)) == [
        "[[mute]] 1 (VNC101 on well): it mutes nothing; remove it"
    ]


def test_one_is_not_judged_by_servers_that_were_not_looked_at_or_not_fully_read() -> None:
    assert noted(mute(server="web-*")) == []
    assert noted(mute(server="web-*"), whole=True) == ["[[mute]] 1 (VNC101 on web-*): no server is so named; remove it"]
    unread = server(name="unread", id="unread-id", crn="crn:v1:unread")
    assert noted(mute(server="unread"), servers=(unread,)) == []
    assert noted(mute(server="*"), servers=(unread, WELL)) == []


# --- fingerprints -----------------------------------------------------------------------------------------------------


def test_fingerprints_are_the_same_muted_expired_and_in_any_order() -> None:
    def fingerprints(report: Report) -> set[str]:
        return {finding.fingerprint for instance in report.instances for finding in instance.findings}

    before = fingerprints(reported(servers=(STRICT, WELL)))
    assert fingerprints(reported(mute(), servers=(WELL, STRICT), today="2027-06-30")) == before
    assert fingerprints(reported(mute(), servers=(WELL, STRICT), today="2027-07-01")) == before
