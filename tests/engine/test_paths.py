"""The path of one flow, hop by hop, and what of it is not known."""

from typing import Any

import msgspec
import pytest

from tests.support.cases import find
from tests.support.servers import (
    DROPPED,
    POLICY_ROUTING,
    POLICY_RULES,
    TWO_DEFAULTS,
    acl_rule,
    fabric,
    flows,
    group_rule,
    guest,
    link,
    loopback,
    report,
    server,
    subnet,
    two_vnis,
    vni,
)
from vnicheck.model.cloud import Fabric, NetworkAcl, RoutingTable, SecurityGroup, VpcRoute
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import Flow, Outcome, Verdict
from vnicheck.model.snapshot import Server

TCP = "inbound tcp/443 10.8.0.4 -> 10.0.0.12"
PING = "inbound icmp 10.8.0.4 -> 10.0.0.12"
OUT = "outbound tcp/443 10.0.0.12 -> 10.8.0.4"


BY_MARK = """
10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11
10.0.1.0/24 dev eth1 proto kernel scope link src 10.0.1.11
10.8.0.0/16 via 10.0.0.1 dev eth0
10.9.0.0/16 via 10.0.1.1 dev eth1
10.8.0.0/16 via 10.0.1.1 dev eth1 table 100
10.9.0.0/16 via 10.0.0.1 dev eth0 table 100
"""


def one(of: Server, spec: str, around: Any = None, **more: Any) -> Flow:
    return find(report(of, around, **more), spec)


def hops(flow: Flow) -> list[str]:
    return [f"{hop.leg} {hop.at} {hop.stage} {hop.outcome}" for hop in flow.hops]


def drops(flow: Flow) -> list[str]:
    assert flow.dropped_by == (flow.drops[0].by if flow.drops else None)
    return [f"{drop.by} {drop.leg} {drop.at}" for drop in flow.drops]


def reasons(flow: Flow) -> list[str]:
    return [hop.reason for hop in flow.hops if hop.outcome is Outcome.UNKNOWN]


def single(*links: Any, **more: Any) -> Server:
    """A server with one VNI, 10.0.0.11 behind eth0."""
    routes = "default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n" + more.pop("routes", "")
    one_vni = more.pop("one_vni", {})
    return server(
        vni(0, "10.0.0.11", **one_vni),
        guest=guest(*(links or (link("eth0", 0, "10.0.0.11/24"),)), routes=routes, **more),
    )


def test_an_asymmetric_inbound_flow_hop_by_hop() -> None:
    """And past its first drop: what would drop the packet next is told."""
    flow = one(server(guest=guest(rp_filter={"eth1": 1})), TCP)
    assert hops(flow) == [
        "request eth1 network_acl pass",
        "request eth1 security_group pass",
        "request eth1 protocol_state_filtering pass",
        "request eth1 source_validation drop",
        "reply eth0 reply_route pass",
        "reply eth0 ip_spoofing_check pass",
        "reply eth0 protocol_state_filtering drop",
        "reply eth0 security_group pass",
        "reply eth0 network_acl pass",
        "reply eth0 vpc_route pass",
    ]
    assert drops(flow) == ["rp_filter request eth1", "protocol_state_filtering reply eth0"]
    assert (flow.ingress, flow.egress, flow.symmetric, flow.verdict) == ("eth1", "eth0", False, Verdict.DROPPED)


def test_an_asymmetric_outbound_flow_is_the_mirror_image() -> None:
    flow = one(server(guest=guest(rp_filter={"eth1": 1})), OUT)
    assert hops(flow) == [
        "request eth0 request_route pass",
        "request eth0 ip_spoofing_check pass",
        "request eth0 protocol_state_filtering pass",
        "request eth0 security_group pass",
        "request eth0 network_acl pass",
        "request eth0 vpc_route pass",
        "reply eth1 network_acl pass",
        "reply eth1 protocol_state_filtering drop",
        "reply eth1 security_group pass",
        "reply eth1 source_validation drop",
    ]
    assert (flow.ingress, flow.egress, flow.symmetric) == ("eth1", "eth0", False)


