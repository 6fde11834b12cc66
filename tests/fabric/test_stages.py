"""Each stage by itself: each outcome, and what is missing or not understood, which never passes."""

from typing import Any

import msgspec
import pytest

from tests.support.servers import acl_rule, fabric, group_rule, subnet, two_vnis, vni
from vnicheck.fabric.assumptions import ASSUMPTIONS
from vnicheck.fabric.check import Check
from vnicheck.fabric.floating_ip import back_to_internet, from_internet, to_internet
from vnicheck.fabric.network_acl import network_acl
from vnicheck.fabric.scope import scopes_from
from vnicheck.fabric.security_group import answer_to_seen, group_answers, groups_check
from vnicheck.fabric.spoofing_check import spoofing_check
from vnicheck.fabric.state_filter import effective_filtering, state_filter
from vnicheck.fabric.transport import CrossingPacket, speaks
from vnicheck.fabric.vpc_route import vpc_route
from vnicheck.model.address import parse_address
from vnicheck.model.cloud import (
    Fabric,
    NetworkAcl,
    NextHopResource,
    Ref,
    RoutingTable,
    SecurityGroup,
    Vni,
    Vpc,
    VpcRoute,
)
from vnicheck.model.config import Assumptions
from vnicheck.model.flow import DropCode, Outcome, Protocol, Scope

TCP, UDP, ICMP = Protocol.TCP, Protocol.UDP, Protocol.ICMP
ASSUME = Assumptions()
KINDS: tuple[Any, ...] = ("instance", "bare_metal_server")
DENIED = "403: not authorized"


def told(check: Check) -> tuple[str, str | None, str | None]:
    """Outcome, drop code and assumption."""
    assert check.reason
    return check.outcome.value, check.drop.value if check.drop is not None else None, check.assumption


# --- state filter -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "kind", "effective"),
    [
        ({"protocol_state_filtering_mode": "auto"}, "instance", "enabled"),
        ({"protocol_state_filtering_mode": "auto"}, "bare_metal_server", "disabled"),
        ({"protocol_state_filtering_mode": "enabled"}, "instance", "enabled"),
        ({"protocol_state_filtering_mode": "enabled"}, "bare_metal_server", "enabled"),
        ({"protocol_state_filtering_mode": "disabled"}, "instance", "disabled"),
        ({"protocol_state_filtering_mode": "disabled"}, "bare_metal_server", "disabled"),
        ({"protocol_state_filtering_mode": None}, "instance", None),
        ({"protocol_state_filtering_mode": "Enabled"}, "instance", None),
        ({"protocol_state_filtering_mode": "strict"}, "instance", None),
        ({"protocol_state_filtering_mode": None, "legacy": True}, "instance", "enabled"),
        ({"protocol_state_filtering_mode": None, "legacy": True}, "bare_metal_server", "disabled"),
    ],
)
def test_modes_and_what_they_come_to(changes: dict[str, Any], kind: Any, effective: str | None) -> None:
    one = vni(0, "10.0.0.11", **changes)
    assert effective_filtering(one, auto_filters=kind == "instance") == effective
    check = state_filter(one, ASSUME, TCP, auto_filters=kind == "instance", saw_opening=False)
    expected = {
        "enabled": ("drop", "protocol_state_filtering", "psf-opening"),
        "disabled": ("pass", None, "psf-auto" if _is_auto(changes) else None),
        None: ("unknown", None, None),
    }[effective]
    assert told(check) == expected


def _is_auto(changes: dict[str, Any]) -> bool:
    return bool(changes["protocol_state_filtering_mode"] == "auto" or changes.get("legacy", False))


def test_the_meaning_of_auto_can_be_overridden() -> None:
    assert [ASSUME.auto_filters(kind, "web-1", "id-1") for kind in KINDS] == [True, False]
    for_all = Assumptions(psf_auto="disabled")
    assert [for_all.auto_filters(kind, "web-1", "id-1") for kind in KINDS] == [False, False]
    by_kind = Assumptions(psf_auto={"instance": "disabled", "bare_metal_server": "enabled"})
    assert [by_kind.auto_filters(kind, "web-1", "id-1") for kind in KINDS] == [False, True]
    by_name = Assumptions(psf_auto={"web-1": "disabled", "instance": "enabled"})
    assert by_name.auto_filters("instance", "web-1", "id-1") is False
    assert by_name.auto_filters("instance", "web-2", "id-2") is True


