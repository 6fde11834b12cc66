"""What a finding says that it affects is its flows, no more and no less."""

import pytest
from msgspec import UNSET, UnsetType

from tests.support import reports
from vnicheck.findings.affected import affected_by
from vnicheck.model.address import merge_ranges, prefix_range
from vnicheck.model.finding import Affected
from vnicheck.model.flow import Direction, Flow, Protocol, Scope, Verdict


def size(protocols: int, ports: tuple[str, ...] | UnsetType, remotes: tuple[str, ...]) -> int:
    ranges = [(0, 0)] if isinstance(ports, UnsetType) else [port_range(text) for text in ports]
    addresses = [prefix_range(remote) for remote in remotes]
    assert len(merge_ranges(addresses)) <= len(addresses)
    return protocols * sum(last - first + 1 for first, last in ranges) * sum(b - a + 1 for a, b in addresses)


def port_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def holds(affected: Affected, flow: Flow) -> bool:
    """Whether a whole class is in it."""
    way = (affected.direction, affected.local, affected.ingress, affected.egress, affected.scope)
    if way != (flow.direction, flow.local, flow.ingress, flow.egress, flow.remote_scope):
        return False
    if affected.local_prefixes != flow.local_prefixes or flow.protocol not in affected.protocols:
        return False
    if isinstance(flow.ports, UnsetType) or isinstance(affected.ports, UnsetType):
        if flow.ports is not affected.ports:
            return False
    elif not within([port_range(text) for text in flow.ports], [port_range(text) for text in affected.ports]):
        return False
    return within(map(prefix_range, flow.remote), map(prefix_range, affected.remotes))


def within(some: object, others: object) -> bool:
    joined = merge_ranges(others)  # type: ignore[arg-type]
    return all(any(a <= first and last <= b for a, b in joined) for first, last in some)  # type: ignore[attr-defined]


def require_exact(affected: tuple[Affected, ...], flows: list[Flow]) -> None:
    for flow in flows:
        assert sum(holds(each, flow) for each in affected) == 1, flow
    there = sum(size(len(each.protocols), each.ports, each.remotes) for each in affected)
    assert there == sum(size(1, flow.ports, flow.remote) for flow in flows)


@pytest.mark.parametrize("name", reports.ALL)
def test_the_flows_of_every_finding_and_no_others(name: str) -> None:
    found = 0
    for instance in reports.ALL[name]().instances:
        for finding in instance.findings:
            require_exact(finding.affected, [instance.flows[index] for index in finding.flows])
            found += len(finding.affected)
    assert found or not any(f.flows for i in reports.ALL[name]().instances for f in i.findings)


def flow(protocol: str, ports: str, *remote: str, local: str = "10.0.0.12", egress: str | None = "eth0") -> Flow:
    return Flow(
        direction=Direction.INBOUND,
        protocol=Protocol(protocol),
        ports=(ports,) if ports else UNSET,
        remote=remote,
        remote_scope=Scope.PRIVATE,
        local=local,
        ingress="eth1",
        egress=egress,
        symmetric=None,
        verdict=Verdict.UNKNOWN,
        dropped_by=None,
        drops=(),
        hops=(),
    )


def test_flows_join_where_they_are_a_product_and_nowhere_else() -> None:
    flows = [
        flow("tcp", "1-21", "10.1.0.0/16", "10.3.0.0/16"),
        flow("tcp", "22-65535", "10.1.0.0/16"),
        flow("tcp", "22-65535", "10.3.0.0/16"),
        flow("udp", "1-65535", "10.1.0.0/16", "10.3.0.0/16"),
        flow("udp", "1-65535", "10.2.0.0/16"),
        flow("icmp", "", "10.2.0.0/16"),
        flow("icmp", "", "10.3.0.0/16", "10.1.0.0/16"),
        flow("tcp", "80", "10.9.0.0/16", egress=None),
    ]
    affected = affected_by(flows)
    require_exact(affected, flows)
    assert [(each.protocols, each.ports, each.remotes) for each in affected] == [
        (("tcp",), ("1-65535",), ("10.1.0.0/16", "10.3.0.0/16")),
        (("udp",), ("1-65535",), ("10.1.0.0/16", "10.2.0.0/15")),
        (("icmp",), UNSET, ("10.1.0.0/16", "10.2.0.0/15")),
        (("tcp",), ("80",), ("10.9.0.0/16",)),
    ]


def test_protocols_with_the_same_ports_and_remotes_are_one_entry() -> None:
    (one,) = affected_by([flow("tcp", "1-65535", "10.1.0.0/16"), flow("udp", "1-65535", "10.1.0.0/16")])
    assert one.protocols == ("tcp", "udp")


def test_a_finding_on_no_flow_affects_none() -> None:
    assert affected_by([]) == ()
