"""One flow between two ends, as each server sees it that has one of them."""

from collections.abc import Callable
from functools import partial

import msgspec
from msgspec import Struct

from vnicheck.analysis.server import analyze_server
from vnicheck.engine.classify import local_addresses, predict_flow
from vnicheck.engine.server_view import ServerView
from vnicheck.engine.transit import transit_flow
from vnicheck.model.address import format_address, is_address, parse_address
from vnicheck.model.cloud import Vni
from vnicheck.model.config import Config
from vnicheck.model.flow import Direction, Flow, Protocol, Scope
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import Server, Snapshot
from vnicheck.model.words import listed, one_line


class TraceError(ValueError):
    """Ends between which no flow of a server runs. The message is one line for the user."""


class _End(Struct, frozen=True):
    """One end of the flow: its own address, and the server that has it where the snapshot holds that.

    `floating_ip`: the public address of that server's VNI, and `dialled` whether the end was named by it.
    """

    address: str
    server: Server | None = None
    floating_ip: str | None = None
    dialled: bool = False


def trace(
    snapshot: Snapshot, config: Config, *, start: str, end: str, protocol: Protocol, port: int
) -> tuple[InstanceReport, ...]:
    """The flow from `start` to `end` (addresses, or names of servers that were read): the report of each server with
    an end, and of each that VPC routes lead it through, with this one flow. A floating IP as an end stands for the
    address that it leads to. As `end` it is dialled: the opener sees the floating IP, and the answerer the opener's
    own; its side is left out where the opener has none (the address of a public gateway is not known). Raises
    TraceError.
    """
    opener, answerer = _resolve(snapshot, config, start), _resolve(snapshot, config, end)
    through = _through(snapshot, config, opener, answerer, protocol, port)
    if opener.server is None and answerer.server is None and not through:
        names = listed([one_line(server.name, 60) for server in snapshot.servers])
        raise TraceError(f"neither {one_line(start, 60)} nor {one_line(end, 60)} is an address of {names}")
    if opener.server is not None and opener.server == answerer.server:
        raise TraceError(f"{start} and {end} are one server: the flow does not leave it")
    there = answerer.floating_ip if answerer.dialled else answerer.address
    here = opener.floating_ip if answerer.dialled and opener.server is not None else opener.address
    reports = []
    for direction, own, remote in ((Direction.OUTBOUND, opener, there), (Direction.INBOUND, answerer, here)):
        if own.server is not None and remote is not None:
            predict = _prediction(direction, own.address, parse_address(remote), protocol, port)
            side = analyze_server(own.server, snapshot.fabric, config, read_at=snapshot.created_at, predict=predict)
            reports.append(side)
    return (*reports, *through)


def _through(
    snapshot: Snapshot, config: Config, opener: _End, answerer: _End, protocol: Protocol, port: int
) -> list[InstanceReport]:
    """What the servers say of the flow that forward it."""
    there = answerer.floating_ip if answerer.dialled and answerer.floating_ip is not None else answerer.address
    reports = []
    for server in snapshot.servers:
        if server in (opener.server, answerer.server) or not _is_placed(server, snapshot):
            continue
        view = ServerView(server, snapshot.fabric, config)
        flow = transit_flow(view, protocol, parse_address(opener.address), parse_address(there), port)
        if flow is not None:
            flows = (flow,)
            predict = partial(lambda flows, _: flows, flows)
            reports.append(
                analyze_server(server, snapshot.fabric, config, read_at=snapshot.created_at, predict=predict)
            )
    return reports


def _prediction(
    direction: Direction, local: str, remote: int, protocol: Protocol, port: int
) -> Callable[[ServerView], tuple[Flow, ...]]:
    def predict(view: ServerView) -> tuple[Flow, ...]:
        (own,) = [known for known in local_addresses(view) if known.address == local]
        flow = predict_flow(view, direction, protocol, own, remote, port)
        if direction is Direction.INBOUND and flow.remote_scope is Scope.SERVICE:
            raise TraceError(
                f"{format_address(remote)} is a service's of IBM Cloud: services answer, and open no flows"
            )
        return (flow,)

    return predict


def _is_placed(server: Server, snapshot: Snapshot) -> bool:
    """Whether the subnets of its VNIs were read."""
    return all(vni.subnet in snapshot.fabric.subnets for vni in server.vnis)


def _resolve(snapshot: Snapshot, config: Config, text: str) -> _End:
    for server in snapshot.servers:
        if _is_placed(server, snapshot) and text in ServerView(server, snapshot.fabric, config).public:
            return _End(text, server)
        if text in (server.name, server.id, server.crn):
            return _end(server, _primary(server))
        for vni in server.vnis:
            if text in vni.untranslated:
                return _End(text, server)
            for address in vni.addresses:
                if text == address:
                    return _end(server, vni, address)
            if any(floating_ip.address == text for floating_ip in vni.floating_ips):
                return msgspec.structs.replace(_end(server, vni), floating_ip=text, dialled=True)
    if not is_address(text):
        raise TraceError(f"{one_line(text, 60)!r} is neither an IPv4 address nor a server that was read")
    return _End(text)


def _primary(server: Server) -> Vni:
    """The VNI whose address stands for the server. Raises TraceError."""
    if not server.vnis:
        raise TraceError(f"{one_line(server.name, 60)} has no network interface")
    return next((vni for vni in server.vnis if vni.primary), server.vnis[0])


def _end(server: Server, vni: Vni, address: str | None = None) -> _End:
    """The end at an address of a VNI: its primary one by default, which alone has a floating IP. Raises TraceError."""
    own = address if address is not None else vni.primary_address
    if parse_address(own) == 0:
        raise TraceError(f"{one_line(vni.name, 60)} of {one_line(server.name, 60)} has no address yet")
    translated = vni.floating_ips and not vni.untranslated and own == vni.primary_address
    floating_ip = vni.floating_ips[0].address if translated else None
    return _End(own, server, floating_ip)