@pytest.mark.parametrize("mode", ["auto", "enabled", "disabled", "strict", None])
def test_who_saw_the_opening_passes_and_only_tcp_is_filtered(mode: str | None) -> None:
    one = vni(0, "10.0.0.11", protocol_state_filtering_mode=mode)
    assert told(state_filter(one, ASSUME, TCP, auto_filters=True, saw_opening=True)) == ("pass", None, "psf-opening")
    for protocol in (UDP, ICMP):
        check = state_filter(one, ASSUME, protocol, auto_filters=True, saw_opening=False)
        assert told(check) == ("pass", None, "psf-protocols")


# --- spoofing check ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "allowed", "scope", "expected"),
    [
        ("10.0.0.11", False, Scope.PRIVATE, ("pass", None, "spoofing-check")),
        ("10.0.0.13", None, Scope.INTERNET, ("pass", None, "spoofing-check")),
        ("10.0.0.12", False, Scope.PRIVATE, ("drop", "ip_spoofing_check", "spoofing-check")),
        ("10.0.0.12", True, Scope.PRIVATE, ("pass", None, "spoofing-check")),
        ("10.0.0.12", None, Scope.PRIVATE, ("unknown", None, "spoofing-check")),
        ("10.0.0.12", True, Scope.INTERNET, ("drop", "ip_spoofing_check", "spoofing-internet")),
        ("10.0.0.12", None, Scope.INTERNET, ("drop", "ip_spoofing_check", "spoofing-internet")),
        ("10.0.0.12", False, Scope.INTERNET, ("drop", "ip_spoofing_check", "spoofing-check")),
    ],
)
def test_spoofing(source: str, allowed: bool | None, scope: Scope, expected: tuple[str, ...]) -> None:
    one = vni(0, "10.0.0.11", "10.0.0.13", allow_ip_spoofing=allowed)
    assert told(spoofing_check(one, ASSUME, source, scope)) == expected


# --- floating IPs -----------------------------------------------------------------------------------------------------

WITH = vni(0, "10.0.0.11", "10.0.0.13", floating_ip="203.0.113.7")
WITHOUT = vni(1, "10.0.0.12", "10.0.0.14")
LACKING = {"floating_ips": DENIED}


@pytest.mark.parametrize(
    ("one", "local", "missing", "outcome"),
    [
        (WITH, "10.0.0.11", {}, "pass"),
        (WITH, "10.0.0.11", LACKING, "pass"),
        (WITH, "10.0.0.13", {}, "drop"),
        (WITHOUT, "10.0.0.12", {}, "drop"),
        (WITHOUT, "10.0.0.12", LACKING, "unknown"),
        (WITHOUT, "10.0.0.14", LACKING, "drop"),
    ],
)
def test_from_the_internet(one: Any, local: str, missing: dict[str, str], outcome: str) -> None:
    check = from_internet(fabric(missing=missing), one, local)
    assert told(check) == (outcome, "no_floating_ip" if outcome == "drop" else None, None)
    assert (DENIED in check.reason) is (outcome == "unknown")


@pytest.mark.parametrize(
    ("one", "source", "gateway", "missing", "outcome"),
    [
        (WITH, "10.0.0.11", None, {}, "pass"),
        (WITH, "10.0.0.13", None, {}, "drop"),
        (WITH, "10.0.0.13", "pgw", {}, "unknown"),
        (WITHOUT, "10.0.0.12", None, {}, "drop"),
        (WITHOUT, "10.0.0.12", "pgw", LACKING, "pass"),
        (WITHOUT, "10.0.0.12", None, LACKING, "unknown"),
    ],
)
def test_to_the_internet(one: Any, source: str, gateway: str | None, missing: dict[str, str], outcome: str) -> None:
    check = to_internet(fabric(missing=missing), one, subnet("a", "10.0.0.0/24", public_gateway=gateway), source)
    assert told(check)[:2] == (outcome, "no_floating_ip" if outcome == "drop" else None)


def test_a_floating_ip_may_be_bound_to_a_vni_that_is_not_known() -> None:
    attached = vni(0, "10.0.0.11", "10.0.0.13", attachment=Ref(id="vni-id-1", name="eth0"))
    where = subnet("a", "10.0.0.0/24")
    for local, outcome in (("10.0.0.11", "unknown"), ("10.0.0.13", "drop")):
        for check in (from_internet(fabric(), attached, local), to_internet(fabric(), attached, where, local)):
            assert told(check)[0] == outcome
            assert ("of attachment eth0, which is not known" in check.reason) is (outcome == "unknown")


