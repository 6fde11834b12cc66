"""Sets of remotes that fare alike: the stretches of the zip of all stages, gathered by equal fate.

Each stage tells of every remote two things: its fate, which is what the stage comes to for it, and a value, which is
what decides that (a route, the rules that it meets). The fabric's stages are zipped once for all servers that they are
the same for; for each local address the kernel's maps are zipped with that.
"""

from collections.abc import Hashable, Iterable, Iterator
from typing import NamedTuple

from msgspec import Struct

from vnicheck.engine.partition import never_remote, to_prefixes
from vnicheck.engine.server_view import LocalAddress, ServerView
from vnicheck.fabric import ingress_route, load_balancer, network_acl, remote_acl, security_group, vpc_route
from vnicheck.fabric.ingress_route import has_zone_table, zone_of
from vnicheck.fabric.memory import remembered
from vnicheck.fabric.state_filter import state_filter
from vnicheck.kernel.packet import Transport
from vnicheck.kernel.receive import Received
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import worlds_of
from vnicheck.kernel.worlds import ByPort, Outcome, Several
from vnicheck.model.address import LAST, Range, merge_ranges, parse_address
from vnicheck.model.address_map import AddressMap, choose, constant, zipped
from vnicheck.model.cloud import Vni
from vnicheck.model.flow import Protocol, Scope
from vnicheck.model.memo import Memo

StageMap = AddressMap[tuple[Hashable, Hashable]]
"""Of each address its fate and the value that decides it."""


class Place(NamedTuple):
    """Where remotes are: their scope, and their network's name if the configuration gives it one."""

    scope: Scope
    network: str | None


class Area(Struct, frozen=True, eq=False):
    """Addresses that the fabric's stages treat alike, by the same rules and routes. `fate`: a number that it shares
    with areas that fare alike by others. `sample`: one of the addresses.
    """

    fate: int
    sample: int


class Remotes(Struct, frozen=True, eq=False):
    """Remotes that fare alike, whatever the ports. `samples`: one for each way in which the fabric decides about them.
    `received`, `sent`: what the guest's kernel does with packets from and to them, in as many ways; none where that is
    not known. `by_port`: whether that differs with the port.
    """

    rules: object
    """What stands for its samples, the same for all of the fabric that have these."""
    place: Place
    ranges: tuple[Range, ...]
    samples: tuple[int, ...]
    received: tuple[ByPort, ...]
    sent: tuple[ByPort, ...]
    by_port: bool
    several: bool = False
    """Whether it is not known of some ports what the kernel does, but which things it may do."""

    @property
    def first(self) -> int:
        """One of them."""
        return self.samples[0]


class Way(Struct, frozen=True, eq=False):
    """What the guest's kernel does with packets from and to each remote (None: not known), and the VNIs that packets
    between remotes and the local address may cross.
    """

    local: LocalAddress
    received: AddressMap[ByPort | None]
    sent: AddressMap[ByPort | None]
    vnis: tuple[Vni, ...]


_Asked = tuple[AddressMap[ByPort | None], AddressMap[ByPort | None], frozenset[str]]
"""What the kernel does with packets from and to each remote, and the interfaces by which the latter may leave."""
_NOT_KNOWN: AddressMap[None] = constant(None)


