"""Source validation (net/ipv4/fib_frontend.c, fib_validate_source), at eth1 of a guest whose way back is by eth0."""

from typing import Any

import pytest

from tests.support.kernel_guests import TOUCHED, UDP, UNTOUCHED, host, make_guest, packet, replaced
from tests.support.one_packet import receive
from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.guest.parsers.rules import parse_rules
from vnicheck.kernel.host import HiddenState
from vnicheck.kernel.receive import Received, Reception
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.guest import Guest, NextHop, Route

ROUTES = """
    default via 10.0.0.1 dev eth0
    10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11
    10.0.0.0/24 dev eth1 proto kernel scope link src 10.0.0.12 metric 100
    blackhole 198.51.100.0/24
    throw 198.18.0.0/15
"""
REMOTE = "203.0.113.9"


def fate(guest: Guest, source: str = REMOTE, state: HiddenState = TOUCHED, **fields: int) -> str:
    """What becomes of a packet from `source` to 10.0.0.12 on eth1."""
    destination = "10.0.0.12"
    return receive(host(guest, state), packet(source, destination, **fields), "eth1").reception.value


def guest(rules: str = "", routes: str = "", **sysctls: int) -> Guest:
    """`eth1_rp_filter=1` for eth1.rp_filter."""
    keys = {key.replace("_", ".", 1): value for key, value in sysctls.items()}
    return make_guest(routes=ROUTES + routes, rules=rules, sysctls=keys)


@pytest.mark.parametrize(
    ("everywhere", "own", "reception"),
    [
        (0, 0, "delivered"),
        (0, 1, "rp_filter"),
        (1, 0, "rp_filter"),
        (1, 1, "rp_filter"),
        (2, 1, "delivered"),
        (1, 2, "delivered"),
        (0, 3, "delivered"),
        (-1, 0, "delivered"),
        (-5, 1, "rp_filter"),
        (-1, -1, "delivered"),
    ],
)
def test_the_larger_number_of_all_and_the_interface_counts(everywhere: int, own: int, reception: str) -> None:
    assert fate(guest(all_rp_filter=everywhere, eth1_rp_filter=own)) == reception


def test_strict_accepts_what_is_routed_back_by_the_interface() -> None:
    rules = "100: from 10.0.0.12 lookup 100"
    assert fate(guest(rules, "default via 10.0.0.1 dev eth1 table 100", eth1_rp_filter=1)) == "delivered"


def test_only_the_best_route_counts_for_strict() -> None:
    routes = "default via 10.0.0.1 dev eth1 metric 100"
    assert fate(guest(routes=routes, eth1_rp_filter=1)) == "rp_filter"


@pytest.mark.parametrize(
    ("everywhere", "own", "reception"), [(-1, -1, "rp_filter"), (-2, -7, "rp_filter"), (-1, 0, "delivered")]
)
def test_below_zero_is_loose_and_asks_for_a_way_back(everywhere: int, own: int, reception: str) -> None:
    sysctls = {"all.rp_filter": everywhere, "eth1.rp_filter": own}
    assert fate(make_guest(routes=ROUTES.replace("default via 10.0.0.1 dev eth0", ""), sysctls=sysctls)) == reception


@pytest.mark.parametrize(("mode", "reception"), [(0, "delivered"), (1, "rp_filter"), (2, "rp_filter")])
@pytest.mark.parametrize("source", ["198.51.100.7", "198.18.0.7"])
def test_refused_or_missing_way_back_is_refused_by_loose_too(mode: int, reception: str, source: str) -> None:
    own = make_guest(routes=ROUTES.replace("default via 10.0.0.1 dev eth0", ""), sysctls={"eth1.rp_filter": mode})
    assert fate(own, source) == reception


@pytest.mark.parametrize(("mode", "reception"), [(0, "delivered"), (1, "rp_filter"), (2, "rp_filter")])
def test_interface_without_address_is_refused_by_loose_too(mode: int, reception: str) -> None:
    own = make_guest({"eth0": ("10.0.0.11/24",), "eth1": ()}, ROUTES, sysctls={"eth1.rp_filter": mode})
    received = receive(host(own), packet(REMOTE, "10.0.0.11"), "eth1")
    assert received.reception.value == reception


def test_reverse_lookup_asks_as_loopback_never_as_the_interface() -> None:
    table = "default via 10.0.0.1 dev eth1 table 100"
    assert fate(guest("100: from all iif lo lookup 100", table, eth1_rp_filter=1)) == "delivered"
    assert fate(guest("100: from all iif eth1 lookup 100", table, eth1_rp_filter=1)) == "rp_filter"