@pytest.mark.parametrize("status", ["pending", "deleting", "failed", "a later word"])
def test_a_floating_ip_that_is_not_available_is_not_known_to_work(status: str) -> None:
    (floating,) = WITH.floating_ips
    one = msgspec.structs.replace(WITH, floating_ips=(msgspec.structs.replace(floating, status=status),))
    alone = msgspec.structs.replace(one, enable_infrastructure_nat=False)
    around, where = fabric(), subnet("a", "10.0.0.0/24", public_gateway="pgw")
    for check in (
        from_internet(around, one, "10.0.0.11"),
        to_internet(around, one, where, "10.0.0.11"),
        from_internet(around, alone, "203.0.113.7"),
        to_internet(around, alone, where, "203.0.113.7"),
    ):
        assert told(check)[0] == "unknown"
        assert f"203.0.113.7 of vni-1 is {status}, not available" in check.reason
    assert told(from_internet(around, alone, "10.0.0.11"))[0] == "drop"


def test_the_reply_leaves_by_the_vni_with_the_floating_ip_or_not_at_all() -> None:
    assert told(back_to_internet(WITH, WITH, ASSUME)) == ("pass", None, "fip-return")
    assert told(back_to_internet(WITH, WITHOUT, ASSUME)) == ("drop", "floating_ip", "fip-return")


# --- security groups --------------------------------------------------------------------------------------------------


def grouped(**changes: Any) -> CrossingPacket:
    fields: dict[str, Any] = {
        "direction": "inbound",
        "protocol": TCP,
        "remotes": (parse_address("10.8.0.4"),),
        "local": parse_address("10.0.0.11"),
        "sports": ((1024, 65535),),
        "dports": ((443, 443),),
    }
    return CrossingPacket(**(fields | changes))


def security_groups(around: Fabric, of: Vni, packet: CrossingPacket, *, opening: bool = True) -> Check:
    answers = group_answers(around, of, packet)
    return groups_check(around, of, answers, direction=packet.direction, opening=opening)


def admission(
    *rules: Any, packet: CrossingPacket | None = None, others: tuple[SecurityGroup, ...] = (), opening: bool = True
) -> Check:
    group = SecurityGroup(id="g", name="web", rules=rules)
    one = vni(0, "10.0.0.11", security_groups=("g",))
    return security_groups(fabric(groups=[group, *others]), one, packet or grouped(), opening=opening)


WEB = SecurityGroup(id="web", name="web", addresses=("10.8.0.4",))


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        ((), "drop"),
        ((group_rule("inbound"),), "pass"),
        ((group_rule("outbound"),), "drop"),
        ((group_rule("inbound", "tcp", port_min=443, port_max=443),), "pass"),
        ((group_rule("inbound", "tcp", port_min=444, port_max=500),), "drop"),
        ((group_rule("inbound", "tcp", port_max=442), group_rule("inbound", "tcp", port_min=443)), "pass"),
        ((group_rule("inbound", "udp"),), "drop"),
        ((group_rule("inbound", "all"),), "pass"),
        ((group_rule("inbound", "icmp_tcp_udp"),), "pass"),
        ((group_rule("inbound", "number_6"),), "pass"),
        ((group_rule("inbound", "number_17"),), "drop"),
        ((group_rule("inbound", "esp"),), "drop"),
        ((group_rule("inbound", remote="10.8.0.0/16"),), "pass"),
        ((group_rule("inbound", remote="10.9.0.0/16"),), "drop"),
        ((group_rule("inbound", local="10.0.0.11/32"),), "pass"),
        ((group_rule("inbound", local="10.0.0.12/32"),), "drop"),
        ((group_rule("inbound", remote=None, remote_group="web"),), "pass"),
        ((group_rule("inbound", remote=None, remote_group="nobody-knows"),), "unknown"),
        ((group_rule("inbound", remote=None, unmodelled=("remote of an unknown kind: x",)),), "unknown"),
        ((group_rule("inbound", "quic"),), "unknown"),
        ((group_rule("inbound", "tcp_udp"),), "unknown"),
        ((group_rule("inbound", "TCP"),), "unknown"),
        ((group_rule("inbound", "quic", remote="10.9.0.0/16"),), "drop"),
        ((group_rule("both"),), "unknown"),
        ((group_rule("both"), group_rule("inbound")), "pass"),
        ((group_rule("inbound", "quic"), group_rule("inbound", "tcp")), "pass"),
    ],
)
def test_what_a_group_admits(rules: tuple[Any, ...], outcome: str) -> None:
    check = admission(*rules, others=(WEB,))
    assert told(check) == (outcome, "security_group" if outcome == "drop" else None, None)


