"""A sender that names no source: `from` rules do not see it, and the route chooses its address."""

import pytest

from tests.support.kernel_guests import UDP, host, make_guest, packet, replaced
from tests.support.one_packet import send, sent_by
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.send import Sent
from vnicheck.kernel.source import scope_number
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.guest import Guest, InterfaceAddress

REMOTE = "203.0.113.9"
LINKS = "10.0.0.0/24 dev eth0 scope link\n10.0.1.0/24 dev eth1 scope link\n"
ADDRESSES = {"eth0": ("10.0.0.11/24", "10.0.2.11/24"), "eth1": ("10.0.1.12/24",), "eth2": ()}


def unbound(routes: str, rules: str = "") -> Sent:
    answer = send(host(make_guest(ADDRESSES, LINKS + routes, rules)), packet("0.0.0.0", REMOTE, UDP))
    assert isinstance(answer, Sent)
    return answer


@pytest.mark.parametrize(
    ("route", "source"),
    [
        ("default via 10.0.0.1 dev eth0", "10.0.0.11"),
        ("default via 10.0.2.1 dev eth0 onlink", "10.0.2.11"),
        ("default via 10.0.9.1 dev eth0 onlink", "10.0.0.11"),
        ("default via 10.0.0.1 dev eth0 src 10.0.1.12", "10.0.1.12"),
        ("default dev eth1 scope link", "10.0.1.12"),
        ("default dev eth2 scope link", "10.0.0.11"),
    ],
)
def test_source_by_the_route(route: str, source: str) -> None:
    assert unbound(route).source == source


def test_rules_for_a_source_do_not_see_it() -> None:
    routes = "default via 10.0.0.1 dev eth0\ndefault via 10.0.1.1 dev eth1 table 100"
    answer = unbound(routes, "100: from 10.0.0.0/24 lookup 100")
    assert (answer.interface, answer.source) == ("eth0", "10.0.0.11")
    assert unbound(routes, "100: from 0.0.0.0 lookup 100").interface == "eth1"


def narrowed(scope: str, *, secondary: bool = False) -> Guest:
    """eth0 with a first address of that scope."""
    guest = make_guest(ADDRESSES, LINKS + "default via 10.0.0.1 dev eth0")
    odd = InterfaceAddress(prefix="10.0.0.7/24", scope=scope, secondary=secondary)
    links = [
        replaced(link, addresses=(odd, *link.addresses)) if link.name == "eth0" else link for link in guest.interfaces
    ]
    return replaced(guest, interfaces=tuple(links))


@pytest.mark.parametrize(
    ("scope", "secondary", "source"),
    [
        ("global", False, "10.0.0.7"),
        ("global", True, "10.0.0.11"),
        ("link", False, "10.0.0.11"),
        ("site", False, "10.0.0.11"),
    ],
)
def test_narrower_and_secondary_addresses_are_not_chosen(scope: str, secondary: bool, source: str) -> None:
    answer = send(host(narrowed(scope, secondary=secondary)), packet("0.0.0.0", REMOTE, UDP))
    assert isinstance(answer, Sent)
    assert answer.source == source


def test_sender_with_a_source_gets_none_chosen() -> None:
    answer = sent_by(Kernel(narrowed("global")), packet("10.0.0.11", REMOTE, UDP), (53, 53), (1024, 65535))
    assert isinstance(answer, Sent)
    assert answer.source is None


def test_guest_without_an_address_that_suits() -> None:
    guest = make_guest({"eth0": ()}, "default dev eth0 scope link")
    with pytest.raises(Undetermined, match="no address of the guest suits"):
        send(host(replaced(guest, interfaces=guest.interfaces[1:])), packet("0.0.0.0", REMOTE, UDP))


def test_scopes_by_name_and_number() -> None:
    assert [scope_number(scope) for scope in ("global", "site", "66", "link", "host")] == [0, 200, 66, 253, 254]