def test_forwarding_asks_as_the_interface_of_egress() -> None:
    table = "default via 10.0.0.1 dev eth1 table 100"
    rules = "100: from all to 203.0.113.0/24 iif eth0 lookup 100"
    forwarding = guest(rules, table, eth1_rp_filter=1, eth1_forwarding=1)
    kernel = host(forwarding)
    received = receive(kernel, packet(REMOTE, "192.0.2.1"), "eth1")
    assert (received.reception, received.egress) == (Reception.FORWARDED, ("eth0",))
    local = receive(kernel, packet(REMOTE, "10.0.0.12"), "eth1")
    assert local.reception is Reception.RP_FILTER


def several_ways_on(*, dead: str = "", **arguments: Any) -> Received:
    """What becomes of a packet that eth1 may forward by eth0 and eth2."""
    addresses: dict[str, tuple[str, ...]] = {f"eth{n}": (f"10.0.{n}.11/24",) for n in range(3)}
    sysctls = {"eth1.forwarding": 1, "eth1.rp_filter": 1}
    own = make_guest(addresses, "default via 10.0.0.1 dev eth1", sysctls=sysctls, **arguments)
    hops = (
        NextHop(interface="eth0", gateway="10.0.0.1"),
        NextHop(interface="eth2", gateway="10.0.2.9", flags=(dead,) if dead else ()),
    )
    route = Route(prefix="192.0.2.0/24", nexthops=hops, text="several")
    return receive(host(replaced(own, routes=(*own.routes, route))), packet(REMOTE, "192.0.2.1"), "eth1")


def test_forwarding_by_several_ways_names_those_that_may_be_taken() -> None:
    both, one = several_ways_on(), several_ways_on(dead="dead")
    assert (both.reception, both.egress, both.gateways) == (
        Reception.FORWARDED,
        ("eth0", "eth2"),
        ("10.0.0.1", "10.0.2.9"),
    )
    assert (one.egress, one.gateways) == (("eth0",), ("10.0.0.1",))


@pytest.mark.parametrize("refusing", ["eth0", "eth2"])
def test_forwarding_by_several_ways_is_known_only_where_the_source_is_taken_on_each(refusing: str) -> None:
    """Its way back is looked up as if it came in where the packet leaves."""
    rules = f"100: from all iif {refusing} to 203.0.113.0/24 blackhole"
    with pytest.raises(Undetermined, match="forwards the packet by one of eth0, eth2"):
        several_ways_on(rules=rules)
    everywhere = several_ways_on(rules="100: from all to 203.0.113.0/24 blackhole")
    assert everywhere.reception is Reception.RP_FILTER


def test_without_forwarding_the_source_is_not_asked() -> None:
    received = receive(host(guest(eth1_rp_filter=1)), packet(REMOTE, "192.0.2.1"), "eth1")
    assert received.reception is Reception.NOT_LOCAL


@pytest.mark.parametrize(("src_valid_mark", "reception"), [(0, "rp_filter"), (1, "delivered")])
def test_mark_counts_on_the_way_back_only_with_src_valid_mark(src_valid_mark: int, reception: str) -> None:
    marked = guest(
        "100: from all fwmark 0x5 lookup 100",
        "default via 10.0.0.1 dev eth1 table 100",
        eth1_rp_filter=1,
        all_src_valid_mark=src_valid_mark,
    )
    assert fate(marked, mark=5) == reception
    assert fate(marked) == "rp_filter"


def test_mark_always_counts_on_the_way_in() -> None:
    """The rule stands before that of table local, as `ip rule add pref 0` after deleting and adding that one does."""
    own = guest()
    (marked,) = parse_rules("0: from all fwmark 0x5 prohibit").items
    own = replaced(own, rules=(marked, *own.rules))
    assert fate(own, mark=5) == "not_local"
    assert fate(own) == "delivered"


def test_tos_of_the_packet_counts_on_the_way_back() -> None:
    marked = guest("100: from all tos 0x10 lookup 100", "default via 10.0.0.1 dev eth1 table 100", eth1_rp_filter=1)
    assert fate(marked, tos=0xB0) == "delivered"
    assert fate(marked, tos=0x08) == "rp_filter"


def test_ports_are_swapped_on_the_way_back() -> None:
    rules = "100: from all ipproto udp sport 53 lookup 100"
    ports = guest(rules, "default via 10.0.0.1 dev eth1 table 100", eth1_rp_filter=1)
    assert fate(ports, proto=UDP, sport=4000, dport=53) == "delivered"
    assert fate(ports, proto=UDP, sport=53, dport=4000) == "rp_filter"


