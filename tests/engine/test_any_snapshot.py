"""Whatever a snapshot holds, there is a report on it: no fact, however odd, ends in a traceback."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.amounts import drawn
from tests.support.any_snapshot import guests, servers, texts, tuples
from tests.support.reports import render
from tests.support.servers import COLLECTED, fabric, server, two_vnis, vni
from vnicheck.analysis.server import report_on
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.config import Config
from vnicheck.model.guest import Guest
from vnicheck.model.report import encode_report
from vnicheck.model.snapshot import SCHEMA, Server, Snapshot

RELAXED = settings(max_examples=drawn(37), suppress_health_check=list(HealthCheck), deadline=None)

addressed = st.sampled_from(["10.0.0.11", "10.0.0.12", "10.0.1.13", "0.0.0.0"])
vnis = st.builds(
    lambda number, addresses, **more: vni(number, *addresses, **more),
    st.integers(0, 3),
    st.lists(addressed, min_size=1, max_size=3, unique=True),
    primary=st.just(False),
    subnet=st.sampled_from(["a", "b"]),
    mac=st.sampled_from([None, "02:00:00:00:00:0a", "02:00:00:00:00:0b"]),
    name=texts,
    legacy=st.booleans(),
    security_groups=st.none() | tuples(st.sampled_from(["open", "given", "lost"])),
    protocol_state_filtering_mode=st.none() | st.sampled_from(["auto", "enabled", "disabled", "later"]),
    allow_ip_spoofing=st.none() | st.booleans(),
)
near_servers = st.builds(
    lambda some, inside, kind: server(*some, guest=inside, kind=kind),
    st.lists(vnis, min_size=1, max_size=3, unique_by=lambda each: each.id),
    st.none() | guests,
    st.sampled_from(["instance", "bare_metal_server"]),
)


@RELAXED
@given(st.lists(near_servers | servers, max_size=2))
def test_any_snapshot_has_a_report(given_servers: list[Server]) -> None:
    snapshot = Snapshot(
        schema=SCHEMA, tool_version="1", created_at=COLLECTED, servers=tuple(given_servers), fabric=fabric()
    )
    report = report_on(snapshot, generated_at=COLLECTED, config=Config())
    assert encode_report(report)
    assert render(report, 80) or not given_servers
    assert len(report.instances) == len(given_servers)


@RELAXED
@given(guests)
def test_no_guest_makes_a_class_overlap_another(inside: Guest) -> None:
    snapshot = Snapshot(
        schema=SCHEMA,
        tool_version="1",
        created_at=COLLECTED,
        servers=(server(*two_vnis(), guest=inside),),
        fabric=fabric(),
    )
    (instance,) = report_on(snapshot, generated_at=COLLECTED, config=Config()).instances
    for remote in ("10.0.0.200", "10.8.0.4", "8.8.8.8", "161.26.0.10"):
        for flow in instance.flows:
            alike = [
                other
                for other in instance.flows
                if (other.local, other.direction, other.protocol) == (flow.local, flow.direction, flow.protocol)
                and any(first <= parse_address(remote) <= last for first, last in map(prefix_range, other.remote))
            ]
            ports = [each for other in alike for each in (other.ports or ("0",))]
            assert len(set(ports)) == len(ports)