def test_icmp_rules_name_type_and_code() -> None:
    echo = group_rule("inbound", "icmp", icmp_type=8)
    assert admission(echo, packet=grouped(protocol=ICMP, dports=((0, 0),))).outcome is Outcome.PASS
    answer = grouped(protocol=ICMP, dports=((0, 0),), icmp_type=0)
    assert told(admission(echo, packet=answer, opening=False)) == ("drop", "security_group", "sg-stateless")
    other_code = group_rule("inbound", "icmp", icmp_type=8, icmp_code=1)
    assert admission(other_code, packet=grouped(protocol=ICMP, dports=((0, 0),))).outcome is Outcome.DROP


@pytest.mark.parametrize(
    ("remote", "outcome"), [("10.0.0.9", "unknown"), ("10.8.0.4", "drop"), ("198.51.100.9", "drop")]
)
def test_a_group_of_unknown_addresses_has_none_outside_the_vpc(remote: str, outcome: str) -> None:
    rule = group_rule("inbound", "tcp", remote_group="peers", remote=None)
    around = fabric(
        groups=[SecurityGroup(id="web", name="web", rules=(rule,)), SecurityGroup(id="peers", name="peers")]
    )
    one, packet = vni(0, "10.0.0.11", security_groups=("web",)), grouped(remotes=(parse_address(remote),))
    assert security_groups(around, one, packet).outcome == outcome
    unread = msgspec.structs.replace(around, missing={"subnets": DENIED})
    assert security_groups(unread, one, packet).outcome is Outcome.UNKNOWN


def test_ports_that_only_partly_pass_are_not_known() -> None:
    check = admission(
        group_rule("inbound", "tcp", port_max=32767), packet=grouped(dports=((1024, 65535),)), opening=False
    )
    assert told(check) == ("unknown", None, "client-ports")


def test_groups_that_were_not_read() -> None:
    packet = grouped()
    refused = fabric(missing={"security_groups": DENIED})
    for one in (vni(0, "10.0.0.11", security_groups=None), vni(0, "10.0.0.11", security_groups=("open", "lost"))):
        check = security_groups(refused, one, packet)
        assert told(check) == ("unknown", None, None)
        assert DENIED in check.reason
    assert told(security_groups(fabric(), vni(0, "10.0.0.11", security_groups=()), packet))[0] == "drop"


def test_any_of_several_groups_may_admit() -> None:
    closed = SecurityGroup(id="closed", name="closed")
    one = vni(0, "10.0.0.11", security_groups=("closed", "open"))
    assert security_groups(fabric(groups=[closed]), one, grouped()).outcome is Outcome.PASS


def test_a_group_that_saw_the_opening_admits_the_answer() -> None:
    check = answer_to_seen(vni(0, "10.0.0.11"), ASSUME, seen=True)
    assert check is not None
    assert told(check) == ("pass", None, None)
    assert answer_to_seen(vni(0, "10.0.0.11"), ASSUME, seen=False) is None


# --- network ACLs -----------------------------------------------------------------------------------------------------


def crossing(**changes: Any) -> CrossingPacket:
    fields: dict[str, Any] = {
        "direction": "inbound",
        "protocol": TCP,
        "remotes": (parse_address("10.8.0.4"),),
        "local": parse_address("10.0.0.11"),
        "sports": ((1024, 65535),),
        "dports": ((443, 443),),
    }
    return CrossingPacket(**(fields | changes))


def crossing_with(*rules: Any, packet: CrossingPacket | None = None) -> Check:
    acl = NetworkAcl(id="acl", name="strict", rules=rules)
    return network_acl(fabric(acls=[acl]), subnet("a", "10.0.0.0/24"), packet or crossing())


