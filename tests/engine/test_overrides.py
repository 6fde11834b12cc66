"""Each override changes the verdicts that rest on its assumption, and no other."""

from collections import defaultdict
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.support.servers import TWO_DEFAULTS, fabric, flows, group_rule, guest, server, subnet, vni
from vnicheck.model.cloud import Fabric, RoutingTable, SecurityGroup, VpcRoute
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import Flow
from vnicheck.model.snapshot import Server

SERVICE = "161.26.0.10"
REMOTES = ("10.0.0.200", "10.0.5.5", "10.8.0.4", "10.9.0.4", SERVICE, "203.0.113.9")
PORTS = (80, 443)

Verdicts = dict[tuple[str, str, str, str, int], str]


def asymmetric(*, spoofing: bool = True, mode: str = "auto", kind: Any = "instance", name: str = "server") -> Server:
    """10.0.0.12 is asked on eth1 and answers by eth0; it has a floating IP."""
    more: dict[str, Any] = {"allow_ip_spoofing": spoofing, "protocol_state_filtering_mode": mode}
    vnis = (vni(0, "10.0.0.11", **more), vni(1, "10.0.0.12", floating_ip="198.51.100.12", **more))
    return server(*vnis, guest=guest(routes=TWO_DEFAULTS), kind=kind, name=name)


def verdicts(of: Server, around: Fabric | None = None, **assumed: Any) -> Verdicts:
    """The verdict of each of a set of flows, and what would drop it."""
    found: Verdicts = {}
    by_key: dict[tuple[str, str, str], list[Flow]] = defaultdict(list)
    for flow in flows(of, around, Config(assumptions=Assumptions(**assumed))):
        by_key[flow.direction, flow.protocol, flow.local].append(flow)
    for (direction, protocol, local), classes in by_key.items():
        for remote in REMOTES:
            for port in PORTS if protocol != "icmp" else (0,):
                if remote == SERVICE and direction == "inbound":
                    continue  # services open nothing
                (flow,) = [each for each in classes if _holds(each, remote, port)]
                found[direction, protocol, local, remote, port] = f"{flow.verdict}"
    return found


def _holds(flow: Flow, remote: str, port: int) -> bool:
    ranges = [text.partition("-") for text in flow.ports or ()]
    return any(ip_address(remote) in ip_network(prefix) for prefix in flow.remote) and (
        not ranges or any(int(first) <= port <= int(last or first) for first, _, last in ranges)
    )


def changed(before: Verdicts, after: Verdicts) -> dict[str, int]:
    """How many verdicts changed, by `inbound tcp 10.0.0.12: dropped -> delivered`."""
    counts: dict[str, int] = defaultdict(int)
    assert before.keys() == after.keys()
    for key, verdict in before.items():
        if after[key] != verdict:
            counts[f"{key[0]} {key[1]} {key[2]}: {verdict} -> {after[key]}"] += 1
    return dict(counts)


TCP_BOTH_WAYS = {"inbound tcp 10.0.0.12: dropped -> delivered": 8, "outbound tcp 10.0.0.12: dropped -> delivered": 10}
"""Of six remotes those but the internet (which needs its floating IP), and services, which open nothing; two ports."""


@pytest.mark.parametrize(
    "assumed",
    [
        {"psf_auto": "disabled"},
        {"psf_auto": {"instance": "disabled"}},
        {"psf_auto": {"server": "disabled"}},
        {"psf_auto": {"server-id": "disabled"}},
        {"psf_opening": False},
        {"psf_protocols": ()},
    ],
    ids=str,
)
def test_what_lifts_the_state_filter(assumed: dict[str, Any]) -> None:
    assert changed(verdicts(asymmetric()), verdicts(asymmetric(), **assumed)) == TCP_BOTH_WAYS


@pytest.mark.parametrize("assumed", [{"psf_auto": {"other": "disabled"}}, {"psf_auto": "enabled"}], ids=str)
def test_what_does_not(assumed: dict[str, Any]) -> None:
    assert changed(verdicts(asymmetric()), verdicts(asymmetric(), **assumed)) == {}


def test_the_meaning_of_auto_counts_for_auto_alone() -> None:
    enabled = asymmetric(mode="enabled")
    assert changed(verdicts(enabled), verdicts(enabled, psf_auto="disabled")) == {}
    disabled = asymmetric(mode="disabled")
    assert changed(verdicts(disabled), verdicts(disabled, psf_auto="enabled", psf_opening=False)) == {}


def test_bare_metal_can_be_said_to_filter() -> None:
    metal = asymmetric(kind="bare_metal_server")
    lost = {label.replace("dropped -> delivered", "delivered -> dropped"): n for label, n in TCP_BOTH_WAYS.items()}
    assert changed(verdicts(metal), verdicts(metal, psf_auto={"bare_metal_server": "enabled"})) == lost


