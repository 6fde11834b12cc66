"""`vnicheck demo`: the article's three checks, what was observed beside what is predicted."""

from vnicheck.analysis.server import assemble_report
from vnicheck.cli.failure import UserError, ended_by
from vnicheck.cli.given import DemoOptions
from vnicheck.cli.output import Destination, check_fail_on, exit_status, write_report
from vnicheck.cli.terminal import console
from vnicheck.demo.checks import (
    AS_RECORDED,
    CHECKS,
    CLIENT,
    SERVICE,
    ArticleCheck,
    Observation,
    load_check,
    predicted,
    replayed,
)
from vnicheck.model.flow import Direction
from vnicheck.model.rehearsal import Phase
from vnicheck.model.report import InstanceReport
from vnicheck.model.words import counted
from vnicheck.report.page import Page
from vnicheck.report.rehearsal import what_packets_did
from vnicheck.report.text import write_instance
from vnicheck.system.clock import now


def demo(given: DemoOptions) -> int:
    """The work of `DemoOptions`: the exit code."""
    destination = Destination(given.display.formats, given.display.output)
    fail_on = check_fail_on(given.display.fail_on)
    time = now()
    instances = replayed(time)
    report = assemble_report(instances, generated_at=time)
    if given.rehearse and destination.wanted != [("text", None)]:
        raise UserError("--rehearse is shown as text")
    if destination.wanted == [("text", None)]:
        phases = _rehearsed() if given.rehearse else [None] * len(CHECKS)
        for check, instance, phase in zip(CHECKS, instances, phases, strict=True):
            _show(check, instance, phase, no_color=given.display.no_color, explain=given.explain)
    else:
        write_report(report, destination, no_color=given.display.no_color, explain=given.explain)
    return exit_status(report, fail_on, allow_incomplete=False)


def _rehearsed() -> list[Phase | None]:
    """Each check's server, rebuilt and tried. Raises UserError."""
    from vnicheck.rehearse.namespaces import RehearsalError
    from vnicheck.rehearse.rehearsal import Rehearsing
    from vnicheck.rehearse.sandbox import Sandbox

    phases: list[Phase | None] = []
    for check in CHECKS:
        observed = load_check(check)
        (server,) = observed.servers
        if server.guest is not None:
            with ended_by(RehearsalError), Sandbox() as box:
                rehearsing = Rehearsing(
                    box, server, server.guest, observed.fabric, AS_RECORDED, prefer=[CLIENT], tell=lambda _: None
                )
                phases.append(rehearsing.as_is())
    return phases


def _show(check: ArticleCheck, instance: InstanceReport, phase: Phase | None, *, no_color: bool, explain: bool) -> None:
    page = Page(console(no_color=no_color), explain=explain)
    page.prose(
        f"{check.setup}; client {CLIENT}; spoofing-sibling passed, as recorded",
        lead=(f"Check {check.number}  ", "bold"),
    )
    page.line()
    for observation in check.observations:
        flow = predicted(instance, observation)
        agree = (flow.verdict == "delivered") is observation.answered
        said = "delivered" if not flow.drops else f"dropped by {flow.drops[0].by} at {flow.drops[0].at}"
        mark = page.glyphs.tick if agree else page.glyphs.cross
        seen = f"{'answered' if observation.answered else 'lost'}: {observation.seen}"
        page.line((observation.what, "bold"), indent=2)
        page.prose(seen, indent=4, lead="observed   ")
        page.prose((f"{said} {mark}", "green" if agree else "red"), indent=4, lead="predicted  ")
        if phase is not None:
            _show_rehearsed(page, observation, phase)
    if phase is not None:
        flows = counted(len(phase.flows), "flow")
        page.line()
        page.prose(f"rehearsed here: {phase.count('agrees')} of {flows} of all kinds did what was predicted", indent=2)
    page.line()
    write_instance(page, instance, now())
    page.line()


def _show_rehearsed(page: Page, observation: Observation, phase: Phase) -> None:
    """The flow that stands for the observed one's class: from the same client, to a port of its own."""
    wanted = (Direction.INBOUND, observation.protocol, CLIENT, SERVICE)
    for flow in phase.flows:
        if (flow.direction, flow.protocol, flow.remote, flow.local) == wanted:
            agree = flow.delivered is observation.answered
            said = "answered" if flow.delivered else f"lost: {what_packets_did(flow)}"
            mark = page.glyphs.tick if agree else page.glyphs.cross
            page.prose((f"{said} {mark}", "green" if agree else "red"), indent=4, lead="rehearsed  ")