ALLOW = acl_rule("allow", "inbound")


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        ((), "drop"),
        ((ALLOW,), "pass"),
        ((acl_rule("allow", "outbound"),), "drop"),
        ((acl_rule("deny", "inbound"), ALLOW), "drop"),
        ((ALLOW, acl_rule("deny", "inbound")), "pass"),
        ((acl_rule("deny", "outbound"), ALLOW), "pass"),
        ((acl_rule("deny", "inbound", "udp"), ALLOW), "pass"),
        ((acl_rule("deny", "inbound", "tcp"), ALLOW), "drop"),
        ((acl_rule("deny", "inbound", "number_6"), ALLOW), "drop"),
        ((acl_rule("deny", "inbound", "esp"), ALLOW), "pass"),
        ((acl_rule("deny", "inbound", source="10.8.0.0/16"), ALLOW), "drop"),
        ((acl_rule("deny", "inbound", source="10.9.0.0/16"), ALLOW), "pass"),
        ((acl_rule("deny", "inbound", destination="10.0.0.11/32"), ALLOW), "drop"),
        ((acl_rule("deny", "inbound", destination="10.0.0.12/32"), ALLOW), "pass"),
        ((acl_rule("deny", "inbound", "tcp", destination_port_min=443, destination_port_max=443), ALLOW), "drop"),
        ((acl_rule("deny", "inbound", "tcp", destination_port_min=80, destination_port_max=80), ALLOW), "pass"),
        ((acl_rule("deny", "inbound", "tcp", source_port_min=1, source_port_max=1023), ALLOW), "pass"),
        ((acl_rule("allow", "inbound", "tcp", source_port_min=1024, source_port_max=65535),), "pass"),
        ((acl_rule("allow", "inbound", "tcp", source_port_min=32768, source_port_max=60999),), "unknown"),
        ((acl_rule("log", "inbound"), ALLOW), "unknown"),
        ((acl_rule("deny", "inbound", "quic"), ALLOW), "unknown"),
        ((acl_rule("deny", "inbound", "ip"), ALLOW), "unknown"),
        ((acl_rule("deny", "both"), ALLOW), "unknown"),
        ((acl_rule("deny", "both", source="10.9.0.0/16"), ALLOW), "pass"),
        ((acl_rule("allow", "inbound", unmodelled=("ip_version both",)), ALLOW), "unknown"),
        ((ALLOW, acl_rule("deny", "both")), "pass"),
    ],
)
def test_what_an_acl_passes(rules: tuple[Any, ...], outcome: str) -> None:
    check = crossing_with(*rules)
    assert told(check)[:2] == (outcome, "network_acl" if outcome == "drop" else None)


def test_an_acl_keeps_no_state() -> None:
    answer = crossing(
        direction="outbound",
        sports=((443, 443),),
        dports=((1024, 65535),),
    )
    assert crossing_with(ALLOW, packet=answer).drop is DropCode.NETWORK_ACL


def test_inside_a_subnet_no_acl_is_met() -> None:
    assert crossing_with(packet=crossing(remotes=(parse_address("10.0.0.77"),))).outcome is Outcome.PASS
    assert crossing_with(packet=crossing(remotes=(parse_address("10.0.1.77"),))).outcome is Outcome.DROP


def test_an_acl_that_was_not_read() -> None:
    around = fabric(missing={"network_acls": DENIED})
    check = network_acl(around, subnet("a", "10.0.0.0/24", network_acl="lost"), crossing())
    assert told(check) == ("unknown", None, None)
    assert DENIED in check.reason


# --- VPC routes -------------------------------------------------------------------------------------------------------


def route(destination: str, action: str, **changes: Any) -> VpcRoute:
    return VpcRoute(id=changes.pop("name", "r"), name="r", destination=destination, action=action, **changes)


def routed(*routes: VpcRoute, to: str = "10.8.0.4", scope: Scope = Scope.PRIVATE) -> Check:
    table = RoutingTable(id="table", name="t", vpc="vpc", routes=routes)
    return vpc_route(fabric(tables=[table]), subnet("a", "10.0.0.0/24"), ASSUME, parse_address(to), scope)


