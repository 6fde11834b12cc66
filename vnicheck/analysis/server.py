"""A snapshot in, a report out: the engine's flows, then the rules' findings. Pure: the time is passed in."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain

import msgspec
from msgspec import UNSET, UnsetType

from vnicheck.analysis.cause_plans import with_plans
from vnicheck.analysis.interfaces import interface_summaries
from vnicheck.analysis.mutes import apply_mutes
from vnicheck.analysis.observed import observed_flows
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.interfaces import match_interfaces, of_virtual_machine, why_unmatched
from vnicheck.engine.server_view import ServerView
from vnicheck.findings.broken_paths import is_known
from vnicheck.findings.facts import Facts
from vnicheck.model.cause import Cause
from vnicheck.model.cloud import ADVISORY, Fabric, Vni
from vnicheck.model.config import Config
from vnicheck.model.finding import Finding
from vnicheck.model.flow import Flow
from vnicheck.model.guest import NO_PROC, Guest
from vnicheck.model.mute import Mute
from vnicheck.model.naming import Day
from vnicheck.model.report import (
    NOT_RUNNING,
    REPORT_SCHEMA,
    TOOL,
    Collected,
    InstanceReport,
    InterfaceSummary,
    Report,
    Status,
    Tally,
)
from vnicheck.model.snapshot import NOTHING_KNOWN, Problem, Server, Snapshot
from vnicheck.model.words import one_line
from vnicheck.rules.registry import find_all

_PARTS = {"routing": "files that set routes and rules", "sysctls": "files that set sysctls"}
"""Of BootConfig.unknown, in words."""
_OF_BOOT = ("interfaces", "routes", "rules", "sysctls")
NOT_APPLICABLE = {"guest_no_ip", "guest_not_linux", NOT_RUNNING}
"""Problem codes of servers that are passed over, not failed at."""


def report_on(*snapshots: Snapshot, generated_at: str, config: Config, plans: bool = True) -> Report:
    """The report on every server of some snapshots, one for a region. `generated_at`: UTC, ISO 8601. `plans`: prove the
    fix of each cause.
    """
    instances = tuple(
        analyze_server(server, snapshot.fabric, config, read_at=snapshot.created_at, plans=plans)
        for snapshot in snapshots
        for server in snapshot.servers
    )
    return assemble_report(instances, generated_at=generated_at, mutes=config.mute)


def assemble_report(instances: tuple[InstanceReport, ...], *, generated_at: str, mutes: Sequence[Mute] = ()) -> Report:
    """The document around what is said of each server, muted as of the day of `generated_at`."""
    instances = tuple(apply_mutes(instance, mutes, Day(generated_at[:10])) for instance in instances)
    tally = Tally()
    for instance in instances:
        tally.add(instance)
    return Report(
        schema=REPORT_SCHEMA,
        tool=TOOL,
        generated_at=generated_at,
        complete=tally.complete,
        summary=tally.summary(),
        instances=instances,
    )


def analyze_server(
    server: Server,
    fabric: Fabric,
    config: Config,
    *,
    read_at: str = "",
    predict: Callable[[ServerView], tuple[Flow, ...]] = predict_flows,
    plans: bool = False,
) -> InstanceReport:
    """All that is said of one server: a pure function of its snapshot. `read_at`: when the VPC's side was read (UTC,
    ISO 8601). `predict` chooses the flows, all by default. `plans`: prove the fix of each cause; else it is only named.
    """
    problems = (*problems_of(server, fabric), *_too_old(server, read_at, config.max_age))
    status: Status = "analyzed"
    if problems:
        status = "skipped" if any(problem.code in NOT_APPLICABLE for problem in problems) else "incomplete"
    flows: tuple[Flow, ...] = ()
    findings: tuple[Finding, ...] = ()
    causes: tuple[Cause, ...] = ()
    interfaces: tuple[InterfaceSummary, ...] = ()
    if all(vni.subnet in fabric.subnets for vni in server.vnis):
        view = ServerView(server, fabric, config)
        interfaces = interface_summaries(view)
        if status != "skipped":
            facts = Facts(view, observed_flows(view, predict(view)), read_at, every_flow=predict is predict_flows)
            flows, findings, causes = find_all(facts)
            causes = with_plans(facts, findings, causes, prove=plans)
            if status == "analyzed" and facts.every_flow and not is_known(facts):
                status = "incomplete"
                problems = (NOTHING_KNOWN,)
    report = instance_report(server, status, problems, interfaces, flows, findings)
    return msgspec.structs.replace(
        report, causes=causes, collected=_collected(server, read_at), boot_unknown=_boot_unknown(server.guest)
    )


def _boot_unknown(guest: Guest | None) -> str | UnsetType:
    """Why rules on the next boot cannot tell, where they cannot."""
    if guest is None:
        return UNSET
    if guest.boot is None:
        return "the server's configuration files were not collected"
    several = (
        each.source for key, each in guest.boot.sysctls.items() if key.endswith("/rp_filter") and each.value is None
    )
    unread = (f"its {_PARTS.get(part, part)}: {why}" for part, why in guest.boot.unknown.items())
    missing = (f"{fact} were not collected" for fact in _OF_BOOT if fact in guest.missing)
    return next(chain(unread, missing, several), UNSET)


def _collected(server: Server, read_at: str) -> Collected:
    guest = server.guest.collected_at if server.guest is not None else ""
    return Collected(vpc=read_at or UNSET, guest=guest or UNSET)


def instance_report(
    server: Server,
    status: Status,
    problems: tuple[Problem, ...],
    interfaces: tuple[InterfaceSummary, ...] = (),
    flows: tuple[Flow, ...] = (),
    findings: tuple[Finding, ...] = (),
) -> InstanceReport:
    """What is said of a server, with what identifies it."""
    return InstanceReport(
        id=server.id,
        name=server.name,
        crn=server.crn,
        kind=server.kind,
        vpc=server.vpc,
        zone=server.zone,
        region=server.region,
        status=status,
        problems=problems,
        interfaces=interfaces,
        flows=flows,
        findings=findings,
    )


def _too_old(server: Server, read_at: str, days: int) -> Iterator[Problem]:
    """A guest and a VPC's side that are not of one time: what they say together may never have been true."""
    if server.guest is None or not read_at:
        return
    try:
        apart = datetime.fromisoformat(read_at) - datetime.fromisoformat(server.guest.collected_at)
    except (ValueError, TypeError):
        when = one_line(server.guest.collected_at, 40)
        yield Problem(code="guest_old", message=f"when the guest was collected is not known ({when!r})")
        return
    if abs(apart) > timedelta(days=days):
        count = f"{abs(apart).days} day{'' if abs(apart).days == 1 else 's'}"
        side = "before" if apart > timedelta(0) else "after"
        yield Problem(
            code="guest_old",
            message=f"the guest was collected at {server.guest.collected_at}, {count} {side} the VPC's side was read; "
            f"collect it anew, or allow more with --max-age (now {days})",
        )


