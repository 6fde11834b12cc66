"""A way out is known only where the guest asks its next hop for its hardware address."""

import pytest

from tests.support.kernel_guests import make_guest, packet, replaced
from tests.support.one_packet import sent_by
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.packet import Transport
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import parse_address
from vnicheck.model.interface import Neighbour

ROUTES = """
    default via 10.0.0.1 dev eth0
    10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11
    default via 10.0.0.1 dev eth1 table 100
"""
REMOTE, NEAR = "203.0.113.9", "10.0.0.44"
ANY = (1024, 65535)


def sends(remote: str, *entries: Neighbour, rules: str = "", **links: str) -> Sent | NotSent:
    guest = replaced(make_guest(routes=ROUTES, rules=rules, links=links), neighbours=entries)
    return sent_by(Kernel(guest), packet("10.0.0.11", remote), ANY, ANY)


def entry(address: str, interface: str = "eth0") -> Neighbour:
    return Neighbour(address=address, interface=interface, mac="02:00:00:00:00:99")


def test_permanent_neighbour_may_be_wrong() -> None:
    with pytest.raises(Undetermined, match=r"gateway 10\.0\.0\.1 is a permanent neighbour on eth0, at 02:"):
        sends(REMOTE, entry("10.0.0.1"))
    with pytest.raises(Undetermined, match="remote is a permanent neighbour on eth0"):
        sends(NEAR, entry(NEAR))


def test_permanent_neighbours_of_other_ways_say_nothing() -> None:
    assert isinstance(sends(REMOTE, entry("10.0.0.1", "eth1"), entry(REMOTE), entry(NEAR)), Sent)
    assert isinstance(sends(NEAR, entry("10.0.0.1"), entry(NEAR, "eth1"), entry("10.0.0.45")), Sent)


def test_interface_without_arp_asks_nobody() -> None:
    with pytest.raises(Undetermined, match="eth0 asks for"):
        sends(REMOTE, eth0="BROADCAST,NOARP,UP,LOWER_UP")
    assert isinstance(sends(REMOTE, eth1="BROADCAST,NOARP,UP,LOWER_UP"), Sent)
    with pytest.raises(Undetermined, match="eth1 asks for"):
        sends(REMOTE, rules="100: from 10.0.0.11 lookup 100", eth1="BROADCAST,NOARP,UP,LOWER_UP")


def test_a_permanent_neighbour_is_told_from_the_addresses_beside_it() -> None:
    guest = replaced(make_guest(routes=ROUTES), neighbours=(entry(NEAR),))
    sent = Kernel(guest).sent(parse_address("10.0.0.11"), Transport(6, ANY, ANY))
    beside = [isinstance(sent.at(parse_address(NEAR) + step).at(443), Sent) for step in (-1, 0, 1)]
    assert beside == [True, False, True]