@pytest.mark.parametrize(
    ("routes", "outcome"),
    [
        ((), "pass"),
        ((route("10.8.0.0/16", "drop"),), "drop"),
        ((route("10.9.0.0/16", "drop"),), "pass"),
        ((route("10.8.0.0/16", "deliver", next_hop="10.0.0.5"),), "pass"),
        ((route("10.8.0.0/16", "delegate"),), "pass"),
        ((route("10.8.0.0/16", "delegate_vpc"),), "pass"),
        ((route("10.8.0.0/16", "mirror"),), "unknown"),
        ((route("10.8.0.0/16", "drop"), route("10.8.0.0/24", "deliver")), "pass"),
        ((route("10.8.0.0/24", "drop"), route("10.8.0.0/16", "deliver")), "drop"),
        ((route("10.8.0.0/16", "drop", priority=1), route("10.8.0.0/16", "deliver", priority=2)), "drop"),
        ((route("10.8.0.0/16", "drop", priority=3), route("10.8.0.0/16", "deliver", priority=2)), "pass"),
        ((route("10.8.0.0/16", "drop", priority=0), route("10.8.0.0/16", "deliver", priority=2)), "drop"),
        ((route("10.8.0.0/16", "deliver"), route("10.8.0.0/16", "deliver")), "unknown"),
        ((route("10.8.0.0/16", "drop", zone="z-2"),), "pass"),
        ((route("10.8.0.0/16", "drop", zone="z-1"),), "drop"),
    ],
)
def test_where_a_vpc_route_leads(routes: tuple[VpcRoute, ...], outcome: str) -> None:
    check = routed(*routes)
    assert told(check)[:2] == (outcome, "vpc_route" if outcome == "drop" else None)


def test_vpc_routes_by_scope() -> None:
    default = route("0.0.0.0/0", "deliver", next_hop="10.0.0.5")
    assert routed(default, to="8.8.8.8", scope=Scope.INTERNET).outcome is Outcome.UNKNOWN
    assert routed(route("0.0.0.0/0", "delegate"), to="8.8.8.8", scope=Scope.INTERNET).outcome is Outcome.PASS
    nothing = routed(route("0.0.0.0/0", "delegate_vpc"), to="8.8.8.8", scope=Scope.INTERNET)
    assert (nothing.drop, "nothing leaves to the internet" in nothing.reason) == (DropCode.VPC_ROUTE, True)
    assert routed(default, to="10.0.1.9", scope=Scope.VPC).outcome is Outcome.UNKNOWN
    assert routed(route("0.0.0.0/0", "drop"), to="10.0.1.9", scope=Scope.VPC).drop is DropCode.VPC_ROUTE
    assert routed(route("0.0.0.0/0", "delegate"), to="10.0.1.9", scope=Scope.VPC).outcome is Outcome.PASS
    assert routed(route("8.0.0.0/8", "delegate_vpc"), to="8.8.8.8", scope=Scope.PRIVATE).outcome is Outcome.PASS
    assert routed(route("10.0.1.0/24", "drop"), to="10.0.1.9", scope=Scope.VPC).drop is DropCode.VPC_ROUTE
    assert routed(route("10.0.0.0/24", "drop"), to="10.0.0.9", scope=Scope.SUBNET).outcome is Outcome.PASS


def test_what_lies_beyond_the_vpc_rests_on_an_assumption() -> None:
    assert routed().assumption == "remote-reachable"
    assert routed(scope=Scope.SERVICE, to="161.26.0.10").assumption == "remote-reachable"
    assert routed(to="10.0.1.9", scope=Scope.VPC).assumption is None


def test_a_routing_table_that_was_not_read() -> None:
    around = fabric(missing={"routing_tables": DENIED})
    lost = subnet("a", "10.0.0.0/24", routing_table="lost")
    check = vpc_route(around, lost, ASSUME, parse_address("10.8.0.4"), Scope.PRIVATE)
    assert told(check) == ("unknown", None, None)
    assert DENIED in check.reason


# --- scopes, words, assumptions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("10.0.0.0", Scope.SUBNET),
        ("10.0.0.255", Scope.SUBNET),
        ("10.0.1.0", Scope.VPC),
        ("10.0.255.255", Scope.VPC),
        ("10.1.0.0", Scope.PRIVATE),
        ("9.255.255.255", Scope.INTERNET),
        ("172.15.255.255", Scope.INTERNET),
        ("172.16.0.0", Scope.PRIVATE),
        ("192.168.1.1", Scope.PRIVATE),
        ("100.64.0.1", Scope.PRIVATE),
        ("100.128.0.0", Scope.INTERNET),
        ("161.26.0.10", Scope.SERVICE),
        ("166.11.255.255", Scope.SERVICE),
        ("166.12.0.0", Scope.INTERNET),
        ("169.254.169.254", Scope.SERVICE),
        ("192.0.2.1", Scope.VPC),
    ],
)
def test_scopes(address: str, scope: Scope) -> None:
    public = subnet("public", "192.0.2.0/24")
    around = fabric(subnets=[public, subnet("elsewhere", "198.51.100.0/24", vpc="other")])
    scopes = scopes_from(around, around.subnets["a"], ASSUME)
    assert scopes.of(parse_address(address)) is scope
    assert {parse_address("10.0.0.0"), parse_address("10.0.1.0"), parse_address("192.0.3.0")} <= set(scopes.map.starts)
    assert parse_address("198.51.100.0") not in scopes.map.starts


