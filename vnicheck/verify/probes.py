"""Which packets are sent to find out what becomes of flows, by whom, and to whom."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from vnicheck.engine.classify import local_addresses, predict_flow
from vnicheck.engine.server_view import LocalAddress, ServerView
from vnicheck.model.address import parse_address
from vnicheck.model.flow import Direction, Leg, Outcome, Protocol, Scope, Stage
from vnicheck.verify.sightings import FlowKey

MOST_FLOWS = 300
SERVER = ""
"""The name of the server among those who open flows."""
_ADMITTING = {Stage.SECURITY_GROUP, Stage.NETWORK_ACL, Stage.REMOTE_ACL}
_PORTS = {Protocol.TCP: (443, 80, 22, 8080), Protocol.UDP: (53, 123, 443)}
"""Those that rules let in most; before them one that nobody listens at."""


class ProbeError(ValueError):
    """Nothing that can be sent; the message is one line."""


class Host(Struct, frozen=True, kw_only=True):
    """A machine that flows are opened from. `sources`: the address of its own that a packet to each address would come
    from; `known`: addresses that are the host's as others than itself say; only to these the server opens anything.
    `bound`: all come from the one that was named. `public`: what stands for it on the internet, where that is
    known.
    """

    name: str
    sources: Mapping[str, str | None]
    known: frozenset[str] = frozenset()
    bound: bool = False
    public: str | None = None


class Probe(Struct, frozen=True, kw_only=True):
    """A flow to be opened by a host (or the SERVER), from its address `source` (empty: as its kernel chooses), to the
    address that it dials. `near`: the host's address as it has it itself, `server`: the server's as the host knows it.
    """

    number: int
    opener: str
    host: str
    key: FlowKey
    to: str
    source: str
    near: str
    server: str


class Wanted(Struct, frozen=True, kw_only=True):
    """Which flows are to be probed. No ports: one of each protocol that the VPC lets in at most addresses."""

    protocols: tuple[Protocol, ...] = tuple(Protocol)
    directions: tuple[Direction, ...] = (Direction.INBOUND, Direction.OUTBOUND)
    ports: tuple[int, ...] = ()


class Pair(Struct, frozen=True, kw_only=True):
    """A host and an address of the server that can be tried: `remote` is the host as the server sees it, `near` as it
    sees itself; `to` what it dials.
    """

    host: Host
    local: LocalAddress
    remote: str
    near: str
    to: str

    @property
    def may_be_sent_to(self) -> bool:
        """Whether what the server sends to `remote` goes to the host, and nobody else."""
        return self.near == self.remote and self.remote in self.host.known


def plan(view: ServerView, hosts: Sequence[Host], wanted: Wanted) -> tuple[Probe, ...]:
    """The flows, numbered. Raises ProbeError."""
    pairs = [pair for host in hosts for pair in _pairs(view, host)]
    probes: list[Probe] = []
    for protocol in wanted.protocols:
        for direction in wanted.directions:
            tried = [pair for pair in pairs if direction is Direction.INBOUND or pair.may_be_sent_to]
            if not tried:
                continue
            for port in _ports(view, direction, protocol, tried, wanted.ports):
                for pair in tried:
                    probes.append(_probe(len(probes) + 1, direction, protocol, pair, port))
    if not probes:
        raise ProbeError("no host has a way to an address of the server that could be tried")
    if len(probes) > MOST_FLOWS:
        raise ProbeError(
            f"{len(probes)} flows; at most {MOST_FLOWS}: narrow them with --protocol, --direction, --ports"
        )
    return tuple(probes)


def _pairs(view: ServerView, host: Host) -> Iterator[Pair]:
    own = view.own_addresses()
    for local in local_addresses(view):
        source = host.sources.get(local.address)
        if source in own:
            raise ProbeError(f"{host.name} is the server itself: packets of its own do not leave it")
        scopes = view.scopes(local.vni)
        fip = local.vni.floating_ips[0].address if local.vni.floating_ips else None
        floats = fip is not None and local.address == (local.vni.untranslated or (local.vni.primary_address,))[0]
        inside = source is not None and scopes.of(parse_address(source)) is not Scope.INTERNET
        if source is not None and inside and not (floats and host.public is not None):
            yield Pair(host=host, local=local, remote=source, near=source, to=local.address)
        elif floats and fip is not None and (near := host.sources.get(fip)) is not None:
            remote = host.public or near
            if scopes.of(parse_address(remote)) is Scope.INTERNET:
                yield Pair(host=host, local=local, remote=remote, near=near, to=fip)


def _ports(
    view: ServerView, direction: Direction, protocol: Protocol, pairs: Sequence[Pair], given: Iterable[int]
) -> tuple[int, ...]:
    if protocol is Protocol.ICMP:
        return (0,)
    if given:
        return tuple(given)
    candidates = (30_000 + os.getpid() % 2000, *_PORTS[protocol])
    admitted = {port: sum(_admits(view, direction, protocol, pair, port) for pair in pairs) for port in candidates}
    return (max(candidates, key=lambda port: (admitted[port], -candidates.index(port))),)


def _admits(view: ServerView, direction: Direction, protocol: Protocol, pair: Pair, port: int) -> bool:
    flow = predict_flow(view, direction, protocol, pair.local, parse_address(pair.remote), port)
    return all(hop.outcome is Outcome.PASS for hop in flow.hops if hop.leg is Leg.REQUEST and hop.stage in _ADMITTING)


def _probe(number: int, direction: Direction, protocol: Protocol, pair: Pair, port: int) -> Probe:
    inbound = direction is Direction.INBOUND
    key = FlowKey(direction=direction, protocol=protocol, local=pair.local.address, remote=pair.remote, port=port)
    return Probe(
        number=number,
        opener=pair.host.name if inbound else SERVER,
        host=pair.host.name,
        key=key,
        to=pair.to if inbound else pair.remote,
        source=(pair.near if pair.host.bound else "") if inbound else pair.local.address,
        near=pair.near,
        server=pair.to,
    )


def asked_addresses(view: ServerView) -> list[str]:
    """Those to which a host is asked for its source address."""
    floating = [fip.address for vni in view.server.vnis for fip in vni.floating_ips]
    return [*(local.address for local in local_addresses(view)), *floating]


def jobs(probes: Sequence[Probe], seconds: int) -> dict[str, dict[str, object]]:
    """What each agent is to do, by host; that of the SERVER among them."""
    hosts = dict.fromkeys(probe.host for probe in probes)
    identity = os.getpid() << 6
    made: dict[str, dict[str, object]] = {}
    for name in (SERVER, *hosts):
        mine = [probe for probe in probes if name in (SERVER, probe.host)]
        answered = [probe for probe in mine if probe.opener != name and probe.key.protocol is not Protocol.ICMP]
        others = {probe.key.remote if name == SERVER else probe.server for probe in mine}
        made[name] = {
            "seconds": seconds,
            "counts_drops": name == SERVER,
            "remotes": sorted(others),
            "listen": sorted({_listens(probe) for probe in answered}),
            "open": [
                {
                    "number": probe.number,
                    "id": (identity + probe.number) & 0xFFFF,
                    "protocol": probe.key.protocol.value,
                    "to": probe.to,
                    "port": probe.key.port,
                    "local": probe.source,
                }
                for probe in mine
                if probe.opener == name
            ],
        }
    return made


def _listens(probe: Probe) -> tuple[str, str, int]:
    key = probe.key
    return key.protocol.value, key.local if key.direction is Direction.INBOUND else key.remote, key.port
