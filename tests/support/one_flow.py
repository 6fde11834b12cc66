"""Classes beside single flows: each class says what the walk of any one of its flows says."""

import re
from collections.abc import Hashable, Sequence

from vnicheck.engine.classify import local_addresses, predict_flow, predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.flow import Direction, Flow, Protocol

SERVICE = "161.26.0.10"


PORTS = [1, 22, 79, 80, 90, 91, 443, 444, 1023, 1024, 5432, 65535]


def check(view: ServerView, remotes: Sequence[str], ports: Sequence[int]) -> None:
    classes = [flow for flow in predict_flows(view) if flow.direction is not Direction.TRANSIT]
    own = view.own_addresses()
    for local in local_addresses(view):
        for direction in (Direction.INBOUND, Direction.OUTBOUND):
            for protocol in Protocol:
                kind = [
                    c for c in classes if (c.local, c.direction, c.protocol) == (local.address, direction, protocol)
                ]
                for remote in remotes:
                    if remote in own or (remote == SERVICE and direction is Direction.INBOUND):
                        continue  # the server itself; services open nothing
                    number = parse_address(remote)
                    if direction is Direction.INBOUND and any(low <= number <= high for low, high in view.own_networks):
                        continue  # behind a device of the server's own
                    for port in ports if protocol is not Protocol.ICMP else [0]:
                        (found,) = [flow for flow in kind if holds(flow, parse_address(remote), port)]
                        alone = predict_flow(view, direction, protocol, local, parse_address(remote), port)
                        assert fate(found) == fate(alone), (direction, protocol, local.address, remote, port)


def holds(flow: Flow, remote: int, port: int) -> bool:
    def has(text: str) -> bool:
        first, _, last = text.partition("-")
        return int(first) <= port <= int(last or first)

    in_remote = any(first <= remote <= last for first, last in map(prefix_range, flow.remote))
    return in_remote and (flow.protocol is Protocol.ICMP or any(map(has, flow.ports or ())))


def fate(flow: Flow) -> Hashable:
    hops = tuple(
        (hop.leg, hop.at, hop.stage, hop.outcome, hop.drop, hop.assumption, re.sub(r" \(.*\)$", "", hop.reason))
        for hop in flow.hops
    )
    return flow.verdict, flow.drops, flow.remote_scope, flow.remote_network, flow.ingress, flow.egress, hops