class RemoteSets:
    """The sets of remotes of a server, by local address, and by protocol and ports where a policy rule reads them."""

    def __init__(self, view: ServerView, only: int | None = None) -> None:
        """`only`: the one remote that is asked about; all that are possible by default."""
        self._view = view
        self.asked_for_one = only is not None
        self._excluded = never_remote(view.own_addresses()) if only is None else [(0, only - 1), (only + 1, LAST)]
        behind = view.own_networks if only is None else ()
        self._excluded_inbound = merge_ranges([*self._excluded, *behind]) if behind else self._excluded
        self._fates: dict[Hashable, int] = {}
        self._fate_of_ports: dict[ByPort, int] = {}
        self._ways, self._sets, self._prefixes = Memo(), Memo(), Memo()

    def way(self, local: LocalAddress, protocol: Protocol, ports: Range, *, inbound: bool) -> Way:
        """What the guest's kernel does with the packets of such flows; the same for all that no policy rule tells
        apart.
        """
        kernel, interface = self._view.kernel, self._view.interface_of.get(local.vni.id)
        reads = kernel is not None and kernel.reads_transport
        key = (local.key, protocol, ports, inbound) if reads else local.key

        def asked() -> _Asked:
            own, opening = local.number, Transport(protocol.number, self._view.client_ports(protocol), ports)
            arriving, leaving = (opening, opening.turned()) if inbound else (opening.turned(), opening)
            received: AddressMap[ByPort | None] = _NOT_KNOWN
            sent: AddressMap[ByPort | None] = _NOT_KNOWN
            if kernel is not None and interface is not None:
                sent = kernel.answered(interface, own, leaving) if inbound else kernel.sent(own, leaving)
                received = kernel.received(interface, own, arriving)
            elif kernel is not None:
                sent = kernel.sent(own, leaving)
            return received, sent, frozenset(_leaving(sent))

        def way() -> Way:
            # a change for one own address touches what goes between it and others: of remotes only one asked for
            shared = (key, self._view.change_for(local))
            received, sent, leaving = asked() if self.asked_for_one else self._view.asked.once(shared, asked)
            by_these = [vni for vni in self._view.server.vnis if self._view.interface_of.get(vni.id) in leaving]
            return Way(local, received, sent, tuple(dict.fromkeys((local.vni, *by_these))))

        return self._ways.once(key, way)

    def of(self, way: Way, *, inbound: bool) -> tuple[Remotes, ...]:
        """The sets for flows of one way; by their first remote."""
        excluded = self._excluded_inbound if inbound else self._excluded
        return self._sets.once((way, excluded is self._excluded), lambda: tuple(self._gathered(way, excluded)))

    def origin(self, way: Way, protocol: Protocol) -> Hashable:
        """What the classes of one way come from, beside what a server has in common with its changed copies: of a VNI
        only what may be patched.
        """
        view, address = self._view, way.local.address
        patched = [
            (
                vni.id,
                state_filter(vni, view.assume, protocol, auto_filters=view.auto_filters, saw_opening=False),
                address in vni.carried or vni.allow_ip_spoofing,
            )
            for vni in way.vnis
        ]
        return way.local.key, id(way.received), id(way.sent), *patched

    def prefixes_of(self, sets: tuple[Remotes, ...]) -> tuple[str, ...]:
        """The fewest prefixes that cover these sets."""
        return self._prefixes.once(sets, lambda: to_prefixes([remotes for each in sets for remotes in each.ranges]))

    def _gathered(self, way: Way, without: list[Range]) -> Iterator[Remotes]:
        gathered: dict[Hashable, list[tuple[Range, Area, ByPort | None, ByPort | None]]] = {}
        told = zipped([_areas(self._view, way.vnis), way.received, way.sent])
        for first, last, said in choose(without, constant(None), told).stretches():
            if said is not None:
                area, receives, sends = said
                key = (area.fate, self._fate_of(receives), self._fate_of(sends))
                gathered.setdefault(key, []).append(((first, last), area, receives, sends))
        scopes, networks = self._view.scopes(way.local.vni), self._view.networks
        for pieces in gathered.values():
            ranges, areas, *ways = zip(*pieces, strict=True)
            received, sent = (tuple([each for each in dict.fromkeys(said) if each is not None]) for said in ways)
            samples = tuple([area.sample for area in dict.fromkeys(areas)])
            yield Remotes(
                rules=remembered(self._view.fabric, ("samples", samples), object),
                place=Place(scopes.of(samples[0]), networks.of(samples[0])),
                ranges=tuple(merge_ranges(ranges)),
                samples=samples,
                received=received,
                sent=sent,
                by_port=any(len(ways.starts) > 1 for ways in (*received, *sent)),
                several=any(isinstance(way, Several) for ways in (*received, *sent) for way in ways.values),
            )

    def _fate_of(self, ports: ByPort | None) -> Hashable:
        """What the kernel's answers come to, port by port, whichever lines decide."""
        if ports is None:
            return None
        known = self._fate_of_ports.get(ports)
        if known is None:
            fate = tuple(zip(ports.starts, map(fate_of_outcome, ports.values), strict=True))
            known = self._fate_of_ports[ports] = self._fates.setdefault(fate, len(self._fates))
        return known