def test_private_networks_outside_the_private_address_space() -> None:
    """Those that a route delegates to the VPC, and those that the configuration lists; not a default route's all."""
    routes = (route("198.51.100.0/24", "delegate_vpc"), route("0.0.0.0/0", "delegate_vpc"))
    around = fabric(tables=[RoutingTable(id="table", name="table", vpc="vpc", routes=routes)])
    at = {"198.51.100.9": Scope.PRIVATE, "203.0.113.9": Scope.INTERNET, "8.8.8.8": Scope.INTERNET}
    scopes = scopes_from(around, subnet("a", "10.0.0.0/24", routing_table="table"), ASSUME)
    assert {address: scopes.of(parse_address(address)) for address in at} == at
    listed = Assumptions(remote_reachable=("203.0.113.0/24",))
    assert scopes_from(around, around.subnets["a"], listed).of(parse_address("203.0.113.9")) is Scope.PRIVATE


@pytest.mark.parametrize(
    ("more", "scope"),
    [
        (route("198.18.5.0/24", "delegate"), Scope.INTERNET),
        (route("198.18.0.0/15", "delegate", priority=1), Scope.INTERNET),
        (route("198.18.0.0/15", "delegate", priority=3), Scope.PRIVATE),
        (route("198.18.0.0/15", "delegate"), Scope.PRIVATE),
        (route("198.0.0.0/8", "delegate"), Scope.PRIVATE),
        (route("198.18.5.0/24", "delegate", zone="z-2"), Scope.PRIVATE),
        (route("198.18.5.0/24", "delegate", lifecycle_state="pending"), Scope.PRIVATE),
        (route("198.18.5.0/24", "deliver", next_hop="10.0.0.5"), Scope.PRIVATE),
        (route("198.18.5.0/24", "drop"), Scope.PRIVATE),
    ],
)
def test_what_the_winning_route_delegates_with_the_internet_is_no_private_network(more: VpcRoute, scope: Scope) -> None:
    named = route("198.18.0.0/15", "delegate_vpc")
    around = fabric(tables=[RoutingTable(id="table", name="table", vpc="vpc", routes=(named, more))])
    scopes = scopes_from(around, around.subnets["a"], ASSUME)
    assert scopes.of(parse_address("198.18.5.9")) is scope
    beside = Scope.INTERNET if more.priority == 1 else Scope.PRIVATE
    assert (scopes.of(parse_address("198.18.4.255")), scopes.of(parse_address("198.18.6.0"))) == (beside, beside)


def test_a_vpc_without_prefixes_is_its_subnets() -> None:
    around = fabric()
    bare = {"vpc": Vpc(id="vpc", name="prod")}
    scopes = scopes_from(msgspec.structs.replace(around, vpcs=bare), around.subnets["a"], ASSUME)
    assert scopes.of(parse_address("10.0.1.9")) is Scope.VPC
    assert scopes.of(parse_address("10.0.2.9")) is Scope.PRIVATE


@pytest.mark.parametrize("word", ["all", "any", "icmp_tcp_udp", "tcp", "number_6"])
def test_words_that_cover_tcp(word: str) -> None:
    assert speaks(word, TCP) is True


@pytest.mark.parametrize(
    "word", ["udp", "icmp", "number_17", "number_50", "esp", "ah", "gre", "sctp", "vrrp", "l2tp", "rsvp", "ip_in_ip"]
)
def test_words_that_do_not(word: str) -> None:
    assert speaks(word, TCP) is False


@pytest.mark.parametrize("word", ["", "TCP", "ip", "tcp_udp", "number_06", "number_", "transport", "tcp-udp", "6"])
def test_words_that_nobody_knows(word: str) -> None:
    assert speaks(word, TCP) is None


