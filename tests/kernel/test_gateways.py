"""A gateway is the guest's own where a lookup as the kernel makes it for a new route may find it so."""

import pytest

from tests.support.kernel_guests import UNTOUCHED, host, make_guest, packet
from tests.support.one_packet import send
from vnicheck.kernel.send import Sent
from vnicheck.kernel.undetermined import Undetermined

REMOTE = "203.0.113.9"
LINKS = "10.0.0.0/24 dev eth0 scope link src 10.0.0.11\n"
WAY = "default via 10.0.0.1 dev eth0\n"
ALL_LOCAL = "local default dev lo table 100\n"


def leaves(routes: str, rules: str = "") -> Sent:
    answer = send(host(make_guest(routes=LINKS + routes, rules=rules)), packet("10.0.0.11", REMOTE))
    assert isinstance(answer, Sent)
    return answer


@pytest.mark.parametrize(
    "rule",
    [
        "9: from all fwmark 0x1 lookup 100",
        "9: from all fwmark 0x200/0xf00 lookup 100",
        "9: from all iif eth1 lookup 100",
        "9: from 10.0.0.12 lookup 100",
        "9: from all ipproto tcp dport 80 lookup 100",
        "9: from all to 10.9.0.0/16 lookup 100",
        "9: from all tos 0x10 lookup 100",
    ],
)
def test_local_route_that_no_lookup_of_a_gateway_finds(rule: str) -> None:
    assert leaves(WAY + ALL_LOCAL, rule).gateway == "10.0.0.1"


@pytest.mark.parametrize(
    "rule",
    [
        "32770: from all fwmark 0/0x1 lookup 100",
        "32770: from all lookup 100",
        "32770: from all to 10.0.0.0/24 lookup 100",
        "32770: not from all fwmark 0x1 lookup 100",
        "32770: from all iif lo lookup 100",
    ],
)
def test_local_route_that_a_lookup_of_a_gateway_may_find(rule: str) -> None:
    with pytest.raises(Undetermined, match="address of the guest itself"):
        leaves(WAY + ALL_LOCAL, rule)


def test_gateway_is_looked_up_in_the_route_s_own_table() -> None:
    with pytest.raises(Undetermined, match="address of the guest itself"):
        leaves("default via 10.0.0.1 dev eth0 table 7\nlocal 10.0.0.0/28 dev lo table 7", "9: from 10.0.0.11 lookup 7")


def test_untouched_rules_ask_the_kernel_s_tables() -> None:
    tproxy = make_guest(routes=LINKS + WAY + ALL_LOCAL)
    assert isinstance(send(host(tproxy, UNTOUCHED), packet("10.0.0.11", REMOTE)), Sent)
    own = make_guest(routes=LINKS + "default via 10.0.0.11 dev eth0\n")
    with pytest.raises(Undetermined, match="address of the guest itself"):
        send(host(own, UNTOUCHED), packet("10.0.0.11", REMOTE))