def test_policy_routing_makes_it_symmetric() -> None:
    of = server(*two_vnis(spoofing=False), guest=guest(routes=POLICY_ROUTING, rules=POLICY_RULES, rp_filter={"all": 1}))
    for spec in (TCP, PING, OUT):
        flow = one(of, spec)
        assert (flow.verdict, flow.symmetric, flow.ingress, flow.egress) == ("delivered", True, "eth1", "eth1")


def test_each_check_of_the_other_vni_has_its_say() -> None:
    of = server(guest=guest())
    shut = [SecurityGroup(id="open", name="open", rules=(group_rule("inbound"),))]
    deny = [NetworkAcl(id="acl", name="acl", rules=(acl_rule("allow", "inbound"),))]
    lost = VpcRoute(id="r", name="lost", destination="10.8.0.0/16", action="drop")
    table = [RoutingTable(id="table", name="t", vpc="vpc", routes=(lost,))]
    assert drops(one(of, PING)) == []
    assert drops(one(of, TCP)) == ["protocol_state_filtering reply eth0"]
    assert drops(one(of, PING, fabric(groups=shut))) == ["security_group reply eth0"]
    assert drops(one(of, PING, fabric(acls=deny))) == ["network_acl reply eth0"]
    assert drops(one(of, PING, fabric(tables=table))) == ["vpc_route reply eth0"]
    of_sibling = one(server(*two_vnis(spoofing=False), guest=guest()), PING, config=DROPPED)
    assert drops(of_sibling) == ["ip_spoofing_check reply eth0"]
    assert drops(one(server(*two_vnis(protocol_state_filtering_mode="disabled"), guest=guest()), TCP)) == []


def test_on_one_vni_groups_keep_state_and_acls_do_not() -> None:
    shut = [SecurityGroup(id="open", name="open", rules=(group_rule("inbound"),))]
    deny = [NetworkAcl(id="acl", name="acl", rules=(acl_rule("allow", "inbound"),))]
    spec = "inbound tcp/443 10.8.0.4 -> 10.0.0.11"
    assert one(single(), spec, fabric(groups=shut)).verdict is Verdict.DELIVERED
    assert drops(one(single(), spec, fabric(acls=deny))) == ["network_acl reply eth0"]
    assert one(single(), "inbound tcp/443 10.0.0.9 -> 10.0.0.11", fabric(acls=deny)).verdict is Verdict.DELIVERED


def test_the_answer_to_a_ping_is_an_echo_reply_to_groups_that_saw_no_request() -> None:
    echo = [
        SecurityGroup(
            id="open", name="open", rules=(group_rule("inbound"), group_rule("outbound", "icmp", icmp_type=8))
        )
    ]
    assert drops(one(server(guest=guest()), PING, fabric(groups=echo))) == ["security_group reply eth0"]


# --- the internet -----------------------------------------------------------------------------------------------------

FLOATING = (vni(0, "10.0.0.11", allow_ip_spoofing=True), vni(1, "10.0.0.12", floating_ip="203.0.113.7"))


def test_a_floating_ip_wants_its_own_vni_for_the_reply() -> None:
    flow = one(server(*FLOATING, guest=guest()), "inbound icmp 198.51.100.1 -> 10.0.0.12")
    assert drops(flow) == ["ip_spoofing_check reply eth0", "floating_ip reply eth0"]
    fixed = server(*FLOATING, guest=guest(routes=POLICY_ROUTING, rules=POLICY_RULES))
    assert one(fixed, "inbound tcp/443 198.51.100.1 -> 10.0.0.12").verdict is Verdict.DELIVERED
    assert drops(one(fixed, "inbound tcp/443 198.51.100.1 -> 10.0.0.11")) == ["no_floating_ip request eth0"]
    assert one(fixed, "outbound tcp/443 10.0.0.12 -> 198.51.100.1").verdict is Verdict.DELIVERED
    assert drops(one(fixed, "outbound tcp/443 10.0.0.11 -> 198.51.100.1")) == ["no_floating_ip request eth0"]


