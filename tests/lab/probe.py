"""What packets really do: every client against every address of the server, both ways, in ICMP, TCP and UDP."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from tests.lab.scenario import Scenario
from tests.lab.topology import Lab
from vnicheck.rehearse.network import DIRECTIONS, PROTOCOLS, Direction, Protocol
from vnicheck.rehearse.packets import TIMEOUTS, Tried, send


def probe_predicted(lab: Lab) -> list[Tried]:
    """`probe` all flows that are predicted, and that the lab plays: services answer, they open none; and the clients'
    machine stands behind no subnet's ACL of its own.
    """
    services = lab.scenario.clients.service
    flows = [flow for flow in probe(lab) if flow.direction == "outbound" or flow.remote not in services]
    return [flow for flow in flows if not _is_behind_own_acl(lab.scenario, flow)]


def _is_behind_own_acl(scenario: Scenario, flow: Tried) -> bool:
    """Whether the client is in another subnet than the server's address, and that has an ACL."""
    around = scenario.subnet_of(scenario.vni_of(flow.local))
    return any(
        subnet.network_acl is not None and subnet != around and ip_address(flow.remote) in ip_network(subnet.cidr)
        for subnet in scenario.subnets
    )


def probe(
    lab: Lab,
    *,
    clients: Sequence[str] | None = None,
    locals: Sequence[str] | None = None,  # noqa: A002
    ports: Sequence[int] | None = None,
    protocols: Sequence[Protocol] = PROTOCOLS,
    directions: Sequence[Direction] = DIRECTIONS,
    timeouts: Sequence[float] = TIMEOUTS,
) -> list[Tried]:
    """Try all flows between the clients and the server's addresses (default: all of both, on the scenario's ports), at
    the same time. Raises RehearsalError where the packets themselves could not be sent.
    """
    flows = [
        Tried(direction=direction, protocol=protocol, remote=client, local=local, port=port)
        for direction in directions
        for protocol in protocols
        for port in ((None,) if protocol == "icmp" else lab.scenario.ports if ports is None else ports)
        for client in (lab.scenario.clients.addresses if clients is None else clients)
        for local in (lab.scenario.locals if locals is None else locals)
    ]
    return send(lab, flows, timeouts=timeouts)
