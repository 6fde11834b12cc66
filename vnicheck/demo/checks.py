"""The article's three checks: what was changed for each, and what its captures show."""

from importlib.resources import files

import msgspec
from msgspec import Struct

from vnicheck.analysis.server import report_on
from vnicheck.engine.refinement import port_ranges
from vnicheck.fixes.effects import Effect, PatchVni, SetRpFilter, carry_out
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import Direction, Flow, Protocol
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import Snapshot, decode_snapshot, with_guest

CLIENT = "10.8.0.4"
AS_RECORDED = Config(assumptions=Assumptions(spoofing_sibling="passed"))
"""Replies left VNI 1 with VNI 2's address and arrived, with IP spoofing off as by default."""
SERVICE = "10.0.0.12"


class Observation(Struct, frozen=True, kw_only=True):
    """What the client tried, whether it was answered, and what the captures show."""

    what: str
    protocol: Protocol
    port: int | None
    answered: bool
    seen: str


class ArticleCheck(Struct, frozen=True, kw_only=True):
    """One of the article's checks. `changed`: in the server, since the first."""

    number: int
    at: str
    setup: str
    changed: tuple[Effect, ...] = ()
    observations: tuple[Observation, ...]


def _ping(answered: bool, seen: str) -> Observation:
    return Observation(what=f"ping {SERVICE}", protocol=Protocol.ICMP, port=None, answered=answered, seen=seen)


def _curl(answered: bool, seen: str) -> Observation:
    return Observation(what=f"curl {SERVICE}", protocol=Protocol.TCP, port=80, answered=answered, seen=seen)


_LOOSE = (SetRpFilter(interface="all", old=0, new=2), SetRpFilter(interface="default", old=1, new=2))
_UNFILTERED = PatchVni(
    vni="0717-94a938e5-3ff2-54b9-8dd4-5cfffec3cc30",
    name="vni-1",
    field="protocol_state_filtering_mode",
    old="auto",
    new="disabled",
)
CHECKS = (
    ArticleCheck(
        number=1,
        at="2024-06-20T02:11:00Z",
        setup="rp_filter strict on eth1, state filtering auto on both VNIs",
        observations=(
            _ping(False, "requests enter eth1, nothing leaves"),
            _curl(False, "SYNs enter eth1, nothing leaves"),
        ),
    ),
    ArticleCheck(
        number=2,
        at="2024-06-20T02:22:00Z",
        setup="rp_filter loose (all=2), state filtering auto on both VNIs",
        changed=_LOOSE,
        observations=(
            _ping(True, "requests enter eth1, replies leave eth0 and arrive"),
            _curl(False, "SYN enters eth1, SYN-ACKs leave eth0 and never arrive"),
        ),
    ),
    ArticleCheck(
        number=3,
        at="2024-06-20T02:30:00Z",
        setup="rp_filter loose (all=2), state filtering disabled on VNI 1 (eth0)",
        changed=(*_LOOSE, _UNFILTERED),
        observations=(
            _ping(True, "requests enter eth1, replies leave eth0 and arrive"),
            _curl(True, "requests enter eth1, replies leave eth0 and arrive"),
        ),
    ),
)


def load_check(check: ArticleCheck) -> Snapshot:
    """The snapshot of a check: the packaged one is the first's, built from fixtures/cases/article-check-1."""
    first = decode_snapshot(files("vnicheck.demo").joinpath("recorded.json").read_bytes())
    (server,) = first.servers
    assert server.guest is not None  # noqa: S101 - it is packaged with it
    server = with_guest(server, msgspec.structs.replace(server.guest, collected_at=check.at))
    return msgspec.structs.replace(first, created_at=check.at, servers=(carry_out(server, check.changed),))


def replayed(generated_at: str) -> tuple[InstanceReport, ...]:
    """What is said of the server of each check, named for it."""
    reports = [report_on(load_check(check), generated_at=generated_at, config=AS_RECORDED) for check in CHECKS]
    return tuple(
        msgspec.structs.replace(instance, name=f"{instance.name} (check {check.number})")
        for check, report in zip(CHECKS, reports, strict=True)
        for instance in report.instances
    )


def predicted(instance: InstanceReport, observation: Observation) -> Flow:
    """The class of flows to which the observed one belongs."""
    client = parse_address(CLIENT)
    (flow,) = [
        flow
        for flow in instance.flows
        if (flow.direction, flow.protocol, flow.local) == (Direction.INBOUND, observation.protocol, SERVICE)
        and any(first <= client <= last for first, last in map(prefix_range, flow.remote))
        and (observation.port is None or any(first <= observation.port <= last for first, last in port_ranges(flow)))
    ]
    return flow