def test_a_public_gateway_leads_out_only() -> None:
    around = fabric(subnets=[subnet("a", "10.0.0.0/24", public_gateway="pgw")])
    assert one(single(), "outbound tcp/443 10.0.0.11 -> 198.51.100.1", around).verdict is Verdict.DELIVERED
    assert drops(one(single(), "inbound tcp/443 198.51.100.1 -> 10.0.0.11", around)) == ["no_floating_ip request eth0"]


def test_a_way_out_by_a_bridge_is_not_known_to_miss_the_floating_ip() -> None:
    bridged = guest(
        link("eth0", 0, "10.0.0.11/24"),
        link("eth1", 1, master="br0"),
        link("br0", 1, "10.0.0.12/24", kind="bridge", index=9),
        routes="default via 10.0.0.1 dev br0\n10.0.0.0/24 dev br0 scope link\n",
    )
    flow = one(server(*FLOATING, guest=bridged), "inbound tcp/443 198.51.100.1 -> 10.0.0.12")
    assert (flow.verdict, flow.ingress, flow.egress, flow.symmetric) == ("unknown", None, "br0", None)


# --- the guest --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "code"),
    [
        ("", "no_route"),
        ("blackhole 10.8.0.0/16", "blackhole"),
        ("unreachable 10.8.0.0/16", "unreachable"),
        ("prohibit 10.8.0.0/16", "prohibit"),
    ],
)
def test_a_reply_without_a_way(route: str, code: str) -> None:
    of = server(guest=guest(routes=f"10.0.0.0/24 dev eth0 scope link\n{route}\n"))
    flow = one(of, PING)
    assert drops(flow) == [f"{code} reply eth1"]
    assert (flow.ingress, flow.egress, flow.symmetric) == ("eth1", None, None)
    assert drops(one(of, OUT)) == [f"{code} request eth1"]


