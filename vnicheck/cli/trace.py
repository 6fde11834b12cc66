"""`vnicheck trace`: one flow, hop by hop."""

from typing import Annotated

import typer

from vnicheck.analysis.server import assemble_report
from vnicheck.analysis.trace import TraceError
from vnicheck.analysis.trace import trace as trace_flow
from vnicheck.cli import options
from vnicheck.cli.bundles import Display, Selection, Ssh, with_bundles
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import UserError, ended_by
from vnicheck.cli.gather import gather
from vnicheck.cli.output import Destination, check_fail_on, exit_status, write_report
from vnicheck.cli.terminal import console
from vnicheck.model.address import parse_address
from vnicheck.model.flow import Protocol
from vnicheck.model.report import InstanceReport
from vnicheck.report.text import Page
from vnicheck.report.trace import write_trace
from vnicheck.system.clock import now

PROTOCOLS = ("tcp", "udp", "icmp")


@with_bundles
def trace(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="Name, id, CRN, or one of its addresses.")],
    selection: Selection,
    ssh: Ssh,
    display: Display,
    start: Annotated[str, typer.Option("--from", metavar="ADDR", help="Who opens the flow: an address or a server.")],
    end: Annotated[str, typer.Option("--to", metavar="ADDR", help="Who answers: an address or a server.")],
    protocol: Annotated[str, typer.Option("--protocol", metavar="tcp|udp|icmp", help="The protocol.")] = "tcp",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The destination port.")] = 443,
    snapshot: options.SnapshotFile = None,
    config_file: options.ConfigFile = None,
) -> int:
    """Follow one flow hop by hop, request and reply."""
    destination = Destination(display.formats, display.output)
    fail_on = check_fail_on(display.fail_on)
    config = load_config(config_file)
    if protocol not in PROTOCOLS:
        raise UserError(f"--protocol {protocol!r}: write {', '.join(PROTOCOLS)}")
    others = [text for text in (start, end) if not _is_address(text) and text != instance]
    wanted = [instance, *others]
    observed = gather(wanted, selection, ssh, snapshot=snapshot, no_color=display.no_color)
    with ended_by(TraceError):
        sides = trace_flow(observed, config, start=start, end=end, protocol=Protocol(protocol), port=port)
    report = assemble_report(sides, generated_at=now(), mutes=config.mute)
    if destination.wanted == [("text", None)]:
        _show(sides, no_color=display.no_color)
    else:
        write_report(report, destination, no_color=display.no_color)
    return exit_status(report, fail_on, allow_incomplete=display.allow_incomplete)


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
