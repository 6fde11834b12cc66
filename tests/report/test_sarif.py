"""`--format sarif`: the official schema, and what GitHub code scanning demands beyond it."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support import reports
from tests.support.fleet import BROKEN, NOW, TIMEOUT, WELL, fleet, member, regions
from tests.support.sarif import VALIDATOR, checked
from vnicheck.analysis.lint import LintResult, lint
from vnicheck.model.baseline import Baseline
from vnicheck.model.config import Config
from vnicheck.model.finding import SEVERITIES, Finding
from vnicheck.model.mute import Mute
from vnicheck.model.naming import Day
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.snapshot import Server
from vnicheck.report import sarif
from vnicheck.report.sarif import SarifWriter
from vnicheck.report.writer import Location, Settings
from vnicheck.rules.registry import RULES


def written(report: Report, settings: Settings | None = None) -> Any:
    """A whole report as SARIF."""
    writer = SarifWriter(settings or Settings())
    for instance in report.instances:
        writer.add(instance)
    return checked(b"".join(writer.finish(report)))


def linted(*servers: Server, earlier: Baseline | None = None, config: Config | None = None, **more: Any) -> Any:
    return _linted(*servers, earlier=earlier, config=config, **more)[0]


def _linted(
    *servers: Server, earlier: Baseline | None = None, config: Config | None = None, **settings: Any
) -> tuple[Any, LintResult]:
    writer = SarifWriter(Settings(**settings))
    outcome = lint(
        regions(*servers, config=config),
        config or Config(),
        generated_at=NOW,
        writers=[writer],
        earlier=earlier,
    )
    return checked(b"".join(writer.finish(outcome.report))), outcome


def results(document: Any) -> list[Any]:
    return list(document["runs"][0]["results"])


@pytest.mark.parametrize("name", reports.ALL)
def test_every_report_fits_the_schema_and_loses_no_finding(name: str) -> None:
    report = reports.ALL[name]()
    document = written(report)
    findings = [finding for instance in report.instances for finding in instance.findings]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))  # the worst first
    assert [result["ruleId"] for result in results(document)] == [finding.rule for finding in findings]
    hashes = [result["partialFingerprints"]["vnicheck/v1"] for result in results(document)]
    assert hashes == [finding.fingerprint for finding in findings]


def test_every_rule_is_there_with_its_page() -> None:
    rules = linted(member("well", WELL))["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.id for rule in RULES]
    strict = rules[0]
    assert "## How to fix" in strict["help"]["markdown"]
    assert strict["shortDescription"]["text"] == "Requests are dropped by strict reverse path filtering."
    assert strict["fullDescription"]["text"].startswith("Flows whose packets enter the guest by one interface")
    assert {rule["name"] for rule in rules if "security-severity" in rule["properties"]} == {
        "filtering-disabled",
        "spoofing-allowed",
    }


def test_nothing_found_is_a_document_with_no_results_so_that_alerts_close() -> None:
    document = linted(member("well", WELL))
    assert results(document) == []
    (invocation,) = document["runs"][0]["invocations"]
    assert invocation == {"executionSuccessful": True, "toolExecutionNotifications": []}


def test_a_result_leads_hop_by_hop_to_the_drop() -> None:
    (result,) = [each for each in results(linted(member("web-1", BROKEN))) if each["ruleId"] == "VNC101"]
    assert result["level"] == "error"
    assert result["message"]["text"].startswith("web-1: tcp, udp and icmp requests to 10.0.0.12 (eth1) are dropped")
    assert "\nFix: policy routing (until the next boot): ip route add" in result["message"]["text"]
    steps = [step["location"]["message"]["text"] for step in result["codeFlows"][0]["threadFlows"][0]["locations"]]
    assert steps[0].endswith("and 10.0.0.12: dropped by rp_filter")
    (drop,) = [step for step in steps[1:] if "rp_filter is strict on eth1" in step]
    assert drop.startswith("request at eth1, source validation: drop: ")
    assert steps.index(drop) < len(steps) - 1, "what would drop it next is told, too"


def test_the_place_is_the_one_that_is_given() -> None:
    def place(server: Any, finding: Any) -> Location:
        return Location(uri=f"env/{server.name} ü.tf", line=7, end_line=9)

    (first, *_) = results(linted(member("web-1", BROKEN), place=place, scope="vnicheck/eu-de/prod/"))
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "env/web-1%20%C3%BC.tf", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 7, "startColumn": 1, "endLine": 9},
    }


def test_the_run_names_its_selection() -> None:
    run = linted(member("web-1", BROKEN), scope="vnicheck/eu-de/prod/")["runs"][0]
    assert run["automationDetails"] == {"id": "vnicheck/eu-de/prod/"}


def test_what_could_not_be_checked_is_a_notification_and_no_failed_run() -> None:
    """GitHub rejects the file of a run that calls itself unsuccessful, with every result in it."""
    (invocation,) = linted(*fleet())["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is True
    texts = [told["message"]["text"] for told in invocation["toolExecutionNotifications"]]
    assert texts == ["unreached: ssh_timeout: 10.0.0.11 did not answer within 10 seconds"]


def test_results_of_a_server_that_is_out_of_reach_are_carried_forward() -> None:
    before, outcome = _linted(member("web-1", BROKEN))
    after = linted(member("web-1", problems=(TIMEOUT,)), earlier=outcome.baseline)
    kept = {each["partialFingerprints"]["primaryLocationLineHash"] for each in results(before)}
    now = {each["partialFingerprints"]["primaryLocationLineHash"]: each for each in results(after)}
    assert kept <= set(now), "an alert would close although nobody looked"
    for key in kept:
        assert now[key]["properties"]["carriedForward"] is True
        assert now[key]["baselineState"] == "unchanged"
        assert "Not checked in this run; found earlier." in now[key]["message"]["text"]
    fixed = linted(member("web-1", WELL), earlier=outcome.baseline)
    assert results(fixed) == []


def test_known_and_new_results_are_told_apart() -> None:
    outcome = _linted(member("web-1", BROKEN))[1]
    both = results(linted(member("web-1", BROKEN), member("web-2", BROKEN), earlier=outcome.baseline))
    states = {(each["properties"]["server"], each["baselineState"]) for each in both}
    assert states == {("web-1", "unchanged"), ("web-2", "new")}


def test_muted_findings_are_left_out() -> None:
    """GitHub shows suppressed results as open alerts."""
    mute = Mute(rule="VNC101", server="*", reason="known", expires=Day("2999-01-01"))
    document = linted(member("web-1", BROKEN), config=Config(mute=(mute,)))
    assert "VNC101" not in {each["ruleId"] for each in results(document)}
    assert results(document)
    assert document["runs"][0]["properties"]["muted"] == 1


def test_no_more_results_than_github_takes_the_worst_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST", 3)
    document = linted(member("web-1", BROKEN), member("web-2", BROKEN))
    assert [each["level"] for each in results(document)] == ["error", "error", "warning"]
    (told,) = document["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    assert "results are left out, the least severe ones" in told["message"]["text"]


def test_more_than_github_shows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "SHOWN", 5)
    document = linted(member("web-1", BROKEN), member("web-2", BROKEN))
    assert [each["level"] for each in results(document)] == ["error"] * 2 + ["warning"] * 2 + ["note"] * 2
    (told,) = document["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    assert told["message"]["text"] == "GitHub shows the first 5 of 6 results, the most severe ones"


def test_a_rule_links_to_its_page_where_that_is_to_be_had() -> None:
    report = reports.demo(1)

    def uris(pages: str | None) -> list[str | None]:
        writer = SarifWriter(Settings(rule_pages=pages))
        document = checked(b"".join(writer.finish(report)))
        return [rule.get("helpUri") for rule in document["runs"][0]["tool"]["driver"]["rules"]]

    folder = Path(__file__).parents[2] / "docs" / "rules"
    found = uris("https://example.com/docs/rules/")
    assert all(
        uri is not None and (folder / uri.removeprefix("https://example.com/docs/rules/")).is_file() for uri in found
    )
    assert set(uris(None)) == {None}


def test_hostile_names_steer_no_terminal() -> None:
    writer = SarifWriter(Settings())
    report = reports.hostile()
    for instance in report.instances:
        writer.add(instance)
    text = b"".join(writer.finish(report)).decode()
    assert [char for char in text if not char.isprintable() and char != "\n"] == []
    assert results(checked(text.encode()))[0]["properties"]["server"] == reports.HOSTILE


def test_nothing_remote_is_a_link() -> None:
    report = reports.demo(1)
    (instance,) = report.instances
    finding: Finding = msgspec.structs.replace(instance.findings[0], message="see [here](1) or [there](https://x)")
    spoilt: InstanceReport = msgspec.structs.replace(instance, findings=(finding,))
    (result,) = results(written(msgspec.structs.replace(report, instances=(spoilt,))))
    assert "](" not in result["message"]["text"]


def test_a_rule_of_another_version_is_carried_forward_without_an_index() -> None:
    outcome = _linted(member("web-1", BROKEN))[1]
    renamed = [msgspec.structs.replace(each, rule="VNC999") for each in outcome.baseline.findings]
    writer = SarifWriter(Settings())
    earlier = msgspec.structs.replace(outcome.baseline, findings=tuple(renamed))
    report = lint(
        regions(member("web-1", problems=(TIMEOUT,))), Config(), generated_at=NOW, writers=[writer], earlier=earlier
    ).report
    document = json.loads(b"".join(writer.finish(report)))
    assert list(VALIDATOR.iter_errors(document)) == []
    assert "VNC999" in {each["ruleId"] for each in results(document)}
