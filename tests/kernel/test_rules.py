"""Policy rules: each states what the kernel does (net/core/fib_rules.c, net/ipv4/fib_rules.c)."""

from typing import Any

import pytest

from tests.support.kernel_guests import ICMP, UDP, host, make_guest, packet
from tests.support.one_packet import receive, send
from vnicheck.kernel.fib import Failure
from vnicheck.kernel.receive import Reception
from vnicheck.kernel.send import NotSent, Sent

ROUTES = """
    default via 10.0.0.1 dev eth0
    10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11
    default via 10.0.0.1 dev eth1 table 100
"""


def way(rules: str, *, routes: str = ROUTES, **fields: int) -> str:
    """The interface by which a packet from 10.0.0.12 leaves, or the failure."""
    sent = send(host(make_guest(routes=routes, rules=rules)), packet("10.0.0.12", "203.0.113.9", **fields))
    return sent.interface if isinstance(sent, Sent) else str(sent.failure)


@pytest.mark.parametrize(
    ("rule", "fields", "interface"),
    [
        ("from 10.0.0.12 lookup 100", {}, "eth1"),
        ("from 10.0.0.0/29 lookup 100", {}, "eth0"),
        ("not from 10.0.0.0/29 lookup 100", {}, "eth1"),
        ("from all to 203.0.113.0/24 lookup 100", {}, "eth1"),
        ("from all to 203.0.113.8 lookup 100", {}, "eth0"),
        ("from 0.0.0.0 lookup 100", {}, "eth0"),
        ("from all iif lo lookup 100", {}, "eth1"),
        ("from all iif eth1 lookup 100", {}, "eth0"),
        ("from all oif eth1 lookup 100", {}, "eth0"),
        ("not from all oif eth1 lookup 100", {}, "eth1"),
        ("from all iif gone [detached] lookup 100", {}, "eth0"),
        ("not from all iif gone [detached] lookup 100", {}, "eth1"),
        ("from all fwmark 0x5 lookup 100", {"mark": 5}, "eth1"),
        ("from all fwmark 0x5 lookup 100", {"mark": 0x15}, "eth0"),
        ("from all fwmark 0x5/0xf lookup 100", {"mark": 0x15}, "eth1"),
        ("from all fwmark 0/0xff lookup 100", {"mark": 0x100}, "eth1"),
        ("from all fwmark 0/0xff lookup 100", {"mark": 0x101}, "eth0"),
        ("from all tos 0x10 lookup 100", {"tos": 0x10}, "eth1"),
        ("from all tos 0x10 lookup 100", {"tos": 0xF0}, "eth1"),
        ("from all tos 0x10 lookup 100", {"tos": 0x08}, "eth0"),
        ("from all dscp 10 lookup 100", {"tos": 40}, "eth1"),
        ("from all dscp 10 lookup 100", {"tos": 0x08}, "eth0"),
        ("from all ipproto udp lookup 100", {"proto": UDP}, "eth1"),
        ("from all ipproto udp lookup 100", {}, "eth0"),
        ("from all sport 443 lookup 100", {"sport": 443}, "eth1"),
        ("from all sport 443 lookup 100", {"dport": 443}, "eth0"),
        ("from all dport 80-90 lookup 100", {"dport": 90}, "eth1"),
        ("from all dport 80-90 lookup 100", {"dport": 91}, "eth0"),
        ("from all uidrange 0-0 lookup 100", {}, "eth1"),
        ("from all uidrange 5-10 lookup 100", {"uid": 10}, "eth1"),
        ("from all uidrange 5-10 lookup 100", {"uid": 11}, "eth0"),
        ("from all lookup 100 suppress_prefixlength 0", {}, "eth0"),
        ("from all lookup 100 suppress_ifgroup 0", {}, "eth0"),
        ("from all lookup 100 suppress_ifgroup 1", {}, "eth1"),
        ("from all lookup 7", {}, "eth0"),
        ("from all nop", {}, "eth0"),
        ("from all blackhole", {}, "blackhole"),
        ("from all unreachable", {}, "unreachable"),
        ("from all prohibit", {}, "prohibit"),
        ("from all lookup [l3mdev-table]", {}, "eth0"),
        ("from all goto 32767", {}, "no_route"),
        ("from all goto 200 [unresolved]", {}, "eth0"),
    ],
)
def test_selector_and_action(rule: str, fields: dict[str, Any], interface: str) -> None:
    assert way(f"100: {rule}", **fields) == interface


