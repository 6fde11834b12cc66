"""JUnit XML: a suite for each server, in it a test case for each rule; and a suite for what was read of each region.

A case fails where the rule found something at or above `--fail-on`, and is skipped where what was found is muted or
known from the baseline. Of a server that was not fully checked there are the rules that found something, and one case
for all others, for they cannot be said to hold: in error, or skipped where the server does not run. So the document is
green if and only if the exit code is.
"""

from collections.abc import Iterator
from typing import Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from msgspec import UnsetType

from vnicheck.findings.rule import Rule
from vnicheck.model.finding import Finding
from vnicheck.model.grouped import grouped
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.words import one_line
from vnicheck.report.coverage import coverage_line, findings_line, regions_of
from vnicheck.report.writer import Settings, Spool, fix_line
from vnicheck.rules.registry import RULES

TEXT = 2000


class JunitWriter:
    """`--format junit`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._spool = Spool()
        self._totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's report."""
        where = f"{instance.region}." if instance.region else ""
        suite = TestSuite(one_line(f"{where}{instance.name}"))
        found = grouped((finding.rule, finding) for finding in instance.findings)
        whole = instance.status == "analyzed"
        for rule in RULES:
            if whole or rule.id in found:
                suite.add_testcase(self._case(rule, found.get(rule.id, []), suite.name))
        if not whole:
            suite.add_testcase(_case("fully checked", suite.name, _unchecked(instance)))
        self._keep(suite)

    def finish(self, report: Report) -> Iterator[bytes]:
        """The document."""
        suite = TestSuite("coverage")
        for region in regions_of(report):
            name = one_line(region.name, 80) or "the region"
            why = [one_line(f"{each.code}: {each.message}", TEXT) for each in region.problems]
            suite.add_testcase(_case(f"{name} was read", "coverage", Error("; ".join(why)) if why else None))
        told = _case("coverage", "coverage", None)
        told.system_out = f"{coverage_line(report)} {findings_line(report)}"
        suite.add_testcase(told)
        self._keep(suite)
        root = JUnitXml("vnicheck")
        for name, value in self._totals.items():
            setattr(root, name, value)
        opening = _text(root).removesuffix("/>").rstrip()
        yield f'<?xml version="1.0" encoding="utf-8"?>\n{opening}>\n'.encode()
        yield from self._spool
        yield b"</testsuites>\n"

    def _keep(self, suite: Any) -> None:
        suite.update_statistics()
        for name in self._totals:
            self._totals[name] += getattr(suite, name)
        self._spool.write(_text(suite).encode() + b"\n")

    def _case(self, rule: Rule, findings: list[Finding], server: str) -> Any:
        name = f"{rule.id} {rule.name}"
        failing = [finding for finding in findings if self._settings.fails(finding)]
        if failing:
            return _case(name, server, _failure(failing), quiet=findings, shown=failing)
        excused = [finding for finding in findings if not finding.counts]
        if excused:
            return _case(name, server, Skipped(_excuse(excused[0])), quiet=findings)
        return _case(name, server, None, quiet=findings)


def _case(
    name: str, server: str, result: Any, *, quiet: list[Finding] | None = None, shown: list[Finding] | None = None
) -> Any:
    """A test case. `quiet`: findings to tell of as output, without those `shown` already."""
    case = TestCase(name, classname=server)
    if result is not None:
        case.result = [result]
    told = [finding for finding in quiet or [] if finding not in (shown or [])]
    if told:
        case.system_out = "\n".join(one_line(f"{each.severity}: {each.message}", TEXT) for each in told)
    return case


def _text(element: Any) -> str:
    return str(element.tostring().decode()).strip()


def _failure(findings: list[Finding]) -> Any:
    failure = Failure(one_line(findings[0].message, 300), findings[0].severity)
    lines = []
    for finding in findings:
        lines.append(one_line(f"{finding.severity}: {finding.message}", TEXT))
        lines += [one_line(f"fix: {fix_line(fix)}", TEXT) for fix in finding.fixes]
    failure.text = "\n".join(lines)
    return failure


def _unchecked(instance: InstanceReport) -> Any:
    if instance.stopped:
        return Skipped("the server does not run")
    why = "; ".join(one_line(f"{each.code}: {each.message}", 300) for each in instance.problems[:3])
    return Error(one_line(f"not fully checked: {why}", TEXT))


def _excuse(finding: Finding) -> str:
    muted = finding.muted
    if isinstance(muted, UnsetType):
        return "known from the baseline"
    return one_line(f"muted until {muted.expires}: {muted.reason}", TEXT)
