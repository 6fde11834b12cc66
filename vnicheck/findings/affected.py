"""What a finding affects, by itself: its flows as few products of protocols, ports and remotes, exactly."""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, UnsetType

from vnicheck.engine.partition import parse_ports, to_ports, to_prefixes
from vnicheck.model.address import prefix_range
from vnicheck.model.finding import Affected
from vnicheck.model.flow import Flow, Protocol
from vnicheck.model.grouped import grouped

_Ports = tuple[str, ...] | UnsetType


def affected_by(flows: Iterable[Flow]) -> tuple[Affected, ...]:
    """The flows, those of one way together, in the order in which they come; every flow is in one entry."""
    ways: dict[Affected, dict[tuple[Protocol, _Ports], list[str]]] = {}
    for flow in flows:
        ways.setdefault(_way(flow), {}).setdefault((flow.protocol, flow.ports), []).extend(flow.remote)
    return tuple(each for way, remotes in ways.items() for each in _products(way, remotes))


def _way(flow: Flow) -> Affected:
    """What flows have in common, without the rest."""
    return Affected(
        direction=flow.direction,
        local=flow.local,
        local_prefixes=flow.local_prefixes,
        ingress=flow.ingress,
        egress=flow.egress,
        protocols=(),
        remotes=(),
        scope=flow.remote_scope,
    )


def _products(way: Affected, remotes_of: dict[tuple[Protocol, _Ports], list[str]]) -> Iterable[Affected]:
    """With the same protocol and ports the remotes together, then with the same remotes the ports, then protocols."""
    ports_of = grouped(
        ((protocol, to_prefixes(map(prefix_range, remotes))), ports)
        for (protocol, ports), remotes in remotes_of.items()
    )
    protocols_of = grouped(
        ((_joined_ports(listed), joined), protocol) for (protocol, joined), listed in ports_of.items()
    )
    for (joined_ports, joined), protocols in protocols_of.items():
        yield msgspec.structs.replace(way, protocols=tuple(protocols), ports=joined_ports, remotes=joined)


def _joined_ports(listed: Iterable[_Ports]) -> _Ports:
    texts = [text for ports in listed if not isinstance(ports, UnsetType) for text in ports]
    return to_ports(map(parse_ports, texts)) if texts else UNSET
