"""One flow between two ends, as each server sees it that has one of them."""

from collections.abc import Callable

from msgspec import Struct

from vnicheck.analysis import analyze_server
from vnicheck.engine.classify import local_addresses, predict_flow
from vnicheck.engine.server_view import ServerView
from vnicheck.model.address import parse_address
from vnicheck.model.config import Config
from vnicheck.model.flow import Direction, Flow, Protocol
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import Server, Snapshot
from vnicheck.model.words import listed, one_line


class TraceError(ValueError):
    """Ends between which no flow of a server runs. The message is one line for the user."""


class _End(Struct, frozen=True):
    """One end of the flow: its reserved address, and the server that has it where the snapshot holds that."""

    address: str
    server: Server | None = None


def trace(
    snapshot: Snapshot, config: Config, *, start: str, end: str, protocol: Protocol, port: int
) -> tuple[InstanceReport, ...]:
    """The flow from `start` to `end` (addresses, or names of servers that were read): the report of each server with
    an end, with this one flow. A floating IP stands for the address that it leads to. Raises TraceError.
    """
    opener, answerer = _resolve(snapshot, start), _resolve(snapshot, end)
    if opener.server is None and answerer.server is None:
        names = listed([one_line(server.name, 60) for server in snapshot.servers])
        raise TraceError(f"neither {one_line(start, 60)} nor {one_line(end, 60)} is an address of {names}")
    if opener.server is not None and opener.server == answerer.server:
        raise TraceError(f"{start} and {end} are one server: the flow does not leave it")
    reports = []
    for direction, own, remote in ((Direction.OUTBOUND, opener, answerer), (Direction.INBOUND, answerer, opener)):
        if own.server is not None:
            predict = _prediction(direction, own.address, parse_address(remote.address), protocol, port)
            reports.append(analyze_server(own.server, snapshot.fabric, config, predict=predict))
    return tuple(reports)


def _prediction(
    direction: Direction, local: str, remote: int, protocol: Protocol, port: int
) -> Callable[[ServerView], tuple[Flow, ...]]:
    def predict(view: ServerView) -> tuple[Flow, ...]:
        (own,) = [known for known in local_addresses(view) if known.address == local]
        return (predict_flow(view, direction, protocol, own, remote, port),)

    return predict


def _resolve(snapshot: Snapshot, text: str) -> _End:
    for server in snapshot.servers:
        if text in (server.name, server.id, server.crn):
            return _End(server.vnis[0].primary_address, server)
        for vni in server.vnis:
            if text in vni.addresses:
                return _End(text, server)
            if any(floating_ip.address == text for floating_ip in vni.floating_ips):
                return _End(vni.primary_address, server)
    try:
        parse_address(text)
    except ValueError as error:
        raise TraceError(f"{one_line(text, 60)!r} is neither an IPv4 address nor a server that was read") from error
    return _End(text)
