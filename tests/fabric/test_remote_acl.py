"""The ACL of the remote's own subnet is on the way of what it sends and of what is sent to it."""

from typing import Any

import pytest

from tests.support.cases import find
from tests.support.servers import acl_rule, fabric, guest, link, report, server, subnet, vni
from vnicheck.model.cloud import Fabric, NetworkAcl
from vnicheck.model.flow import Flow
from vnicheck.model.snapshot import Server

SERVER = server(
    vni(0, "10.0.0.11"), guest=guest(link("eth0", 0, "10.0.0.11/24"), routes="default via 10.0.0.1 dev eth0")
)
ALLOW = (acl_rule("allow", "inbound"), acl_rule("allow", "outbound"))
OF_REMOTE = "inbound tcp/443 10.0.7.5 -> 10.0.0.11"
TO_REMOTE = "outbound tcp/443 10.0.0.11 -> 10.0.7.5"


def around(*rules: Any, **more: Any) -> Fabric:
    """A VPC whose subnet 10.0.7.0/24 has an ACL of its own."""
    home = subnet("home", "10.0.7.0/24", **({"network_acl": "home"} | more))
    return fabric(subnets=[home], acls=[NetworkAcl(id="home", name="home", rules=rules)])


def drops(spec: str, within: Fabric, of: Server = SERVER) -> list[str]:
    return [f"{drop.by} {drop.leg}" for drop in found(spec, within, of).drops]


def found(spec: str, within: Fabric, of: Server = SERVER) -> Flow:
    return find(report(of, within), spec)


def test_what_it_allows_passes_and_says_so() -> None:
    flow = found(OF_REMOTE, around(*ALLOW))
    assert flow.verdict == "delivered"
    assert [hop.leg for hop in flow.hops if hop.stage == "remote_acl"] == ["request", "reply"]


@pytest.mark.parametrize(
    ("rules", "inbound", "outbound"),
    [
        ((), ["network_acl request", "network_acl reply"], ["network_acl request", "network_acl reply"]),
        ((acl_rule("allow", "outbound"),), ["network_acl reply"], ["network_acl request"]),
        ((acl_rule("allow", "inbound"),), ["network_acl request"], ["network_acl reply"]),
        (
            (acl_rule("deny", "outbound", destination="10.0.0.11/32"), *ALLOW),
            ["network_acl request"],
            ["network_acl reply"],
        ),
        ((acl_rule("deny", "inbound", source="10.0.0.0/24"), *ALLOW), ["network_acl reply"], ["network_acl request"]),
        ((acl_rule("deny", "inbound", source="10.0.0.12/32"), *ALLOW), [], []),
        ((acl_rule("deny", "outbound", source="10.0.7.9/32"), *ALLOW), [], []),
    ],
)
def test_each_direction_is_asked(rules: Any, inbound: list[str], outbound: list[str]) -> None:
    within = around(*rules)
    assert (drops(OF_REMOTE, within), drops(TO_REMOTE, within)) == (inbound, outbound)


def test_ports_are_cut_where_it_tells_them_apart() -> None:
    only = acl_rule("allow", "outbound", "tcp", destination_port_min=443, destination_port_max=443)
    within = around(only, acl_rule("allow", "inbound"))
    assert drops(OF_REMOTE, within) == []
    assert drops("inbound tcp/80 10.0.7.5 -> 10.0.0.11", within) == ["network_acl request"]
    assert drops("inbound udp/443 10.0.7.5 -> 10.0.0.11", within) == ["network_acl request"]
    answers = acl_rule("allow", "inbound", "tcp", source_port_min=443, source_port_max=443)
    assert drops("inbound tcp/80 10.0.7.5 -> 10.0.0.11", around(acl_rule("allow", "outbound"), answers)) == [
        "network_acl reply"
    ]


def test_remotes_are_told_apart_within_the_subnet() -> None:
    within = around(acl_rule("deny", "outbound", source="10.0.7.128/25"), *ALLOW)
    assert drops(OF_REMOTE, within) == []
    assert drops("inbound tcp/443 10.0.7.200 -> 10.0.0.11", within) == ["network_acl request"]


def test_one_that_was_not_read_leaves_it_unknown() -> None:
    flow = found(OF_REMOTE, around(network_acl=None))
    assert flow.verdict == "unknown"
    assert any("the remote's own subnet" in hop.reason for hop in flow.hops if hop.outcome == "unknown")


def test_where_nobody_has_a_subnet_there_is_no_acl_to_ask() -> None:
    flow = found("inbound tcp/443 10.0.9.5 -> 10.0.0.11", around())
    assert flow.verdict == "delivered"


def test_an_answer_that_leaves_within_the_remotes_subnet_does_not_meet_it() -> None:
    inside = guest(
        link("eth0", 0, "10.0.0.11/24"),
        link("eth1", 1, "10.0.7.12/24"),
        routes="default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n10.0.7.0/24 dev eth1 scope link",
    )
    more: dict[str, Any] = {"protocol_state_filtering_mode": "disabled", "allow_ip_spoofing": True}
    of = server(vni(0, "10.0.0.11", **more), vni(1, "10.0.7.12", subnet="home", **more), guest=inside)
    within = around(acl_rule("allow", "outbound"))
    assert drops(OF_REMOTE, within, of) == [], "the request leaves the subnet, the answer stays within it"


def test_what_the_remotes_subnet_refuses_is_policy_and_no_finding() -> None:
    instance = report(SERVER, around(acl_rule("allow", "inbound")))
    assert find(instance, TO_REMOTE).verdict == "dropped"
    assert [each.rule for each in instance.findings if each.severity != "note"] == []


def in_two_subnets(routes: str, **more: Any) -> Server:
    """eth0 in subnet a, eth1 in the subnet `home`; what each sends to the other's subnet leaves as `routes` say."""
    inside = guest(link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.7.12/24"), routes=routes)
    fields: dict[str, Any] = {"protocol_state_filtering_mode": "disabled", "allow_ip_spoofing": True, **more}
    return server(vni(0, "10.0.0.11", **fields), vni(1, "10.0.7.12", subnet="home", **fields), guest=inside)


ALL_BY_ETH0 = "default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link"
TO_OWN = "inbound tcp/443 10.0.7.5 -> 10.0.7.12"
FROM_OWN = "outbound tcp/443 10.0.7.12 -> 10.0.7.5"


def test_what_leaves_by_another_subnet_enters_the_local_addresss_own_through_its_acl() -> None:
    """The remote is a neighbour of the address that it talks to, but the server sends to it by its other VNI."""
    of = in_two_subnets(ALL_BY_ETH0)
    closed, opened = around(acl_rule("allow", "outbound")), around(*ALLOW)
    assert (drops(TO_OWN, opened, of), drops(FROM_OWN, opened, of)) == ([], [])
    assert drops(TO_OWN, closed, of) == ["network_acl reply"]
    assert drops(FROM_OWN, closed, of) == ["network_acl request"]
    one = around(acl_rule("deny", "inbound", "tcp", source_port_min=443, source_port_max=443), *ALLOW)
    assert drops(TO_OWN, one, of) == ["network_acl reply"]
    assert drops("inbound tcp/80 10.0.7.5 -> 10.0.7.12", one, of) == []
    assert found(TO_OWN, around(network_acl=None), of).verdict == "unknown"


def test_within_the_local_addresss_own_subnet_no_acl_is_met() -> None:
    of = in_two_subnets(f"{ALL_BY_ETH0}\n10.0.7.0/24 dev eth1 scope link")
    assert (drops(TO_OWN, around(), of), drops(FROM_OWN, around(), of)) == ([], [])