@pytest.mark.parametrize("state", [{"up": False}, {"carrier": False}])
def test_an_interface_that_is_down_receives_nothing(state: dict[str, Any]) -> None:
    of = server(guest=guest(link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24", **state)))
    assert drops(one(of, PING)) == ["interface_down request eth1"]


def test_an_interface_without_carrier_sends_nothing() -> None:
    """Its routes stay: the kernel sends by it, and nobody hears."""
    dead = server(guest=guest(link("eth0", 0, "10.0.0.11/24", carrier=False), link("eth1", 1, "10.0.0.12/24")))
    assert drops(one(dead, PING)) == ["interface_down reply eth0"]
    assert drops(one(dead, "outbound icmp 10.0.0.12 -> 10.8.0.4")) == ["interface_down request eth0"]
    assert drops(one(dead, "inbound icmp 10.8.0.4 -> 10.0.0.11")) == ["interface_down request eth0"]


def test_an_unknown_gateway_is_not_known_to_pass_it_on() -> None:
    routes = TWO_DEFAULTS.replace("via 10.0.0.1", "via 10.0.0.254")
    flow = one(server(guest=guest(routes=routes)), PING)
    assert flow.verdict is Verdict.UNKNOWN
    assert "10.0.0.254, which is not the gateway of subnet subnet-a" in reasons(flow)[0]


def test_a_remote_outside_the_subnet_does_not_answer_arp() -> None:
    routes = "default dev eth0 scope link\n10.0.0.0/24 dev eth0 scope link\n"
    flow = one(server(guest=guest(routes=routes)), PING)
    assert flow.verdict is Verdict.UNKNOWN
    assert "on-link, but the remote is not in subnet subnet-a" in reasons(flow)[0]
    assert one(server(guest=guest(routes=routes)), "inbound icmp 10.0.0.200 -> 10.0.0.12").verdict is Verdict.DELIVERED


@pytest.mark.parametrize("rp_filter", [0, 2])
def test_behind_docker0_is_no_vni(rp_filter: int) -> None:
    """What the guest keeps behind a bridge of its own is not the VPC's to judge, in either direction."""
    docker = single(
        link("eth0", 0, "10.0.0.11/24"),
        link("docker0", 3, "172.17.0.1/16", kind="bridge"),
        routes="172.17.0.0/16 dev docker0 scope link\n",
        rp_filter={"all": rp_filter},
    )
    instance = report(docker)
    flow = find(instance, "outbound tcp/80 10.0.0.11 -> 172.17.0.2")
    assert (flow.verdict, flow.egress) == ("unknown", "docker0")
    assert "docker0, behind which no VNI is known" in reasons(flow)[0]
    from_behind = [each for each in instance.flows if each.direction == "inbound" and "172.17.0.0/16" in each.remote]
    assert from_behind == [], "nobody there comes in by a VNI"
    assert find(instance, "inbound tcp/80 10.8.0.4 -> 10.0.0.11").verdict is Verdict.DELIVERED
    assert [finding.rule for finding in instance.findings] == (["VNC303"] if rp_filter == 0 else [])


def test_a_vni_without_an_interface_may_be_in_another_namespace() -> None:
    of = server(guest=guest(link("eth0", 0, "10.0.0.11/24"), routes="default via 10.0.0.1 dev eth0\n"))
    for spec in (TCP, PING, OUT):
        flow = one(of, spec)
        assert (flow.verdict, flow.ingress, flow.egress) == ("unknown", None, None)
        assert "no interface of the guest belongs to vni-2" in reasons(flow)[0]
    assert {hop.at for hop in one(of, TCP).hops} == {"vni-2"}


def test_an_address_that_the_guest_lacks_is_not_local() -> None:
    of = server(vni(0, "10.0.0.11", "10.0.0.13"), guest=single().guest)
    flow = one(of, "inbound icmp 10.8.0.4 -> 10.0.0.13")
    assert drops(flow)[0] == "not_local request eth0"
    assert drops(one(of, "outbound icmp 10.0.0.13 -> 10.8.0.4")) == ["not_local request eth0"]


def test_a_secondary_address_that_the_guest_has() -> None:
    of = server(vni(0, "10.0.0.11", "10.0.0.13"), guest=single(link("eth0", 0, "10.0.0.11/24", "10.0.0.13/24")).guest)
    for spec in ("inbound tcp/22 10.8.0.4 -> 10.0.0.13", "outbound tcp/22 10.0.0.13 -> 10.8.0.4"):
        assert one(of, spec).verdict is Verdict.DELIVERED


def test_a_guest_that_ignores_pings() -> None:
    of = single(sysctls={"icmp_echo_ignore_all": 1})
    assert one(of, "inbound icmp 10.8.0.4 -> 10.0.0.11").verdict is Verdict.UNKNOWN
    assert one(of, "inbound tcp/22 10.8.0.4 -> 10.0.0.11").verdict is Verdict.DELIVERED
    assert one(of, "outbound icmp 10.0.0.11 -> 10.8.0.4").verdict is Verdict.DELIVERED


@pytest.mark.parametrize(
    "doubt",
    [
        {"missing": {"interfaces": "ip: not found"}},
        {"missing": {"routes": "timed out"}},
        {"missing": {"rules": "timed out"}},
        {"missing": {"routes_local": "only main"}},
    ],
    ids=str,
)
def test_what_was_not_collected_leaves_nothing_delivered(doubt: dict[str, Any]) -> None:
    inside = single().guest
    assert inside is not None
    of = server(guest=msgspec.structs.replace(inside, **doubt))
    assert {flow.verdict for flow in flows(of)} == {Verdict.UNKNOWN, Verdict.DROPPED}


def test_sysctls_that_were_not_collected() -> None:
    inside = msgspec.structs.replace(guest(), sysctls={}, missing={"sysctls": "permission denied"})
    flow = one(server(guest=inside), PING)
    assert flow.verdict is Verdict.UNKNOWN
    assert "permission denied" in reasons(flow)[0]


def test_a_guest_that_was_not_collected_is_never_delivered_to() -> None:
    of = server(*FLOATING, guest=None)
    everything = flows(of)
    assert {flow.verdict for flow in everything} == {Verdict.UNKNOWN, Verdict.DROPPED}
    for flow in everything:
        assert (flow.ingress, flow.egress, flow.symmetric) == (None, None, None)
        if flow.verdict is Verdict.DROPPED:
            assert flow.dropped_by == "no_floating_ip"
    shut = [SecurityGroup(id="open", name="open")]
    assert drops(one(of, TCP, fabric(groups=shut))) == ["security_group request vni-2"]


# --- the classes ------------------------------------------------------------------------------------------------------


def test_own_addresses_are_no_remotes_loopback_addresses_too() -> None:
    of = single(loopback("10.9.9.9/32"), link("eth0", 0, "10.0.0.11/24"), link("dummy0", 3, "10.9.9.8/32"))
    instance = report(of)
    for own in ("10.9.9.9", "10.9.9.8", "10.0.0.11"):
        with pytest.raises(AssertionError, match="is in 0 classes"):
            find(instance, f"inbound icmp {own} -> 10.0.0.11")
    assert find(instance, "inbound icmp 10.9.9.7 -> 10.0.0.11").verdict is Verdict.DELIVERED


def test_an_address_that_the_vpc_has_not_chosen_has_no_flows() -> None:
    of = server(vni(0, "10.0.0.11"), vni(1, "0.0.0.0"), guest=single().guest)
    assert {flow.local for flow in flows(of)} == {"10.0.0.11"}


def test_classes_are_the_coarsest() -> None:
    inside = guest(routes=TWO_DEFAULTS + "10.8.0.0/16 via 10.0.0.1 dev eth0\n10.8.4.0/24 via 10.0.0.1 dev eth0\n")
    everything = flows(server(guest=inside))
    fates = [
        (
            flow.local,
            flow.direction,
            flow.protocol,
            flow.ports,
            flow.remote_scope,
            tuple(hops(flow)),
            tuple(drops(flow)),
        )
        for flow in everything
        if flow.verdict is not Verdict.DROPPED or flow.dropped_by != "unreachable"
    ]
    assert len(set(fates)) == len(fates)
    assert one(server(guest=inside), PING).remote[0] == "10.1.0.0/16"


def test_classes_split_where_the_rules_do() -> None:
    web = group_rule("inbound", "tcp", "10.8.0.0/16", port_min=443, port_max=443)
    around = fabric(groups=[SecurityGroup(id="open", name="open", rules=(web,))])
    admitted = one(single(), "inbound tcp/443 10.8.0.4 -> 10.0.0.11", around)
    assert (admitted.ports, admitted.remote, admitted.verdict) == (("443",), ("10.8.0.0/16",), "delivered")
    refused = one(single(), "inbound tcp/442 10.8.0.4 -> 10.0.0.11", around)
    assert (refused.ports, refused.verdict) == (("1-442", "444-65535"), "dropped")


def test_the_opening_sides_ports_can_be_overridden() -> None:
    narrow = NetworkAcl(
        id="acl",
        name="acl",
        rules=(acl_rule("allow", "inbound"), acl_rule("allow", "outbound", "tcp", destination_port_min=32768)),
    )
    spec = "inbound tcp/443 10.8.0.4 -> 10.0.0.11"
    assert one(single(), spec, fabric(acls=[narrow])).verdict is Verdict.UNKNOWN
    linux = Config(assumptions=Assumptions(client_ports="32768-60999"))
    assert one(single(), spec, fabric(acls=[narrow]), config=linux).verdict is Verdict.DELIVERED


def zones(**more: Any) -> Fabric:
    """Two subnets, each in a zone of its own."""
    return fabric(subnets=[subnet("b", "10.0.1.0/24", zone="z-2")], **more)


INGRESS = [
    ("transit_gateway", "10.8.0.4", "10.0.0.0/24"),
    ("direct_link", "10.8.0.4", "10.0.0.0/16"),
    ("internet", "198.51.100.1", "203.0.113.7/32"),
    ("internet", "198.51.100.1", "203.0.113.0/24"),
    ("vpc_zone", "10.0.1.9", "10.0.0.0/24"),
]
"""Traffic sources, a remote that comes by each, and a route that leads what it sends past the server."""


@pytest.mark.parametrize(("ingress", "remote", "destination"), INGRESS)
def test_an_ingress_routing_table_may_lead_past_the_server(ingress: str, remote: str, destination: str) -> None:
    of = server(vni(0, "10.0.0.11", floating_ip="203.0.113.7"), guest=single().guest)
    divert = VpcRoute(id="r", name="firewall", destination=destination, action="deliver", next_hop="10.0.1.4")
    specs = (f"inbound tcp/443 {remote} -> 10.0.0.11", f"outbound tcp/443 10.0.0.11 -> {remote}")
    delegated = msgspec.structs.replace(divert, destination="10.0.0.11/32", action="delegate")
    delegated_fip = msgspec.structs.replace(divert, destination="203.0.113.7/32", action="delegate", priority=1)
    here = msgspec.structs.replace(divert, next_hop="10.0.0.11")
    for harmless in ((divert, delegated, delegated_fip), (here,), (msgspec.structs.replace(divert, zone="z-3"),)):
        table = RoutingTable(id="in", name="in", vpc="vpc", routes=harmless, ingress=(ingress,))
        assert one(of, specs[0], zones(tables=[table])).verdict is Verdict.DELIVERED
    for routes, expected in (((divert,), "unknown"), ((), "delivered")):
        table = RoutingTable(id="in", name="in", vpc="vpc", routes=routes, ingress=(ingress,))
        for spec in specs:
            assert one(of, spec, zones(tables=[table])).verdict == expected
    other = RoutingTable(id="in", name="in", vpc="another", routes=(divert,), ingress=(ingress,))
    past = msgspec.structs.replace(divert, destination="10.0.0.12/32")
    elsewhere = RoutingTable(id="in", name="in", vpc="vpc", routes=(past,), ingress=(ingress,))
    for table in (other, elsewhere):
        assert one(of, specs[0], fabric(tables=[table])).verdict is Verdict.DELIVERED
    if ingress == "vpc_zone":
        same_zone = fabric(tables=[RoutingTable(id="in", name="in", vpc="vpc", routes=(divert,), ingress=(ingress,))])
        assert one(of, specs[0], same_zone).verdict is Verdict.DELIVERED
    beside = fabric(tables=[RoutingTable(id="in", name="in", vpc="vpc", routes=(divert,), ingress=(ingress,))])
    assert one(of, "inbound tcp/443 10.0.0.200 -> 10.0.0.11", beside).verdict is Verdict.DELIVERED


@pytest.mark.parametrize(("ingress", "remote", "destination"), INGRESS)
def test_an_ingress_routing_table_that_was_not_read_may_lead_past_the_server(
    ingress: str, remote: str, destination: str
) -> None:
    of = server(vni(0, "10.0.0.11", floating_ip="203.0.113.7"), guest=single().guest)
    unread = zones(missing={"routing_tables": "table in: 403"})
    for spec in (f"inbound tcp/443 {remote} -> 10.0.0.11", f"outbound tcp/443 10.0.0.11 -> {remote}"):
        flow = one(of, spec, unread)
        assert flow.verdict is Verdict.UNKNOWN
        assert any("what comes in: table in: 403" in hop.reason for hop in flow.hops)
    assert one(of, "inbound tcp/443 10.0.0.200 -> 10.0.0.11", unread).verdict is Verdict.DELIVERED
    sources = ("transit_gateway", "direct_link") if remote == "10.8.0.4" else (ingress,)
    past = VpcRoute(id="r", name="r", destination="10.9.0.0/16", action="drop")
    read = RoutingTable(id="in", name="in", vpc="vpc", routes=(past,), ingress=sources)
    known = zones(tables=[read], missing={"routing_tables": "table out: 403"})
    assert one(of, f"inbound tcp/443 {remote} -> 10.0.0.11", known).verdict is Verdict.DELIVERED


AT_HOME = [
    ({"action": "drop"}, "dropped"),
    ({"next_hop": "10.0.9.9"}, "unknown"),
    ({"action": "drop", "lifecycle_state": "pending"}, "unknown"),
    ({"action": "a later word"}, "unknown"),
    ({"action": "delegate"}, "delivered"),
    ({"next_hop": "10.0.0.11"}, "delivered"),
    ({"action": "drop", "zone": "z-3"}, "delivered"),
    ({"action": "drop", "destination": "10.0.9.0/24"}, "delivered"),
]
"""Routes of a remote's own subnet, and what becomes of its packets to the server."""


@pytest.mark.parametrize(("changes", "expected"), AT_HOME)
def test_the_routing_table_of_a_remotes_own_subnet_counts(changes: Any, expected: str) -> None:
    of = server(vni(0, "10.0.0.11"), guest=single().guest)
    route = VpcRoute(**({"id": "r", "name": "r", "destination": "10.0.0.0/24", "action": "deliver"} | changes))
    around = fabric(
        subnets=[subnet("b", "10.0.1.0/24", routing_table="home")],
        tables=[RoutingTable(id="home", name="home", vpc="vpc", routes=(route,))],
    )
    for spec in ("inbound tcp/443 10.0.1.9 -> 10.0.0.11", "outbound tcp/443 10.0.0.11 -> 10.0.1.9"):
        flow = one(of, spec, around)
        assert flow.verdict == expected
        assert flow.dropped_by == ("vpc_route" if expected == "dropped" else None)
    for remote in ("10.0.0.200", "10.0.2.9", "10.8.0.4"):
        assert one(of, f"inbound tcp/443 {remote} -> 10.0.0.11", around).verdict is Verdict.DELIVERED


@pytest.mark.parametrize("ingress", [(), ("vpc_zone",)])
def test_what_comes_in_by_another_vni_than_its_addresss_is_not_followed(ingress: tuple[str, ...]) -> None:
    """The answer leaves by eth1 too: such a flow is symmetric, and no filter drops it."""
    own = guest(
        link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.1.12/24"), routes="default via 10.0.1.1 dev eth1"
    )
    of = server(vni(0, "10.0.0.11"), vni(1, "10.0.1.12", subnet="b"), guest=own)
    zone = "z-1" if ingress else "z-2"
    hub = VpcRoute(id="r", name="r", destination="0.0.0.0/0", action="deliver", next_hop="10.0.1.12", zone=zone)
    around = fabric(
        subnets=[subnet("c", "10.0.2.0/24", zone="z-2", routing_table="table" if ingress else "home")],
        tables=[RoutingTable(id="home", name="home", vpc="vpc", routes=(hub,), ingress=ingress)],
    )
    flow = one(of, "inbound tcp/443 10.0.2.9 -> 10.0.0.11", around)
    assert (flow.verdict, flow.hops[-1].stage) == (Verdict.UNKNOWN, "ingress_route")
    assert "another VNI of this server" in flow.hops[-1].reason
    back = one(of, "outbound tcp/443 10.0.0.11 -> 10.0.2.9", around)
    assert back.hops[-1].reason == flow.hops[-1].reason
    assert one(of, "inbound tcp/443 10.0.2.9 -> 10.0.1.12", around).verdict is Verdict.DELIVERED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"action": "drop"}, "dropped"),
        ({"next_hop": "10.0.9.9"}, "unknown"),
        ({"action": "delegate"}, "delivered"),
        ({"action": "drop", "lifecycle_state": "pending"}, "unknown"),
        ({"action": "drop", "zone": "z-1"}, "delivered"),
    ],
)
def test_routes_between_zones_count_on_the_way_out_too(changes: Any, expected: str) -> None:
    of = server(vni(0, "10.0.0.11"), guest=single().guest)
    fields = {"id": "r", "name": "r", "destination": "10.0.1.0/24", "action": "deliver", "zone": "z-2"}
    route = VpcRoute(**(fields | changes))
    around = zones(tables=[RoutingTable(id="in", name="in", vpc="vpc", routes=(route,), ingress=("vpc_zone",))])
    for spec in ("inbound tcp/443 10.0.1.9 -> 10.0.0.11", "outbound tcp/443 10.0.0.11 -> 10.0.1.9"):
        assert one(of, spec, around).verdict == expected
    assert one(of, "inbound tcp/443 10.0.0.200 -> 10.0.0.11", around).verdict is Verdict.DELIVERED


