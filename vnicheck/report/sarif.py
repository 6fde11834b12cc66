"""SARIF 2.1.0, as GitHub code scanning takes it: every result has a line of a file, and a fingerprint that stays.

What GitHub makes of a file decides what stands in it. It rejects one whose run is called unsuccessful, so a run that
could not check everything says so in a notification, and carries on what the baseline knows of the rest, so that no
alert closes unseen. It shows suppressed results as open alerts, so muted findings are left out.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from vnicheck.findings.rule import Rule
from vnicheck.findings.terms import DROPS, STAGES
from vnicheck.model.baseline import Earlier
from vnicheck.model.finding import SEVERITIES, Finding, Severity
from vnicheck.model.flow import Flow, Outcome
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.words import one_line, shown_json
from vnicheck.report.coverage import Unchecked, coverage_line
from vnicheck.report.writer import Location, Settings, around, fix_line
from vnicheck.rules.registry import RULES

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST = 25_000
"""Results that GitHub takes in a run; it rejects a file with more."""
SHOWN = 5_000
"""Results that GitHub shows of a run: the most severe ones."""
FLOWS = 3
"""Code flows of a result: one for each way in which its flows are dropped."""
MESSAGE = 1000
_SECURITY = {"filtering-disabled": "3.0", "spoofing-allowed": "3.0"}
"""Rules that are about protection, and their score: low, for the VPC's other checks hold."""
_PROBLEM = {"error": "error", "warning": "warning", "note": "recommendation"}
_INDEX = {rule.id: index for index, rule in enumerate(RULES)}

Json = dict[str, Any]


class SarifWriter:
    """`--format sarif`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._results: list[tuple[int, bytes]] = []
        self._muted = 0
        self._unchecked = Unchecked()

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's findings."""
        self._unchecked.add(instance)
        for finding in instance.findings:
            if finding.is_muted:
                self._muted += 1
            else:
                self._keep(finding.severity, self._result(instance, finding))

    def finish(self, report: Report) -> Iterator[bytes]:
        """The document."""
        if not isinstance(report.baseline, msgspec.UnsetType):
            for each in report.baseline.carried:
                self._keep(each.severity, self._carried(each))
        left_out = len(self._results) - MOST
        self._results = sorted(self._results, key=lambda result: result[0])[:MOST]  # stable
        document = {
            "$schema": SCHEMA_URI,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {"driver": _driver(report, self._settings.rule_pages)},
                    "automationDetails": {"id": self._settings.scope},
                    "columnKind": "unicodeCodePoints",
                    "invocations": [_invocation(self._unchecked.lines(report), len(self._results), left_out)],
                    "properties": {
                        "complete": report.complete,
                        "generatedAt": report.generated_at,
                        "muted": self._muted,
                        "summary": coverage_line(report),
                    },
                    "results": [],
                }
            ],
        }
        before, after = around(msgspec.json.format(msgspec.json.encode(document), indent=1), "results")
        yield before
        for number, (_, encoded) in enumerate(self._results):  # a line each: a fleet's results are many
            yield (b",\n" if number else b"\n") + encoded
        yield b"\n" + after + b"\n"

    def _keep(self, severity: Severity, result: Json) -> None:
        self._results.append((SEVERITIES.index(severity), shown_json(msgspec.json.encode(result))))

    def _result(self, instance: InstanceReport, finding: Finding) -> Json:
        place = self._settings.place(instance, finding)
        text = f"{one_line(instance.name, 80)}: {one_line(finding.message, MESSAGE)}"
        if finding.fixes:
            text += f"\nFix: {one_line(fix_line(finding.fixes[0]), MESSAGE)}"
        result = _common(finding, place, instance.name, instance.crn, text)
        result["properties"] = {
            "confidence": finding.confidence,
            "region": instance.region,
            "server": instance.name,
            "serverId": instance.id,
            "vpc": instance.vpc.name,
        }
        if not isinstance(finding.known, msgspec.UnsetType):
            result["baselineState"] = "unchanged" if finding.known else "new"
        flows = _distinct([instance.flows[index] for index in finding.flows])
        if flows:
            result["codeFlows"] = [{"threadFlows": [{"locations": _steps(flow, place)}]} for flow in flows]
        return result

    def _carried(self, each: Earlier) -> Json:
        text = f"{one_line(each.name, 80)}: {one_line(each.message, MESSAGE)}\nNot checked in this run; found earlier."
        result = _common(each, self._settings.place(each, each), each.name, each.crn, text)
        result["properties"] = {
            "carriedForward": True,
            "region": each.region,
            "server": each.name,
            "serverId": each.id,
        }
        result["baselineState"] = "unchanged"
        return result