def problems_of(server: Server, fabric: Fabric) -> tuple[Problem, ...]:
    """Why something of the server could not be checked: what collecting told, and what the facts lack."""
    problems = list(server.problems)
    guest = server.guest
    if guest is None and not server.may_run:
        problems.append(
            Problem(code=NOT_RUNNING, message=f"the server is {server.status}; only the VPC's side is known")
        )
    elif guest is None and not problems:
        problems.append(Problem(code="guest_not_collected", message="the guest was not collected"))
    if server.status != "running" and server.may_run:
        said = f"its status is {one_line(server.status, 40)!r}" if server.status else "the API tells no status of it"
        problems.append(Problem(code="status_unknown", message=f"{said}: whether it runs is not known"))
    if guest is not None:
        problems.extend(
            Problem(code="guest_no_proc" if reason == NO_PROC else "guest_incomplete", message=f"{fact}: {reason}")
            for fact, reason in guest.missing.items()
        )
        problems.extend(
            Problem(code="guest_not_understood", message=f"a line of {line.section}: {line.text}")
            for line in guest.unmodelled
        )
        problems.extend(_unmatched(server, guest))
    problems.extend(
        Problem(code="cloud_incomplete", message=f"{what.replace('_', ' ')}: {reason}")
        for what, reason in fabric.missing.items()
        if what not in ADVISORY
    )
    problems.extend(
        Problem(code="cloud_incomplete", message=f"the subnet of {vni.name} was not readable")
        for vni in server.vnis
        if vni.subnet not in fabric.subnets
    )
    if not any(problem.code == "vni_unreadable" for problem in problems):
        problems.extend(
            Problem(code="cloud_incomplete", message=f"{fact} of {vni.name}: not readable")
            for vni in server.vnis
            for fact in _unread(vni)
        )
    return tuple(problems)


def _unmatched(server: Server, guest: Guest) -> Iterator[Problem]:
    """The VNIs that cannot be told in the guest, and the interfaces whose rp_filter was not collected."""
    interface_of = match_interfaces(server)
    if "interfaces" not in guest.missing:
        for vni in server.vnis:
            if vni.id not in interface_of and not of_virtual_machine(server, vni):
                yield Problem(code="interface_unmatched", message=why_unmatched(server, vni))
    if "sysctls" not in guest.missing:
        for name in ("all", *interface_of.values()):
            if f"net/ipv4/conf/{name}/rp_filter" not in guest.sysctls:
                yield Problem(code="guest_incomplete", message=f"rp_filter of {name}: not collected")


def _unread(vni: Vni) -> list[str]:
    """The facts of a VNI that its checks ask for and that the API did not give."""
    facts = {
        "security groups": vni.security_groups is None,
        "protocol state filtering mode": vni.protocol_state_filtering_mode is None and not vni.legacy,
        "IP spoofing": vni.allow_ip_spoofing is None,
    }
    return [fact for fact, unread in facts.items() if unread]
