"""One flow of every class: an address for its remotes, a port for its ports."""

from collections.abc import Iterable, Iterator

from msgspec import UnsetType

from vnicheck.engine.server_view import ServerView
from vnicheck.findings.published import is_published
from vnicheck.model.address import Range, format_address, parse_address, prefix_range
from vnicheck.model.flow import Direction, Flow, Hop, Leg, Outcome, Scope, Stage
from vnicheck.rehearse.network import Remotes, Transit
from vnicheck.rehearse.packets import Tried

_NOBODY = "the remotes are addresses that no machine there has (networks, broadcast, gateways)"
_USUAL_PORTS = (443, 22, 80, 53)


class Sample:
    """`flows`: for each class that can be tried the flow that stands for it, by the class's place among the predicted
    ones. `remotes`: their remotes; `transits`: the ways of those in transit. `left_out`: why the other classes are not
    tried. `prefer`: remotes to be chosen where a class has them.
    """

    def __init__(
        self, view: ServerView, predicted: Iterable[Flow], locals_: Iterable[str], *, prefer: Iterable[str] = ()
    ) -> None:
        self.flows: dict[int, Tried] = {}
        self.left_out: dict[int, str] = {}
        self._preferred = [parse_address(address) for address in prefer]
        self.transits: list[Transit] = []
        self._scope: dict[str, Scope] = {}
        self._answerers: dict[tuple[str, ...], str] = {}
        self._taken = {parse_address(address) for address in view.own_addresses()}
        for subnet in view.fabric.subnets.values():
            first, last = prefix_range(subnet.cidr)
            self._taken |= {first, first + 1, last}
        self._taken |= {parse_address(fip.address) for vni in view.server.vnis for fip in vni.floating_ips}
        held = set(locals_)
        for place, flow in enumerate(predicted):
            unbuilt = next((what for hop in flow.hops if (what := _not_rebuilt(hop)) is not None), None)
            unbuilt = "containers and netfilter's rules are" if is_published(flow) else unbuilt
            if unbuilt is not None:
                self.left_out[place] = f"{unbuilt} not rebuilt"
            elif flow.direction is Direction.TRANSIT:
                self._choose_transit(view, place, flow)
            elif any(flow.local in vni.untranslated for vni in view.server.vnis):
                self.left_out[place] = "floating IPs of VNIs without infrastructure NAT are not rebuilt"
            elif flow.local not in held:
                self.left_out[place] = f"{flow.local} has no interface in the guest"
            else:
                self._choose(place, flow)

    @property
    def remotes(self) -> Remotes:
        """By their scope, seen from the address that each was chosen for first."""
        by_scope = {scope.value: tuple(a for a, s in self._scope.items() if s is scope) for scope in Scope}
        return Remotes(**by_scope)

    def _choose_transit(self, view: ServerView, place: int, flow: Flow) -> None:
        opener = self._remote(flow)
        answerer = self._answerer(flow)
        if opener is None or answerer is None:
            self.left_out[place] = _NOBODY
            return
        self._scope.setdefault(opener, flow.remote_scope)
        vnis = {view.interface_of.get(vni.id): vni.id for vni in view.server.vnis}
        enters = {hop.leg: vnis.get(hop.at) for hop in reversed(flow.hops) if hop.stage is Stage.FORWARDING}
        self.transits.append(
            Transit(
                opener=opener,
                answerer=answerer,
                request_by=enters.get(Leg.REQUEST),
                reply_by=enters.get(Leg.REPLY),
            )
        )
        self.flows[place] = Tried(
            direction="transit",
            protocol=flow.protocol.value,
            remote=opener,
            local=answerer,
            port=None if isinstance(flow.ports, UnsetType) else _port(flow.ports),
        )

    def _answerer(self, flow: Flow) -> str | None:
        """An address of the answering side: one for each of its sets of addresses."""
        if isinstance(flow.local_prefixes, UnsetType):
            return None
        known = self._answerers.get(flow.local_prefixes)
        if known is None:
            known = self._free(map(prefix_range, flow.local_prefixes))
            if known is not None:
                self._answerers[flow.local_prefixes] = known
        return known

    def _choose(self, place: int, flow: Flow) -> None:
        remote = self._remote(flow)
        if remote is None:
            self.left_out[place] = _NOBODY
            return
        self._scope.setdefault(remote, flow.remote_scope)
        self.flows[place] = Tried(
            direction="inbound" if flow.direction is Direction.INBOUND else "outbound",
            protocol=flow.protocol.value,
            remote=remote,
            local=flow.local,
            port=None if isinstance(flow.ports, UnsetType) else _port(flow.ports),
        )

    def _remote(self, flow: Flow) -> str | None:
        """An address of the class: one that stands for others already, where there is one."""
        ranges = [prefix_range(prefix) for prefix in flow.remote]
        public = flow.remote_scope is Scope.INTERNET
        for known, scope in self._scope.items():
            number = parse_address(known)
            if (scope is Scope.INTERNET) is public and any(first <= number <= last for first, last in ranges):
                return known
        for address in self._preferred:
            if address not in self._taken and any(first <= address <= last for first, last in ranges):
                self._taken.add(address)
                return format_address(address)
        return self._free(ranges)

    def _free(self, ranges: Iterable[Range]) -> str | None:
        """An address that nobody has yet."""
        for address in _candidates(list(ranges)):
            if address not in self._taken:
                self._taken.add(address)
                return format_address(address)
        return None


def _not_rebuilt(hop: Hop) -> str | None:
    """What of the VPC's part in a hop the rebuilt one does not play."""
    if hop.stage is Stage.REMOTE_ACL and hop.outcome is not Outcome.PASS:
        return "the network ACL of the remote's own subnet is"
    if hop.stage is Stage.INGRESS_ROUTE and hop.outcome is not Outcome.UNKNOWN:
        return "ingress routes are"
    if hop.stage is Stage.FLOATING_IP and hop.assumption == "nlb-direct" and hop.outcome is not Outcome.UNKNOWN:
        return "load balancers are"
    return None


def _candidates(ranges: list[Range]) -> Iterator[int]:
    """Of each range, the longest first, some addresses that hosts may have."""
    for first, last in sorted(ranges, key=lambda each: each[0] - each[1]):
        size = last - first + 1
        yield from (first + offset for offset in (10, 5, 4, 3, 2, 1, 0) if offset < size)
        yield from range(first, min(last, first + 4096) + 1)


def _port(ports: tuple[str, ...]) -> int:
    ranges = [(int(first), int(last or first)) for first, _, last in (text.partition("-") for text in ports)]
    for usual in _USUAL_PORTS:
        if any(first <= usual <= last for first, last in ranges):
            return usual
    return max(ranges[0][0], 1)