def fate_of_outcome(outcome: Outcome) -> Hashable:
    """What a kernel's answer comes to for a class of flows, whichever line decides it: its words count, as a hop shows
    them.
    """
    if isinstance(outcome, Sent):
        return outcome.interface, outcome.gateway, outcome.ruling, outcome.sender
    if isinstance(outcome, Received):
        return outcome.reception, outcome.reason, outcome.ruling, outcome.led
    if isinstance(outcome, NotSent):
        return outcome.failure, outcome.reason, outcome.refused_at, outcome.refusal
    if isinstance(outcome, Several):
        return outcome.reason, tuple(map(fate_of_outcome, outcome.worlds))
    return outcome


def _leaving(sent: AddressMap[ByPort | None]) -> Iterator[str]:
    """The interfaces by which packets may leave."""
    known = (each for each in set(sent.values) if each is not None)
    worlds = (world for each in known for way in each.values for world in worlds_of(way))
    return (world.interface for world in worlds if isinstance(world, Sent))


def _areas(view: ServerView, vnis: Iterable[Vni]) -> AddressMap[Area]:
    """What the fabric keeps apart of packets that cross these VNIs; the same for all servers for which it is made of
    the same maps.
    """
    stages = dict(_stages(view, vnis))
    key = ("areas", *[(name, id(stage)) for name, stage in stages.items()])
    kept = remembered(view.fabric, key, lambda: (tuple(stages.values()), _zipped_areas(stages.values())))
    return kept[1]


def _zipped_areas(stages: Iterable[StageMap]) -> AddressMap[Area]:
    numbers: dict[Hashable, int] = {}
    made: dict[Hashable, Area] = {}
    found = zipped(list(stages))
    areas = []
    for start, said in zip(found.starts, found.values, strict=True):
        area = made.get(said)
        if area is None:
            fates = tuple([fate for fate, _ in said])
            area = made[said] = Area(numbers.setdefault(fates, len(numbers)), start)
        areas.append(area)
    return AddressMap(found.starts, areas)


def _stages(view: ServerView, vnis: Iterable[Vni]) -> Iterator[tuple[Hashable, StageMap]]:
    """What each stage keeps apart that such a packet may meet; what several VNIs share has one key."""
    fabric = view.fabric
    locals_ = frozenset(map(parse_address, view.reserved.union(view.public)))
    yield "networks", view.networks.alike
    yield "routes at home", ingress_route.alike(fabric, view.server.vpc.id, view.server.vnis)
    for acl, apart in remote_acl.alike(fabric, view.server.vpc.id, locals_):
        yield ("remote acl", acl), apart
    if view.own_networks:
        yield "own networks", view.own_network_map
    for vni in vnis:
        subnet = view.subnet(vni)
        yield ("scopes", subnet.id), view.scopes(vni).alike
        if has_zone_table(fabric, subnet.vpc):
            yield ("zones", subnet.vpc), zone_of(fabric, subnet.vpc).mapped(lambda zone: (zone, None))
        yield ("routes", subnet.id), vpc_route.alike(fabric, subnet, view.assume)
        for groups, clients in load_balancer.alike(fabric, view.server.id, vni):
            yield ("balancer's groups", groups), clients
        admitted = security_group.alike(fabric, vni, locals_)
        if admitted is not None:
            yield ("groups", vni.security_groups), admitted
        passed = network_acl.alike(fabric, subnet, locals_)
        if passed is not None:
            yield ("acl", subnet.network_acl, "inbound"), passed[0]
            yield ("acl", subnet.network_acl, "outbound"), passed[1]