def test_more_protocols_can_be_state_filtered() -> None:
    before, after = verdicts(asymmetric()), verdicts(asymmetric(), psf_protocols=("tcp", "udp", "icmp"))
    assert changed(before, after) == {
        "inbound udp 10.0.0.12: delivered -> dropped": 8,
        "outbound udp 10.0.0.12: delivered -> dropped": 10,
        "inbound icmp 10.0.0.12: delivered -> dropped": 4,
        "outbound icmp 10.0.0.12: delivered -> dropped": 5,
    }


def test_the_spoofing_check_can_be_lifted_but_not_towards_the_internet() -> None:
    checked = asymmetric(spoofing=False, mode="disabled")
    around = fabric(subnets=[subnet("a", "10.0.0.0/24", public_gateway="gateway")])
    before, after = verdicts(checked, around), verdicts(checked, around, spoofing_check=False)
    assert changed(before, after) == {
        f"{direction} {protocol} 10.0.0.12: unknown -> delivered": count
        for direction, remotes in (("inbound", 4), ("outbound", 5))
        for protocol, count in (("tcp", 2 * remotes), ("udp", 2 * remotes), ("icmp", remotes))
    }
    assert after["outbound", "udp", "10.0.0.12", "203.0.113.9", 80] == "dropped"
    assert after["inbound", "udp", "10.0.0.12", "203.0.113.9", 80] == "dropped"


def test_answers_to_a_floating_ip_may_be_said_to_leave_by_any_vni() -> None:
    lax = asymmetric(mode="disabled")
    assert changed(verdicts(lax), verdicts(lax, fip_return=False)) == {
        "inbound tcp 10.0.0.12: dropped -> delivered": 2,
        "inbound udp 10.0.0.12: dropped -> delivered": 2,
        "inbound icmp 10.0.0.12: dropped -> delivered": 1,
    }
    strict = asymmetric(mode="disabled", spoofing=False)
    lifted = changed(verdicts(strict), verdicts(strict, fip_return=False))
    assert {key.rpartition(": ")[2] for key in lifted} == {"dropped -> unknown"}, "the spoofing check is another matter"
    closed = verdicts(strict, fip_return=False, spoofing_sibling="dropped")
    assert changed(verdicts(strict, spoofing_sibling="dropped"), closed) == {}


def test_groups_may_be_said_to_know_what_other_vnis_have_seen() -> None:
    inbound_only = SecurityGroup(id="open", name="open", rules=(group_rule("inbound"),))
    around = fabric(groups=[inbound_only])
    lax = asymmetric(mode="disabled")
    assert changed(verdicts(lax, around), verdicts(lax, around, sg_stateless=False)) == {
        "inbound tcp 10.0.0.12: dropped -> delivered": 8,
        "inbound udp 10.0.0.12: dropped -> delivered": 8,
        "inbound icmp 10.0.0.12: dropped -> delivered": 4,
    }


def test_the_clients_ports_settle_what_depends_on_them() -> None:
    group = SecurityGroup(
        id="open", name="open", rules=(group_rule("inbound"), group_rule("outbound", "tcp", port_min=32768))
    )
    around = fabric(groups=[group])
    lax = asymmetric(mode="disabled")
    before = verdicts(lax, around)
    assert changed(before, verdicts(lax, around, client_ports="32768-60999")) == {
        "inbound tcp 10.0.0.12: unknown -> delivered": 8
    }
    assert changed(before, verdicts(lax, around, client_ports="1024-32767")) == {
        "inbound tcp 10.0.0.12: unknown -> dropped": 8
    }


def test_private_space_that_is_not_listed_is_not_known_to_be_reached() -> None:
    routes = (
        VpcRoute(id="r1", name="on", destination="10.8.0.0/16", action="deliver", next_hop="10.0.0.5"),
        VpcRoute(id="r2", name="off", destination="10.9.0.0/16", action="deliver", next_hop="10.0.0.5"),
    )
    lax = asymmetric(mode="disabled")
    for around in (fabric(), fabric(tables=[RoutingTable(id="table", name="table", vpc="vpc", routes=routes)])):
        before, after = verdicts(lax, around), verdicts(lax, around, remote_reachable=("10.8.0.0/16",))
        turned = [key for key in before if before[key] != after[key]]
        assert {key[3] for key in turned} == {"10.9.0.4"}
        assert {(before[key], after[key]) for key in turned} == {("delivered", "unknown")}
        assert len(turned) == 2 * 2 * (2 + 2 + 1)
