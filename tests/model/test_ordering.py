"""What means the same in any order comes out in one."""

import msgspec

from tests.support.servers import fabric
from vnicheck.model.cloud import Fabric, LoadBalancer, LoadBalancerListener, PublicAddressRange, RoutingTable
from vnicheck.model.ordering import ordered_fabric


def balancer(key: str, *, turned: bool) -> LoadBalancer:
    step = -1 if turned else 1
    return LoadBalancer(
        id=key,
        name=key,
        family="network",
        vpc="vpc",
        subnets=("a", "b")[::step],
        private_addresses=("10.0.0.7", "10.0.0.8")[::step],
        security_groups=("g", "h")[::step],
        listeners=tuple(LoadBalancerListener(id=each, protocol="tcp", port_min=1, port_max=2) for each in "lm")[::step],
    )


def around(*, turned: bool) -> Fabric:
    step = -1 if turned else 1
    ranges = tuple(PublicAddressRange(id=key, name=key, cidr="192.0.2.0/28") for key in "pq")
    return fabric(
        public_address_ranges=ranges[::step],
        load_balancers={key: balancer(key, turned=turned) for key in "xy"[::step]},
        tables=[RoutingTable(id="t", name="t", vpc="vpc", subnets=("a", "b")[::step])],
    )


def test_the_edges_come_in_one_order() -> None:
    one, other = (ordered_fabric(around(turned=turned)) for turned in (False, True))
    assert msgspec.json.encode(one) == msgspec.json.encode(other)
    assert one == around(turned=False)


def test_what_was_not_read_stays_unread() -> None:
    read = ordered_fabric(fabric())
    assert (read.public_address_ranges, read.load_balancers) == (None, None)
    assert read.routing_tables["table"].subnets is None
