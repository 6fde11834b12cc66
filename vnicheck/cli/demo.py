"""`vnicheck demo`: the article's three checks, what was observed beside what is predicted."""

from collections.abc import Sequence

import msgspec
from rich.console import Console

from vnicheck.analysis.server import assemble_report
from vnicheck.cli.failure import UserError, ended_by
from vnicheck.cli.given import DemoOptions
from vnicheck.cli.output import Destination, check_fail_on, exit_status, write_chunks, write_report, writer_of
from vnicheck.demo.checks import AS_RECORDED, CHECKS, CLIENT, SERVICE, ArticleCheck, Observation, load_check, replayed
from vnicheck.demo.page import framed
from vnicheck.demo.story import BEGINNING, NEXT, TITLE, compared, conclusion
from vnicheck.model.flow import Direction
from vnicheck.model.rehearsal import Phase
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.words import counted
from vnicheck.report.page import Page
from vnicheck.report.rehearsal import what_packets_did
from vnicheck.report.text import write_text
from vnicheck.report.writer import Settings
from vnicheck.system.clock import now

_COLUMN = max(len(command) for command, _ in NEXT) + 2


def demo(given: DemoOptions) -> int:
    """The work of `DemoOptions`: the exit code."""
    destination = Destination(given.display.formats, given.display.output)
    fail_on = check_fail_on(given.display.fail_on)
    if given.rehearse and destination.wanted != [("text", None)]:
        raise UserError("--rehearse is shown as text")
    time = now()
    instances = replayed(time)
    report = assemble_report(instances, generated_at=time)
    phases = _rehearsed() if given.rehearse else [None] * len(CHECKS)

    def story(screen: Console) -> None:
        _tell(screen, instances, phases, time=time, explain=given.explain)

    pages = [place for name, place in destination.wanted if name == "html"]
    destination.wanted = [(name, place) for name, place in destination.wanted if name != "html"]
    write_report(report, destination, no_color=given.display.no_color, text=story)
    for place in pages:
        write_chunks(framed(_page(report), instances), place)
    return exit_status(report, fail_on, allow_incomplete=False)


def _page(report: Report) -> Sequence[bytes]:
    writer = writer_of("html", Settings(generated_at=report.generated_at))
    for instance in report.instances:
        writer.add(instance)
    return list(writer.finish(report))


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


def _tell(
    screen: Console,
    instances: Sequence[InstanceReport],
    phases: Sequence[Phase | None],
    *,
    time: str,
    explain: bool,
) -> None:
    """The beginning, the checks, the end."""
    page = Page(screen)
    page.line((TITLE, "bold"))
    for line in BEGINNING:
        page.line()
        page.prose(line)
    for check, instance, phase in zip(CHECKS, instances, phases, strict=True):
        page.line()
        page.line((page.glyphs.rule * page.width, "dim"))
        _observed(page, check, instance, phase)
        page.line()
        alone = msgspec.structs.replace(instance, name="server")
        write_text(assemble_report((alone,), generated_at=time), screen, explain=explain)
    page.line()
    page.line((page.glyphs.rule * page.width, "dim"))
    page.prose((conclusion(instances), "bold"))
    page.line()
    page.line("What to type next")
    for command, what in NEXT:
        if "--rehearse" in command and any(phases):
            continue  # it was shown
        page.prose(what, indent=2, lead=(f"{command:<{_COLUMN}}", "bold"))


def _observed(page: Page, check: ArticleCheck, instance: InstanceReport, phase: Phase | None) -> None:
    """What the client tried in a check: what was observed, what is predicted, and what packets did here."""
    page.prose(check.setup, lead=(f"Check {check.number}  ", "bold"))
    page.line()
    for each in compared(check, instance):
        page.line((each.observation.what, "bold"), indent=2)
        page.prose(each.observed, indent=4, lead="observed   ")
        _told(page, "predicted", each.predicted, agrees=each.agrees)
        if phase is not None:
            _show_rehearsed(page, each.observation, phase)
    if phase is not None:
        flows = counted(len(phase.flows), "flow")
        page.line()
        page.prose(f"rehearsed here: {phase.count('agrees')} of {flows} of all kinds did what was predicted", indent=2)


def _told(page: Page, lead: str, said: str, *, agrees: bool) -> None:
    mark = page.glyphs.tick if agrees else page.glyphs.cross
    page.prose((f"{said} {mark}", "green" if agrees else "red"), indent=4, lead=f"{lead:<11}")


def _show_rehearsed(page: Page, observation: Observation, phase: Phase) -> None:
    """The flow that stands for the observed one's class: from the same client, to a port of its own."""
    wanted = (Direction.INBOUND, observation.protocol, CLIENT, SERVICE)
    for flow in phase.flows:
        if (flow.direction, flow.protocol, flow.remote, flow.local) == wanted:
            said = "answered" if flow.delivered else f"lost: {what_packets_did(flow)}"
            _told(page, "rehearsed", said, agrees=flow.delivered is observation.answered)
