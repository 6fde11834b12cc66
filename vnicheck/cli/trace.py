"""`vnicheck trace`: one flow, hop by hop."""

import socket
from collections.abc import Sequence
from ipaddress import IPv6Address

from rich.console import Console

from vnicheck.analysis.server import assemble_report
from vnicheck.analysis.trace import TraceError
from vnicheck.analysis.trace import trace as trace_flow
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import Exit, UserError, ended_by
from vnicheck.cli.gather import gather
from vnicheck.cli.given import TraceOptions
from vnicheck.cli.observations import with_observations
from vnicheck.cli.output import Destination, check_fail_on, exit_status, write_report
from vnicheck.cli.terminal import tell
from vnicheck.findings.terms import DROPS
from vnicheck.model.address import is_address
from vnicheck.model.flow import Flow, Outcome, Protocol, Verdict
from vnicheck.model.report import InstanceReport
from vnicheck.model.words import one_line
from vnicheck.report.page import Page
from vnicheck.report.trace import write_trace
from vnicheck.system.clock import now

PROTOCOLS = {"tcp": "6", "udp": "17", "icmp": "1"}
"""Their names, and their numbers as IANA assigns them."""
FORMATS = ("text", "json", "jsonl")
"""Those that have a flow's hops."""
EXPECTED = {"delivered": Verdict.DELIVERED, "dropped": Verdict.DROPPED}


def trace(given: TraceOptions) -> int:
    """The work of `TraceOptions`: the exit code."""
    destination = Destination(given.display.formats, given.display.output)
    for name, _ in destination.wanted:
        if name not in FORMATS:
            raise UserError(
                f"--format {name}: it has no hops; a trace is written as {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
            )
    fail_on = check_fail_on(given.display.fail_on)
    if given.expect is not None and given.expect not in EXPECTED:
        raise UserError(f"--expect {given.expect!r}: write {' or '.join(EXPECTED)}")
    protocol = _protocol(given.protocol)
    port = _port(given.port, protocol)
    ends = (given.start, given.end)
    for end in ends:
        _refuse_ipv6(end)
    config = with_observations(load_config(given.config_file), given.observations)
    others = [text for text in ends if not is_address(text) and text != given.instance]
    wanted = [given.instance, *others]
    observed = gather(wanted, given.selection, given.ssh, snapshot=given.snapshot, no_color=given.display.no_color)
    with ended_by(TraceError):
        sides = trace_flow(observed, config, start=given.start, end=given.end, protocol=protocol, port=port)
    report = assemble_report(sides, generated_at=now(), mutes=config.mute)

    def text(screen: Console) -> None:
        write_trace(Page(screen), sides)

    write_report(report, destination, no_color=given.display.no_color, text=text)
    status = exit_status(report, fail_on, allow_incomplete=given.display.allow_incomplete)
    return status if given.expect is None else _held(EXPECTED[given.expect], sides, status)


def _held(expected: Verdict, sides: Sequence[InstanceReport], status: Exit) -> Exit:
    """1 where the flow fares otherwise, 3 where that is not known; `status` where it is as expected."""
    flows = [flow for side in sides for flow in side.flows]
    verdicts = {flow.verdict for flow in flows}
    if Verdict.DROPPED in verdicts:
        found = Verdict.DROPPED
    else:
        found = Verdict.DELIVERED if verdicts == {Verdict.DELIVERED} else Verdict.UNKNOWN
    if found is expected:
        return status
    why = next((said for flow in flows if (said := _why(flow))), "")
    if found is Verdict.UNKNOWN:
        tell(f"whether it is {expected} is not known{why}")
        return status if status is Exit.FINDINGS else Exit.INCOMPLETE
    tell(f"expected to be {expected}, but it is {found}{why}")
    return Exit.FINDINGS


def _why(flow: Flow) -> str:
    if flow.drops:
        return f" by {DROPS[flow.drops[0].by].agent} at {flow.drops[0].at}"
    return next((f": {hop.reason}" for hop in flow.hops if hop.outcome is Outcome.UNKNOWN), "")


def _protocol(text: str) -> Protocol:
    """By name, upper or lower case, or by number. Raises UserError."""
    for name, number in PROTOCOLS.items():
        if text.lower() in (name, number):
            return Protocol(name)
    raise UserError(
        f"--protocol {text!r}: write {', '.join(PROTOCOLS)}, or their numbers {', '.join(PROTOCOLS.values())}"
    )


def _port(text: str, protocol: Protocol) -> int:
    """A number, or the port of a service of that name. Raises UserError."""
    if text.isascii() and text.isdigit():
        if len(text) > 5 or not 1 <= int(text) <= 65535:
            raise UserError(f"--port {one_line(text, 20)}: write a port between 1 and 65535")
        return int(text)
    try:
        return socket.getservbyname(text.lower(), "udp" if protocol is Protocol.UDP else "tcp")
    except (OSError, ValueError) as error:  # ValueError: a NUL, or a character beyond ASCII
        raise UserError(f"--port {text!r}: neither a number nor a {protocol} service of /etc/services") from error


def _refuse_ipv6(text: str) -> None:
    """Raises UserError."""
    try:
        IPv6Address(text.strip("[]"))
    except ValueError:
        return
    raise UserError(f"{text}: an IPv6 address; VPC networks and vnicheck's predictions are IPv4 alone")