@pytest.mark.parametrize(
    ("rule", "fields", "interface"),
    [
        ("not from 10.0.0.12 fwmark 0x5 lookup 100", {"mark": 5}, "eth0"),
        ("not from 10.0.0.12 fwmark 0x5 lookup 100", {"mark": 6}, "eth1"),
        ("not from 10.0.0.13 fwmark 0x5 lookup 100", {"mark": 5}, "eth1"),
        ("not from 10.0.0.13 fwmark 0x5 lookup 100", {"mark": 6}, "eth1"),
        ("not from all fwmark 0x5 lookup 100", {"mark": 5}, "eth0"),
        ("not from all fwmark 0x5 lookup 100", {"mark": 6}, "eth1"),
        ("not from all to 203.0.113.0/24 ipproto udp lookup 100", {"proto": UDP}, "eth0"),
        ("not from all to 203.0.113.0/24 ipproto udp lookup 100", {}, "eth1"),
        ("not from all to 203.0.113.10 ipproto udp lookup 100", {"proto": UDP}, "eth1"),
        ("not from all to 203.0.113.8 ipproto udp dport 53 lookup 100", {"proto": UDP, "dport": 53}, "eth1"),
        ("not from all to 203.0.113.9 ipproto udp dport 53 lookup 100", {"proto": UDP, "dport": 53}, "eth0"),
        ("not from all to 203.0.113.9 ipproto udp dport 53 lookup 100", {"proto": UDP, "dport": 54}, "eth1"),
    ],
)
def test_not_is_of_all_selectors_together(rule: str, fields: dict[str, Any], interface: str) -> None:
    assert way(f"100: {rule}", **fields) == interface


def test_rules_are_asked_by_priority_then_in_dump_order() -> None:
    assert way("100: from all lookup 100\n100: from all prohibit") == "eth1"
    assert way("100: from all prohibit\n100: from all lookup 100") == "prohibit"


def test_goto_goes_to_the_first_rule_of_its_priority() -> None:
    rules = "100: from all goto 200\n150: from all prohibit\n200: from all lookup 100\n200: from all blackhole"
    assert way(rules) == "eth1"


def test_goto_rule_that_does_not_match_is_passed_over() -> None:
    rules = "100: from 10.0.0.11 goto 200\n150: from all lookup 100\n200: from all blackhole"
    assert way(rules) == "eth1"


def test_throw_leaves_its_table_only() -> None:
    assert way("100: from all lookup 100", routes=ROUTES + "\nthrow 203.0.113.0/24 table 100") == "eth0"


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_refusing_route_ends_the_lookup(kind: str) -> None:
    assert way("100: from all lookup 100", routes=ROUTES + f"\n{kind} 203.0.113.0/24 table 100") == kind


def test_lookup_without_any_route() -> None:
    sent = send(host(make_guest(routes="10.0.0.0/24 dev eth0 scope link")), packet("10.0.0.12", "203.0.113.9"))
    assert isinstance(sent, NotSent)
    assert sent.failure is Failure.NO_ROUTE


def test_uid_of_packets_that_come_in_is_that_of_root() -> None:
    guest = make_guest(routes=ROUTES, rules="0: from all uidrange 5-10 prohibit")
    received = receive(host(guest), packet("203.0.113.9", "10.0.0.11", uid=7), "eth0")
    assert received.reception is Reception.DELIVERED


@pytest.mark.parametrize(
    ("selector", "delivered"),
    [("iif lo ipproto tcp", True), ("iif eth0 ipproto tcp", False), ("ipproto tcp", False)],
)
def test_only_rules_that_are_not_iif_lo_make_input_lookups_read_the_transport(selector: str, delivered: bool) -> None:
    """The reverse lookup asks as `iif lo`; a lone `iif lo ipproto tcp` rule does not match it: proto is 0 there."""
    reverse = "100: from all iif lo ipproto tcp lookup 100"
    rules = reverse if selector.startswith("iif lo") else f"{reverse}\n300: from all {selector} lookup 7"
    guest = make_guest(routes=ROUTES, rules=rules, sysctls={"eth0.rp_filter": 1})
    received = receive(host(guest), packet("203.0.113.9", "10.0.0.11", sport=5000, dport=22), "eth0")
    assert (received.reception is Reception.DELIVERED) is delivered


def test_icmp_of_the_guest_matches_by_protocol() -> None:
    assert way("100: from all ipproto icmp lookup 100", proto=ICMP) == "eth1"
