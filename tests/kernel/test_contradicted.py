"""What the running kernel said otherwise of some packets is not said of others."""

import pytest

from tests.support.kernel_guests import ICMP, make_guest
from vnicheck.kernel.contradicted import Contradiction
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.packet import NO_PORTS, Transport
from vnicheck.kernel.receive import Received, Reception
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import parse_address, prefix_range

CLIENT = parse_address("10.8.0.4")
ROUTES = "default via 10.0.0.1 dev eth0"


@pytest.mark.parametrize("answers_first", [False, True])
def test_of_echo_requests_alone_where_rules_read_ports(*, answers_first: bool) -> None:
    local = parse_address("10.0.0.11")
    refused = Received(Reception.RP_FILTER, "the guest refuses it")
    of_requests = Contradiction(
        local=local,
        entering="eth0",
        protocol=ICMP,
        of_source=False,
        remote=CLIENT,
        outcome=refused,
        alike=(prefix_range("10.8.0.0/16"),),
        doubt=Unknown("another of these remotes does otherwise"),
    )
    kernel = Kernel(make_guest(routes=ROUTES, rules="100: from all dport 443 lookup main"), seen=(of_requests,))
    told = {
        of_source: kernel.received("eth0", local, Transport(ICMP, NO_PORTS, NO_PORTS, of_source)).at(CLIENT).at(0)
        for of_source in (answers_first, not answers_first)
    }
    assert told[False] == refused
    answers = told[True]
    assert isinstance(answers, Received)
    assert answers.reception is Reception.DELIVERED