def test_every_cited_assumption_is_listed_once() -> None:
    listed = [assumption.id for assumption in ASSUMPTIONS]
    assert len(set(listed)) == len(listed)
    cited = {
        check.assumption
        for one in two_vnis(spoofing=False)
        for check in (
            state_filter(one, ASSUME, TCP, auto_filters=True, saw_opening=True),
            state_filter(one, ASSUME, UDP, auto_filters=True, saw_opening=False),
            state_filter(one, ASSUME, TCP, auto_filters=False, saw_opening=False),
            spoofing_check(one, ASSUME, "10.9.9.9", Scope.INTERNET),
            back_to_internet(one, one, ASSUME),
            routed(),
            admission(opening=False),
        )
    }
    assert cited == {
        "psf-opening", "psf-protocols", "psf-auto", "spoofing-check", "fip-return", "remote-reachable", "sg-stateless",
    }  # fmt: skip
    assert cited <= set(listed)


def test_a_route_may_count_in_a_subnet_whose_zone_is_not_told() -> None:
    table = RoutingTable(id="table", name="t", vpc="vpc", routes=(route("10.8.0.0/16", "drop", zone="z-2"),))
    for zone, outcome in (("", "drop"), ("z-1", "pass"), ("z-2", "drop")):
        where = subnet("a", "10.0.0.0/24", zone=zone)
        check = vpc_route(fabric(tables=[table]), where, ASSUME, parse_address("10.8.0.4"), Scope.PRIVATE)
        assert check.outcome == outcome


VPN = NextHopResource(id="c", name="to-site", kind="vpn_gateway_connection")


@pytest.mark.parametrize(
    ("source", "outcome"),
    [("10.0.0.11", "pass"), ("10.0.1.11", "drop"), ("10.0.2.11", "pass"), ("10.9.9.9", "drop")],
)
def test_a_vpn_carries_what_subnets_of_its_table_send(source: str, outcome: str) -> None:
    """Subnets a and c use the table, b uses another one, and nobody knows whose 10.9.9.9 is (vpn-limitations)."""
    table = RoutingTable(id="t", name="t", vpc="vpc", routes=(route("10.8.0.0/16", "deliver", next_hop_resource=VPN),))
    own = {"routing_table": "t"}
    around = fabric(subnets=[subnet("a", "10.0.0.0/24", **own), subnet("c", "10.0.2.0/24", **own)], tables=[table])
    check = vpc_route(
        around, around.subnets["a"], ASSUME, parse_address("10.8.0.4"), Scope.PRIVATE, source=parse_address(source)
    )
    assert check.outcome.value == outcome
    assert (check.assumption == "vpn-source") is (outcome == "drop")


@pytest.mark.parametrize("kind", ["wormhole", "virtual_network_interface", ""])
def test_a_next_hop_of_an_unknown_kind_is_not_known_to_pass_anything_on(kind: str) -> None:
    hop = NextHopResource(id="x", kind=kind)
    check = routed(route("10.8.0.0/16", "deliver", next_hop_resource=hop))
    assert (check.outcome, check.by) == (Outcome.UNKNOWN, ("VPC route r: 10.8.0.0/16 deliver to what is not known",))


@pytest.mark.parametrize("state", ["pending", "deleting", "failed", "word-of-tomorrow"])
def test_a_route_that_is_not_stable_may_or_may_not_count(state: str) -> None:
    for action in ("drop", "deliver", "delegate"):
        unsettled = route("10.8.0.0/16", action, lifecycle_state=state)
        assert routed(unsettled).outcome is Outcome.UNKNOWN
        assert routed(unsettled, route("10.8.0.0/24", "drop", lifecycle_state="stable")).outcome is Outcome.DROP


def test_the_vpc_translates_nothing_where_infrastructure_nat_is_off() -> None:
    metal = vni(0, "10.0.0.11", floating_ip="203.0.113.7", enable_infrastructure_nat=False)
    around = fabric(subnets=[subnet("a", "10.0.0.0/24", public_gateway="gateway")])
    for check in (
        from_internet(around, metal, "10.0.0.11"),
        to_internet(around, metal, around.subnets["a"], "10.0.0.11"),
    ):
        assert check.drop is DropCode.NO_FLOATING_IP
        assert "infrastructure NAT is off" in check.reason
