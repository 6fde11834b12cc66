"""The report, `vnicheck.report/2`: what `--format json` writes and every other format renders."""

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from vnicheck import __version__
from vnicheck.model.baseline import Earlier
from vnicheck.model.cause import Cause
from vnicheck.model.cloud import Ref, ServerKind
from vnicheck.model.finding import SEVERITIES, Finding, Severity
from vnicheck.model.flow import Flow, plain
from vnicheck.model.snapshot import Problem
from vnicheck.model.words import shown_json

REPORT_SCHEMA: Literal["vnicheck.report/2"] = "vnicheck.report/2"


class Tool(Struct, frozen=True, kw_only=True):
    """Who wrote the report."""

    name: str
    version: str


TOOL = Tool(name="vnicheck", version=__version__)


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
    untranslated: tuple[str, ...] | UnsetType = UNSET
    """Those floating IPs that the VPC does not translate, so that they are addresses of the guest; absent: none."""

    @property
    def carried(self) -> tuple[str, ...]:
        """The addresses of its own that packets carry."""
        return self.addresses if isinstance(self.untranslated, UnsetType) else (*self.addresses, *self.untranslated)


class InterfaceSummary(Struct, frozen=True, kw_only=True):
    """A guest interface beside its VNI; either may be missing. `name` is the VNI's where the guest has no interface."""

    name: str
    mac: str | None
    addresses: tuple[str, ...]
    rp_filter: RpFilter
    vni: VniSummary | None
    in_guest: bool


class Collected(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When the facts are from (UTC, ISO 8601): the VPC's side and the server's own; absent where it was not read, or
    that is not known.
    """

    vpc: str | UnsetType = UNSET
    guest: str | UnsetType = UNSET


Status = Literal["analyzed", "incomplete", "skipped"]
NOT_RUNNING = "not_running"
"""The problem of a server that does not run."""


class InstanceReport(Struct, frozen=True, kw_only=True):
    """All that is said of one server."""

    id: str
    name: str
    crn: str
    kind: ServerKind
    vpc: Ref
    zone: str
    region: str = ""
    status: Status
    problems: tuple[Problem, ...]
    interfaces: tuple[InterfaceSummary, ...]
    flows: tuple[Flow, ...] = ()
    """Left out of a document that was not asked for them, which an empty list is not."""
    findings: tuple[Finding, ...]
    causes: tuple[Cause, ...] = ()
    """What makes the findings; every one belongs to one."""
    collected: Collected = Collected()
    boot_unknown: str | UnsetType = UNSET
    """Why it is not known what the next boot leaves of what runs; absent where that is known, or no guest is."""

    @property
    def stopped(self) -> bool:
        """Whether there is nothing to check while the server does not run."""
        return self.status == "skipped" and any(problem.code == NOT_RUNNING for problem in self.problems)


class Summary(Struct, frozen=True, kw_only=True):
    """Counts over all instances."""

    instances: int
    analyzed: int
    incomplete: int
    skipped: int
    findings: dict[Severity, int]
    """Without the muted ones, and without those that the baseline has."""
    muted: int = 0
    known: int | UnsetType = UNSET
    """Findings that the baseline has; absent where there is none."""


class RegionReport(Struct, frozen=True, kw_only=True):
    """What was read of a region: `servers` in scope, of which `single_homed` were not asked for.

    `problems` keep the report from being complete, `notes` do not. `name` is empty where it is not known.
    """

    name: str
    servers: int
    single_homed: int
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


class Coverage(Struct, frozen=True, kw_only=True):
    """How much of what was asked for could be checked: `checked` of `servers`, those that are stopped left out.

    `percent` is None where a region, or some of its servers, could not be read: it is not known how many there are.
    """

    servers: int
    checked: int
    stopped: int
    single_homed: int
    percent: float | None


class BaselineReport(Struct, frozen=True, kw_only=True):
    """What became of the baseline. `gone`: no longer found on servers that were checked. `carried`: of servers that
    could not be checked, and not found now. `elsewhere`: how many are of servers that this run does not select.
    """

    gone: tuple[Earlier, ...]
    carried: tuple[Earlier, ...]
    elsewhere: int


class Report(Struct, frozen=True, kw_only=True):
    """The document."""

    schema: Literal["vnicheck.report/2"]
    tool: Tool
    generated_at: str
    complete: bool
    summary: Summary
    coverage: Coverage | UnsetType = UNSET
    """Of `lint` only, as the next two."""
    regions: tuple[RegionReport, ...] | UnsetType = UNSET
    baseline: BaselineReport | UnsetType = UNSET
    instances: tuple[InstanceReport, ...]


class Tally:
    """Counts instances one by one."""

    def __init__(self) -> None:
        self._statuses: dict[Status, int] = {"analyzed": 0, "incomplete": 0, "skipped": 0}
        self._findings: dict[Severity, int] = dict.fromkeys(SEVERITIES, 0)
        self._muted = self._known = self._stopped = 0
        self._baseline = False

    def add(self, instance: InstanceReport) -> None:
        """Counts one more."""
        self._statuses[instance.status] += 1
        self._stopped += instance.stopped
        for finding in instance.findings:
            self._baseline |= finding.known is not UNSET
            self._muted += finding.is_muted
            self._known += finding.is_known and not finding.is_muted
            if finding.counts:
                self._findings[finding.severity] += 1

    @property
    def complete(self) -> bool:
        """Whether all that runs was fully checked."""
        return self._statuses["incomplete"] == 0 and self._statuses["skipped"] == self._stopped

    @property
    def stopped(self) -> int:
        """The servers that do not run."""
        return self._stopped

    def summary(self, *, baseline: bool = False) -> Summary:
        """The counts so far. `baseline`: say how many are known, be it none."""
        return Summary(
            instances=sum(self._statuses.values()),
            **self._statuses,
            findings=dict(self._findings),
            muted=self._muted,
            known=self._known if baseline or self._baseline else UNSET,
        )


def encode_report(report: Report) -> bytes:
    """Indented JSON with a final newline, flows included. `JsonWriter` writes the same, an instance at a time."""
    return (
        shown_json(msgspec.json.format(msgspec.json.encode(report, order="deterministic", enc_hook=plain), indent=2))
        + b"\n"
    )


def encode_instance(instance: InstanceReport, *, flows: bool) -> bytes:
    """One server as JSON on one line; without `flows`, nothing that lists or numbers them."""
    if flows:
        return shown_json(msgspec.json.encode(instance, order="deterministic", enc_hook=plain))
    fields = msgspec.to_builtins(msgspec.structs.replace(instance, flows=()), order="deterministic", enc_hook=plain)
    del fields["flows"]
    for finding in fields["findings"]:
        del finding["flows"]
    return shown_json(msgspec.json.encode(fields))