def test_remotes_that_only_the_way_in_tells_apart_are_two_classes() -> None:
    """The way out to both depends on the mark, in the same words; source validation, which knows none, does not."""
    rules = "0:\tfrom all lookup local\n100:\tfrom all fwmark 0x1 lookup 100\n32766:\tfrom all lookup main"
    links = link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.1.11/24")
    own = guest(*links, routes=BY_MARK, rules=rules, rp_filter={"eth0": 1})
    of = server(vni(0, "10.0.0.11"), vni(1, "10.0.1.11", subnet="b"), guest=own)
    marked = Config(assumptions=Assumptions(packets_unmarked=False))
    accepted, refused = (
        one(of, f"inbound tcp/443 {remote} -> 10.0.0.11", config=marked) for remote in ("10.8.0.4", "10.9.0.4")
    )
    assert (accepted.verdict, drops(accepted)) == (Verdict.UNKNOWN, [])
    assert (refused.verdict, drops(refused)[0]) == (Verdict.DROPPED, "rp_filter request eth0")


@pytest.mark.parametrize(
    ("of_first", "verdict", "hop"),
    [
        ((), Verdict.DROPPED, "it goes to the internet"),
        ((("198.18.0.0/15", "delegate"),), Verdict.DROPPED, "it goes to the internet"),
        ((("0.0.0.0/0", "delegate"),), Verdict.DROPPED, "it goes to the internet"),
        ((("198.18.0.0/15", "delegate_vpc"),), Verdict.DELIVERED, ""),
        ((("0.0.0.0/0", "delegate_vpc"),), Verdict.DELIVERED, ""),
        ((("198.18.0.0/15", "delegate_vpc"), ("198.18.7.0/24", "delegate")), Verdict.DROPPED, "goes to the internet"),
        ((("198.18.0.0/15", "drop"),), Verdict.DROPPED, "a VPC route drops it"),
        ((("198.18.0.0/15", "a later word"),), Verdict.UNKNOWN, "where we cannot see"),
        ((("198.18.0.0/15", "deliver"),), Verdict.UNKNOWN, "where we cannot see"),
    ],
)
def test_a_private_network_of_another_subnets_routes_alone_is_the_internet_here(
    of_first: Any, verdict: Verdict, hop: str
) -> None:
    """eth1's table delegates 198.18.0.0/15 to the VPC; everything leaves by eth0, of another subnet and table."""

    def table(name: str, *routes: tuple[str, str]) -> RoutingTable:
        made = [VpcRoute(id=to, name=to, destination=to, action=action) for to, action in routes]
        return RoutingTable(id=name, name=name, vpc="vpc", routes=tuple(made))

    more: dict[str, Any] = {"protocol_state_filtering_mode": "disabled", "allow_ip_spoofing": True}
    inside = guest(
        link("eth0", 0, "10.0.0.11/24"),
        link("eth1", 1, "10.0.7.12/24"),
        routes="default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n10.0.7.0/24 dev eth1 scope link",
    )
    of = server(vni(0, "10.0.0.11", **more), vni(1, "10.0.7.12", subnet="home", **more), guest=inside)
    around = fabric(
        subnets=[subnet("home", "10.0.7.0/24", routing_table="second")],
        tables=[table("table", *of_first), table("second", ("198.18.0.0/15", "delegate_vpc"))],
    )
    for spec in ("inbound tcp/443 198.18.7.9 -> 10.0.7.12", "outbound tcp/443 10.0.7.12 -> 198.18.7.9"):
        flow = one(of, spec, around)
        assert flow.verdict is verdict
        assert any(hop in each.reason for each in flow.hops if not hop or each.outcome is not Outcome.PASS)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"action": "deliver", "next_hop": "10.0.1.5"}, Verdict.UNKNOWN),
        ({"action": "a later word"}, Verdict.UNKNOWN),
        ({"action": "delegate", "lifecycle_state": "pending"}, Verdict.UNKNOWN),
        ({"action": "delegate"}, Verdict.DROPPED),
        ({"action": "drop"}, Verdict.DROPPED),
    ],
)
def test_what_a_route_may_lead_elsewhere_needs_no_floating_ip_here(changes: Any, verdict: Verdict) -> None:
    """A firewall that reaches the internet for the whole VPC, by its own floating IP."""
    route = VpcRoute(id="r", name="r", destination="0.0.0.0/0", **changes)
    around = fabric(tables=[RoutingTable(id="table", name="table", vpc="vpc", routes=(route,))])
    flow = one(single(), "outbound tcp/443 10.0.0.11 -> 203.0.113.9", around)
    assert flow.verdict is verdict
