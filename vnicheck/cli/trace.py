"""`vnicheck trace`: one flow, hop by hop."""

from vnicheck.analysis.server import assemble_report
from vnicheck.analysis.trace import TraceError
from vnicheck.analysis.trace import trace as trace_flow
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import UserError, ended_by
from vnicheck.cli.gather import gather
from vnicheck.cli.given import TraceOptions
from vnicheck.cli.output import Destination, check_fail_on, exit_status, write_report
from vnicheck.cli.terminal import console
from vnicheck.model.address import parse_address
from vnicheck.model.flow import Protocol
from vnicheck.model.report import InstanceReport
from vnicheck.report.text import Page
from vnicheck.report.trace import write_trace
from vnicheck.system.clock import now

PROTOCOLS = ("tcp", "udp", "icmp")


def trace(given: TraceOptions) -> int:
    """The work of `TraceOptions`: the exit code."""
    destination = Destination(given.display.formats, given.display.output)
    fail_on = check_fail_on(given.display.fail_on)
    config = load_config(given.config_file)
    if given.protocol not in PROTOCOLS:
        raise UserError(f"--protocol {given.protocol!r}: write {', '.join(PROTOCOLS)}")
    others = [text for text in (given.start, given.end) if not _is_address(text) and text != given.instance]
    wanted = [given.instance, *others]
    observed = gather(wanted, given.selection, given.ssh, snapshot=given.snapshot, no_color=given.display.no_color)
    with ended_by(TraceError):
        sides = trace_flow(
            observed, config, start=given.start, end=given.end, protocol=Protocol(given.protocol), port=given.port
        )
    report = assemble_report(sides, generated_at=now(), mutes=config.mute)
    if destination.wanted == [("text", None)]:
        _show(sides, no_color=given.display.no_color)
    else:
        write_report(report, destination, no_color=given.display.no_color)
    return exit_status(report, fail_on, allow_incomplete=given.display.allow_incomplete)


def _show(sides: tuple[InstanceReport, ...], *, no_color: bool) -> None:
    page = Page(console(no_color=no_color))
    for position, side in enumerate(sides):
        if position:
            page.line()
        write_trace(page, side)


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except ValueError:
        return False
    return True
