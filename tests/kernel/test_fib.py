"""One table: longest prefix, then the aliases of a prefix (net/ipv4/fib_trie.c)."""

from typing import Any

import pytest

from tests.support.kernel_guests import UNTOUCHED, host, make_guest, packet, replaced
from tests.support.one_packet import receive, routes_out, send
from vnicheck.kernel.receive import Reception
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.flow import GuestLines
from vnicheck.model.guest import Guest, NextHop, Route, RouteType

LINKS = "10.0.0.0/24 dev eth0 scope link\n10.0.0.0/24 dev eth1 scope link metric 5\n"


def sent(routes: str, **arguments: Any) -> Sent | NotSent:
    """Where a packet to 203.0.113.9 goes."""
    fields = {key: arguments.pop(key) for key in ("tos",) if key in arguments}
    return send(host(make_guest(routes=LINKS + routes, **arguments)), packet("10.0.0.11", "203.0.113.9", **fields))


def egress(routes: str, **arguments: Any) -> str:
    """The interface alone."""
    answer = sent(routes, **arguments)
    return answer.interface if isinstance(answer, Sent) else str(answer.failure)


def test_longest_prefix_wins_whatever_its_metric() -> None:
    assert egress("default via 10.0.0.1 dev eth0\n203.0.113.0/24 via 10.0.0.1 dev eth1 metric 900") == "eth1"


def test_lower_metric_wins_whatever_the_order() -> None:
    routes = "default via 10.0.0.1 dev eth0 metric 20\ndefault via 10.0.0.1 dev eth1 metric 10"
    assert egress(routes) == "eth1"


def test_dump_order_decides_among_equals() -> None:
    assert egress("203.0.113.0/24 dev eth1 scope link\n203.0.113.0/24 dev eth0 scope link") == "eth1"


@pytest.mark.parametrize(("tos", "interface"), [(0x10, "eth1"), (0xF0, "eth1"), (0x08, "eth0"), (0, "eth0")])
def test_route_with_tos_beats_a_lower_metric(tos: int, interface: str) -> None:
    routes = "203.0.113.0/24 dev eth0 scope link\n203.0.113.0/24 tos 0x10 dev eth1 scope link metric 900"
    assert egress(routes, tos=tos) == interface


def test_dead_nexthop_is_passed_over() -> None:
    routes = "default via 10.0.0.1 dev eth1\n203.0.113.0/24 via 10.0.0.1 dev eth0 dead linkdown"
    assert egress(routes) == "eth1"


@pytest.mark.parametrize(("ignore", "interface"), [({}, "eth0"), ({"eth0": 1}, "eth1"), ({"all": 1}, "eth1")])
def test_nexthop_without_carrier_is_passed_over_only_if_told(ignore: dict[str, int], interface: str) -> None:
    routes = "default via 10.0.0.1 dev eth1\n203.0.113.0/24 via 10.0.0.1 dev eth0 linkdown"
    sysctls = {f"{place}.ignore_routes_with_linkdown": value for place, value in ignore.items()}
    assert egress(routes, sysctls=sysctls) == interface


def leaf_skip_guest(flags: tuple[str, ...]) -> Guest:
    """Two aliases of one prefix, the first by a nexthop object, and a shorter prefix of another address."""
    guest = make_guest(routes=LINKS)
    by_object = Route(prefix="203.0.0.0/16", nexthop_id=1, nexthops=(NextHop(interface="eth0", flags=flags),), text="a")
    sibling = Route(prefix="203.0.0.0/16", metric=9, nexthops=(NextHop(interface="eth1"),), text="b")
    shorter = Route(prefix="200.0.0.0/6", nexthops=(NextHop(interface="eth0"),), text="c")
    return replaced(guest, routes=(*guest.routes, by_object, sibling, shorter))


def test_unusable_nexthop_object_hides_its_siblings() -> None:
    """Aliases of the same network address are given up with it; a shorter prefix of another address is not."""
    answer = send(host(leaf_skip_guest(("dead",))), packet("10.0.0.11", "203.0.113.9"))
    assert isinstance(answer, Sent)
    assert isinstance(answer.by, GuestLines)
    assert answer.by.route == "c"


def test_unusable_nexthop_object_hides_other_lengths_of_its_address() -> None:
    guest = leaf_skip_guest(("dead",))
    same_address = Route(prefix="203.0.0.0/8", nexthops=(NextHop(interface="eth1"),), text="d")
    both = host(replaced(guest, routes=(*guest.routes, same_address)))
    hidden = send(both, packet("10.0.0.11", "203.0.113.9"))
    outside = send(both, packet("10.0.0.11", "203.1.0.9"))
    assert [way.by for way in (hidden, outside)] == [
        GuestLines(rule="32766: from all lookup main", route=line) for line in ("c", "d")
    ]


def test_usable_nexthop_object_is_taken() -> None:
    answer = send(host(leaf_skip_guest(())), packet("10.0.0.11", "203.0.113.9"))
    assert isinstance(answer, Sent)
    assert isinstance(answer.by, GuestLines)
    assert answer.by.route == "a"


