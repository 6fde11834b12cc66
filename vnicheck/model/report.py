"""The report, `vnicheck.report/1`: what `--format json` writes and every other format renders."""

from typing import Literal

import msgspec
from msgspec import Struct

from vnicheck.model.cloud import Ref, ServerKind
from vnicheck.model.flow import Finding, Flow, Severity
from vnicheck.model.snapshot import Problem

REPORT_SCHEMA: Literal["vnicheck.report/1"] = "vnicheck.report/1"


class Tool(Struct, frozen=True, kw_only=True):
    """Who wrote the report."""

    name: str
    version: str


class RpFilter(Struct, frozen=True, kw_only=True):
    """`effective` is the larger of the two (net/ipv4/fib_frontend.c, IN_DEV_RPFILTER); None: not collected."""

    all: int | None
    interface: int | None
    effective: int | None


class VniSummary(Struct, frozen=True, kw_only=True):
    """A VNI as the report shows it. `protocol_state_filtering` is what the mode comes to on this kind of server."""

    id: str
    name: str
    protocol_state_filtering_mode: str | None
    protocol_state_filtering: Literal["enabled", "disabled"] | None
    allow_ip_spoofing: bool | None
    addresses: tuple[str, ...]
    floating_ips: tuple[str, ...]
    legacy: bool = False
    """A legacy network interface: it behaves as in mode auto, and its mode cannot be changed."""


class InterfaceSummary(Struct, frozen=True, kw_only=True):
    """A guest interface beside its VNI; either may be missing. `name` is the VNI's where the guest has no interface."""

    name: str
    mac: str | None
    addresses: tuple[str, ...]
    rp_filter: RpFilter
    vni: VniSummary | None
    in_guest: bool


Status = Literal["analyzed", "incomplete", "skipped"]


class InstanceReport(Struct, frozen=True, kw_only=True):
    """All that is said of one server."""

    id: str
    name: str
    crn: str
    kind: ServerKind
    vpc: Ref
    zone: str
    status: Status
    problems: tuple[Problem, ...]
    interfaces: tuple[InterfaceSummary, ...]
    flows: tuple[Flow, ...]
    findings: tuple[Finding, ...]


class Summary(Struct, frozen=True, kw_only=True):
    """Counts over all instances."""

    instances: int
    analyzed: int
    incomplete: int
    skipped: int
    findings: dict[Severity, int]
    """Without the muted ones."""
    muted: int = 0


class Report(Struct, frozen=True, kw_only=True):
    """The document."""

    schema: Literal["vnicheck.report/1"]
    tool: Tool
    generated_at: str
    complete: bool
    summary: Summary
    instances: tuple[InstanceReport, ...]


def summarize(instances: tuple[InstanceReport, ...]) -> Summary:
    """The counts of a report's instances."""
    findings: dict[Severity, int] = {"error": 0, "warning": 0, "note": 0}
    for instance in instances:
        for finding in instance.findings:
            if finding.counts:
                findings[finding.severity] += 1
    statuses = [instance.status for instance in instances]
    return Summary(
        instances=len(instances),
        analyzed=statuses.count("analyzed"),
        incomplete=statuses.count("incomplete"),
        skipped=statuses.count("skipped"),
        findings=findings,
        muted=sum(not finding.counts for instance in instances for finding in instance.findings),
    )


def encode_report(report: Report) -> bytes:
    """Indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(report, order="deterministic"), indent=2) + b"\n"