def _common(finding: Finding | Earlier, place: Location, server: str, crn: str, text: str) -> Json:
    rule = {"ruleIndex": _INDEX[finding.rule]} if finding.rule in _INDEX else {}
    return {
        "ruleId": finding.rule,
        **rule,
        "level": finding.severity,
        "message": {"text": _literal(f"{text}\n{one_line(crn)}")},
        "locations": [
            {
                "physicalLocation": _physical(place),
                "logicalLocations": [
                    {"name": one_line(server), "fullyQualifiedName": one_line(crn) or "-", "kind": "resource"}
                ],
            }
        ],
        "partialFingerprints": {
            "primaryLocationLineHash": f"{finding.fingerprint[:16]}:1",
            "vnicheck/v1": finding.fingerprint,
        },
    }


def _physical(place: Location) -> Json:
    region = {"startLine": place.line, "startColumn": 1}
    if place.end_line is not None:
        region["endLine"] = place.end_line
    return {"artifactLocation": {"uri": quote(place.uri), "uriBaseId": "%SRCROOT%"}, "region": region}


def _distinct(flows: list[Flow]) -> list[Flow]:
    """The first flow of each way in which flows end."""
    ways: dict[tuple[object, ...], Flow] = {}
    for flow in flows:
        ways.setdefault((flow.direction, flow.ingress, flow.egress, flow.verdict, flow.drops), flow)
    return list(ways.values())[:FLOWS]


def _steps(flow: Flow, place: Location) -> list[Json]:
    """A flow's hops, after a line that says which flow it is."""
    ports = "" if isinstance(flow.ports, msgspec.UnsetType) else f" ports {', '.join(flow.ports[:3])}"
    remote = ", ".join(flow.remote[:3]) + (", ..." if len(flow.remote) > 3 else "")
    verdict = flow.verdict.value + (f" by {DROPS[flow.dropped_by].label}" if flow.dropped_by is not None else "")
    head = f"{flow.direction.value} {flow.protocol.value}{ports} between {remote} and {flow.local}: {verdict}"
    steps = [_step(head, place, "essential")]
    for hop in flow.hops:
        text = f"{hop.leg.value} at {hop.at}, {STAGES[hop.stage]}: {hop.outcome.value}: {hop.reason}"
        steps.append(_step(text, place, "important" if hop.outcome is Outcome.PASS else "essential"))
    return steps


def _step(text: str, place: Location, importance: str) -> Json:
    location = {"physicalLocation": _physical(place), "message": {"text": _literal(one_line(text, MESSAGE))}}
    return {"location": location, "importance": importance}


def _literal(text: str) -> str:
    """Text in which nothing is a link to a location of the result."""
    return text.replace("](", "] (")


def _driver(report: Report, pages: str | None) -> Json:
    return {
        "name": report.tool.name,
        "version": report.tool.version,
        "semanticVersion": report.tool.version,
        "rules": [_rule(rule, pages) for rule in RULES],
    }


def _rule(rule: Rule, pages: str | None) -> Json:
    level = rule.severity or "error"
    security = _SECURITY.get(rule.name)
    properties: Json = {
        "tags": ["network", "vpc", *(["security"] if security is not None else [])],
        "precision": "very-high",
        "problem.severity": _PROBLEM[level],
    }
    if security is not None:
        properties["security-severity"] = security
    page = rule.page.strip()
    uri = {} if pages is None else {"helpUri": f"{pages.rstrip('/')}/{rule.id}-{rule.name}.md"}
    return {
        "id": rule.id,
        "name": rule.name,
        **uri,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": _finds(page) or rule.summary},
        "help": {"text": page, "markdown": f"# {rule.id} {rule.name}\n\n{page}\n"},
        "defaultConfiguration": {"level": level},
        "properties": properties,
    }


def _finds(page: str) -> str:
    """The page's section on what the rule finds, in one line."""
    _, _, rest = page.partition("## What it finds\n")
    return one_line(rest.partition("\n## ")[0], MESSAGE)


def _invocation(problems: list[str], results: int, left_out: int) -> Json:
    told = [_notification(line, "warning") for line in problems]
    if results > SHOWN:
        told.append(
            _notification(f"GitHub shows the first {SHOWN} of {results} results, the most severe ones", "warning")
        )
    if left_out > 0:
        text = f"{left_out} results are left out, the least severe ones: no more than {MOST} are taken"
        told.append(_notification(text, "warning"))
    return {"executionSuccessful": True, "toolExecutionNotifications": told}


def _notification(text: str, level: str) -> Json:
    return {"level": level, "message": {"text": _literal(one_line(text, MESSAGE))}}