def test_legacy_nexthop_leaves_the_sibling_to_be_tried() -> None:
    routes = "203.0.113.0/24 dev eth0 scope link dead linkdown\n203.0.113.0/24 dev eth1 scope link metric 9"
    assert egress(routes) == "eth1"


def test_equal_cost_by_different_devices_names_the_candidates() -> None:
    guest = multipath("eth0", "10.0.0.1", "eth1", "10.0.0.1")
    with pytest.raises(Undetermined, match=r"eth0 via 10\.0\.0\.1, eth1 via 10\.0\.0\.1"):
        send(host(guest), packet("10.0.0.11", "203.0.113.9"))
    ways = routes_out(host(guest), packet("10.0.0.11", "203.0.113.9"))
    assert not isinstance(ways, NotSent)
    assert [way.interface for way in ways] == ["eth0", "eth1"]


def test_equal_cost_by_one_device_and_gateway_is_one_way() -> None:
    answer = send(host(multipath("eth1", "10.0.0.1", "eth1", "10.0.0.1")), packet("10.0.0.11", "203.0.113.9"))
    assert isinstance(answer, Sent)
    assert (answer.interface, answer.gateway) == ("eth1", "10.0.0.1")


def test_dead_member_leaves_one_way() -> None:
    guest = multipath("eth0", "10.0.0.1", "eth1", "10.0.0.1", dead=True)
    answer = send(host(guest), packet("10.0.0.11", "203.0.113.9"))
    assert isinstance(answer, Sent)
    assert answer.interface == "eth0"


def multipath(first: str, gateway: str, second: str, other: str, *, dead: bool = False) -> Guest:
    """A guest with one route of two nexthops."""
    guest = make_guest(routes=LINKS)
    hops = (
        NextHop(interface=first, gateway=gateway),
        NextHop(interface=second, gateway=other, flags=("dead",) if dead else ()),
    )
    return replaced(guest, routes=(*guest.routes, Route(prefix="203.0.113.0/24", nexthops=hops, text="several")))


def test_equal_defaults_are_chosen_by_the_state_of_their_gateways() -> None:
    with pytest.raises(Undetermined, match=r"eth0 via 10\.0\.0\.1, eth1 via 10\.0\.0\.2"):
        sent("default via 10.0.0.1 dev eth0\ndefault via 10.0.0.2 dev eth1")


def test_equal_defaults_do_not_matter_for_a_longer_prefix() -> None:
    routes = "default via 10.0.0.1 dev eth0\ndefault via 10.0.0.2 dev eth1\n203.0.113.0/24 via 10.0.0.1 dev eth1"
    assert egress(routes) == "eth1"


def test_gateway_that_is_the_guests_own_is_not_told() -> None:
    with pytest.raises(Undetermined, match=r"10\.0\.0\.12 is an address of the guest"):
        sent("default via 10.0.0.12 dev eth0")
    answer = sent("default via 10.0.0.12 dev eth0 onlink")
    assert isinstance(answer, Sent)
    assert answer.gateway == "10.0.0.12"


def test_untouched_rules_mean_one_trie_of_local_and_main() -> None:
    """127.9.0.0/16 in main beats 127.0.0.0/8 in local until a rule is touched; of one prefix, local wins."""
    guest = make_guest(routes=LINKS + "10.0.0.12 via 10.0.0.1 dev eth0\nblackhole 10.0.0.8/29")
    local = Route(prefix="10.0.0.0/28", table=255, type=RouteType.LOCAL, nexthops=(NextHop(interface="lo"),), text="l")
    guest = replaced(guest, routes=(*guest.routes, local))
    own, covered = packet("203.0.113.9", "10.0.0.12"), packet("203.0.113.9", "10.0.0.9")
    assert receive(host(guest, UNTOUCHED), own, "eth0").reception is Reception.DELIVERED
    assert receive(host(guest, UNTOUCHED), covered, "eth0").reception is Reception.NOT_LOCAL
    assert receive(host(guest), covered, "eth0").reception is Reception.DELIVERED


def test_default_table_is_asked_last() -> None:
    assert egress("default via 10.0.0.1 dev eth1 table default") == "eth1"
    assert egress("default via 10.0.0.1 dev eth1 table default\nprohibit default") == "prohibit"


def test_source_that_is_not_the_guests_is_not_sent() -> None:
    answer = send(host(make_guest(routes=LINKS + "default dev eth0 scope link")), packet("10.9.9.9", "203.0.113.9"))
    assert isinstance(answer, NotSent)
    assert answer.failure is None


def test_range_that_table_local_makes_its_own_may_be_sent_from() -> None:
    guest = make_guest(routes=LINKS + "default dev eth0 scope link")
    local = Route(prefix="10.9.0.0/16", table=255, type=RouteType.LOCAL, nexthops=(NextHop(interface="lo"),), text="l")
    guest = replaced(guest, routes=(*guest.routes, local))
    assert isinstance(send(host(guest), packet("10.9.9.9", "203.0.113.9")), Sent)