@pytest.mark.parametrize("release", ["5.4.0-150-generic", ""])
def test_kernels_that_may_not_swap_ports_leave_it_open(release: str) -> None:
    ports = make_guest(
        routes=ROUTES + "default via 10.0.0.1 dev eth1 table 100",
        rules="100: from all ipproto udp sport 53 lookup 100",
        sysctls={"eth1.rp_filter": 1},
        release=release,
    )
    with pytest.raises(Undetermined, match=r"since 5\.8"):
        fate(ports, proto=UDP, sport=4000, dport=53)
    assert fate(ports, sport=4000, dport=22) == "rp_filter"


def test_every_member_of_a_multipath_route_counts_even_dead() -> None:
    several = "203.0.113.0/24\n\tnexthop via 10.0.0.1 dev eth0 weight 1\n\tnexthop via 10.0.0.1 dev eth1 weight 1 dead"
    own = make_guest(routes=ROUTES, sysctls={"eth1.rp_filter": 1})
    assert fate(own) == "rp_filter"
    (route,) = parse_routes(several).items
    assert fate(replaced(own, routes=(*own.routes, route))) == "delivered"


@pytest.mark.parametrize(
    ("mode", "accept_local", "reception"),
    [(0, 0, "martian_source"), (0, 1, "delivered"), (1, 0, "martian_source"), (1, 1, "rp_filter"), (2, 1, "delivered")],
)
@pytest.mark.parametrize("state", [TOUCHED, UNTOUCHED])
def test_own_address_as_source(mode: int, accept_local: int, reception: str, state: HiddenState) -> None:
    """rp_filter 0 is no `no check`; with accept_local, strict still wants the owning device."""
    own = guest(eth1_rp_filter=mode, all_accept_local=accept_local)
    assert fate(own, "10.0.0.11", state) == reception


def test_own_address_by_its_owning_device() -> None:
    assert fate(guest(eth1_rp_filter=1, eth1_accept_local=1), "10.0.0.12") == "delivered"


@pytest.mark.parametrize(
    ("state", "realms", "reception"),
    [
        (UNTOUCHED, "", "delivered"),
        (TOUCHED, "", "martian_source"),
        (HiddenState(custom_rules=False, custom_local_routes=True), "", "martian_source"),
        (UNTOUCHED, "10.66.0.0/16 dev eth0 scope link realms 1", "martian_source"),
    ],
)
def test_broadcast_source_passes_only_the_quick_check(state: HiddenState, realms: str, reception: str) -> None:
    assert fate(guest(routes=realms), "10.0.0.255", state) == reception


def test_broadcast_source_is_a_martian_wherever_rp_filter_is_on() -> None:
    assert fate(guest(eth1_rp_filter=2), "10.0.0.255", UNTOUCHED) == "martian_source"


def test_sending_back_where_it_came_from_with_redirects_is_checked_in_full() -> None:
    own = guest(eth1_forwarding=1, all_send_redirects=1, routes="192.0.2.0/24 dev eth1 scope link")
    kernel = host(own, UNTOUCHED)
    assert receive(kernel, packet("10.0.0.255", "192.0.2.9"), "eth1").reception is Reception.MARTIAN_SOURCE
    off = host(guest(eth1_forwarding=1, routes="192.0.2.0/24 dev eth1 scope link"), UNTOUCHED)
    assert receive(off, packet("10.0.0.255", "192.0.2.9"), "eth1").reception is Reception.FORWARDED


def test_packet_to_a_broadcast_address_is_validated_without_its_destination() -> None:
    rules = "100: from 10.0.0.255 lookup 100"
    own = guest(rules, "default via 10.0.0.1 dev eth1 table 100", eth1_rp_filter=1)
    received = receive(host(own), packet(REMOTE, "10.0.0.255", UDP), "eth1")
    assert received.reception is Reception.RP_FILTER


def test_loose_is_content_with_any_route() -> None:
    received = receive(host(guest(eth1_rp_filter=2)), packet(REMOTE, "10.0.0.12"), "eth1")
    assert received.reception is Reception.DELIVERED
    assert "eth0" in received.reason


def test_weak_host_model_delivers_on_any_interface() -> None:
    assert fate(guest(), REMOTE) == "delivered"
    assert receive(host(guest()), packet(REMOTE, "10.0.0.11"), "eth1").reception is Reception.DELIVERED


@pytest.mark.parametrize("release", ["4.12.14-122-default", "3.10.0-1160.el7", ""])
def test_kernels_without_the_quick_check_leave_own_sources_open(release: str) -> None:
    own = make_guest(routes=ROUTES, release=release)
    with pytest.raises(Undetermined, match=r"before 4\.15"):
        fate(own, "10.0.0.11", UNTOUCHED)
    assert fate(own, REMOTE, UNTOUCHED) == "delivered"


@pytest.mark.parametrize("source", ["0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255"])
def test_source_that_no_host_has(source: str) -> None:
    assert fate(guest(), source) == "martian_source"
