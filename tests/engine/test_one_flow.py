"""Classes against single flows: whatever a class says, the walk of any one of its flows says too.

A class is found by sets of addresses and ports that rules do not tell apart; a single flow asks every stage about its
own two addresses and port. Both must meet the same checks, with the same outcomes, for the same reasons.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support import servers
from tests.support.drawn_guests import guests
from tests.support.drawn_servers import RELAXED, configs, fabrics, server_of
from tests.support.one_flow import PORTS, SERVICE, check
from vnicheck.engine.classify import local_addresses, predict_flow, predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.model.address import parse_address
from vnicheck.model.cloud import Fabric, SecurityGroup
from vnicheck.model.config import Config
from vnicheck.model.flow import Direction, Flow, Protocol
from vnicheck.model.guest import Guest

REMOTES = [
    "10.0.0.7", "10.0.0.13", "10.0.0.255", "10.0.1.9", "10.0.9.9", "10.8.0.4", "10.8.1.7", "10.8.200.1", "10.9.0.1",
    SERVICE, "192.168.1.1", "203.0.113.9", "203.0.113.10", "8.8.8.8", "1.0.0.1", "223.255.255.255",
]  # fmt: skip


@RELAXED
@given(fabrics(), st.none() | guests(), configs, st.randoms(use_true_random=False))
def test_a_class_says_what_each_of_its_flows_meets(
    around: Fabric, inside: Guest | None, config: Config, random: Any
) -> None:
    """Two servers of one fabric, which share what was worked out of it."""
    for addresses in (("10.0.0.11", "10.0.0.12", "10.0.0.14"), ("10.0.0.14", "10.0.0.12", "10.0.0.11")):
        view = ServerView(server_of(inside, addresses), around, config)
        check(view, random.sample(REMOTES, 4), random.sample(PORTS, 3))


def test_a_single_flow_leaves_nothing_behind_that_a_class_takes_for_its_own() -> None:
    """The remote's address is, as a number, what the classes call the 25th way in which the group reads remotes."""
    rules = [
        servers.group_rule("inbound", "tcp", f"10.99.0.{number}/32", port_min=1000 + number, port_max=1000 + number)
        for number in range(1, 25)
    ]
    ping = servers.group_rule("inbound", "icmp", "1.0.0.1/32")
    group = SecurityGroup(id="open", name="many", rules=(*rules, ping))

    def classes(around: Fabric) -> tuple[Flow, ...]:
        return predict_flows(ServerView(servers.server(guest=servers.guest()), around, Config()))

    fresh, asked = servers.fabric(groups=[group]), servers.fabric(groups=[group])
    view = ServerView(servers.server(guest=servers.guest()), asked, Config())
    for local in local_addresses(view):
        predict_flow(view, Direction.INBOUND, Protocol.ICMP, local, parse_address("1.0.0.1"), 0)
    assert classes(asked) == classes(fresh)
