"""Questions for the server's kernel: where would this reply leave, and would this packet be let in?

`ip route get` answers both without root and without a packet: for each class of flows one remote is asked about, both
ways, with protocol and ports where a policy rule reads them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from vnicheck.engine.classify import local_addresses
from vnicheck.engine.partition import ALL_PORTS, NO_PORTS
from vnicheck.engine.remotes import RemoteSets
from vnicheck.engine.server_view import LocalAddress, ServerView
from vnicheck.kernel.send import Sent
from vnicheck.kernel.worlds import Outcome as Fate
from vnicheck.kernel.worlds import Several
from vnicheck.model.address import format_address, parse_address, prefix_range
from vnicheck.model.flow import Direction, DropCode, Flow, Hop, Leg, Outcome, Protocol, Stage
from vnicheck.model.lines import is_plain_interface
from vnicheck.model.verification import AskedHop

_ENTERING = {Stage.SOURCE_VALIDATION, Stage.LOCAL_DELIVERY}
_LEAVING = {Stage.REPLY_ROUTE, Stage.REQUEST_ROUTE}


class Question(Struct, frozen=True, kw_only=True):
    """A packet from `source` to `destination`: one that the server sends, or (`interface`) one that comes in by that.

    `ports` are the source's and the destination's, of `protocol`, where a rule reads such things.
    """

    source: str
    destination: str
    interface: str | None = None
    protocol: str | None = None
    ports: tuple[int, int] | None = None

    @property
    def command(self) -> str:
        """Without the leading `ip`."""
        words = ["route get", self.destination, "from", self.source]
        if self.interface is not None:
            words += ["iif", self.interface]
        if self.protocol is not None:
            words += ["ipproto", self.protocol]
        if self.ports is not None:
            words += [f"sport {self.ports[0]} dport {self.ports[1]}"]
        return " ".join(words)


class Expected(Struct, frozen=True, kw_only=True):
    """What is predicted of a packet in the guest: it is taken, it leaves in one of some `ways` (an interface, and a
    gateway or None: on-link), or neither (`drops`).
    """

    outcome: Literal["taken", "leaves", "drops", "unknown"]
    ways: frozenset[tuple[str, str | None]] = frozenset()
    why: str = ""

    def __str__(self) -> str:
        if self.outcome != "leaves":
            return self.outcome
        return " or ".join(leaves_words(*way) for way in sorted(self.ways, key=str))


def leaves_words(interface: str, gateway: str | None) -> str:
    """`leaves by eth0 via 10.0.0.1`."""
    return f"leaves by {interface}{f' via {gateway}' if gateway is not None else ''}"


class Asked(Struct, frozen=True, kw_only=True):
    """A question with what is predicted, and how many classes of flows it is about, by whose hops. `refusal`: what the
    kernel means where it calls a packet that comes in invalid.
    """

    question: Question
    expected: Expected
    flows: int
    hops: tuple[AskedHop, ...] = ()
    refusal: DropCode = DropCode.RP_FILTER


def questions(view: ServerView, flows: Iterable[Flow], prefer: Iterable[str] = ()) -> list[Asked]:
    """Each question once, in the order of the flows. Flows in transit, addresses that two VNIs have, and interfaces
    whose names are not put into commands, are left out. `prefer`: the remotes that are asked about where their class
    is.
    """
    found: dict[Question, list[tuple[Expected, AskedHop]]] = {}
    asking = _Asking(view, prefer)
    for flow in flows:
        for question, expected, hop in asking.of(flow):
            found.setdefault(question, []).append((expected, hop))
    return [
        Asked(
            question=question,
            expected=_agreed([expected for expected, _ in said]),
            flows=len(said),
            hops=tuple(hop for _, hop in said),
            refusal=asking.refusal(question.interface),
        )
        for question, said in found.items()
    ]


class _Asking:
    """What questions to a server's kernel are made of."""

    def __init__(self, view: ServerView, prefer: Iterable[str]) -> None:
        self._view = view
        self._prefer = [parse_address(address) for address in prefer]
        guest = view.server.guest
        rules = guest.rules if guest is not None else ()
        self._reads_ports = any(rule.sport is not None or rule.dport is not None for rule in rules)
        self._reads_protocol = self._reads_ports or any(rule.ipproto is not None for rule in rules)
        self._own = view.own_addresses()
        self._sets = RemoteSets(view)
        locals_ = local_addresses(view)
        held = Counter(local.address for local in locals_)
        self._local = {local.address: local for local in locals_ if held[local.address] == 1}

    def of(self, flow: Flow) -> Iterator[tuple[Question, Expected, AskedHop]]:
        """The questions about a class of flows."""
        remote = self._remote(flow)
        if flow.direction is Direction.TRANSIT or flow.local not in self._local or remote is None:
            return
        for leg in Leg:
            comes_in = (flow.direction is Direction.INBOUND) is (leg is Leg.REQUEST)
            hop = _deciding(flow, leg, _ENTERING if comes_in else _LEAVING)
            if hop is None or not is_plain_interface(hop.at):
                continue
            source, destination = (remote, flow.local) if comes_in else (flow.local, remote)
            question = Question(
                source=source,
                destination=destination,
                interface=hop.at if comes_in else None,
                protocol=flow.protocol.value if self._reads_protocol else None,
                ports=_ports(flow, opens=leg is Leg.REQUEST) if self._reads_ports else None,
            )
            yield question, self._expected(flow, hop, remote, comes_in=comes_in), self._hop(flow, remote, hop)

    def _remote(self, flow: Flow) -> str | None:
        ranges = sorted(map(prefix_range, flow.remote), key=lambda each: each[0] - each[1])
        wanted = [address for address in self._prefer if any(first <= address <= last for first, last in ranges)]
        others = [address for first, last in ranges for address in (first + 10, first + 1, first) if address <= last]
        named = map(format_address, [*wanted, *others])
        return next((address for address in named if address not in self._own), None)

    def refusal(self, interface: str | None) -> DropCode:
        """Newer kernels say EINVAL of either (net/ipv4/fib_frontend.c, fib_validate_source)."""
        guest = self._view.server.guest
        sysctls = guest.sysctls if guest is not None else {}
        filters = any(sysctls.get(f"net/ipv4/conf/{name}/rp_filter", 0) for name in ("all", interface))
        return DropCode.RP_FILTER if filters else DropCode.MARTIAN_SOURCE

    def _expected(self, flow: Flow, hop: Hop, remote: str, *, comes_in: bool) -> Expected:
        if hop.outcome is Outcome.UNKNOWN:
            return Expected(outcome="unknown", why=hop.reason)
        local, ports = self._local[flow.local], _ports(flow, opens=True)
        ends = (local, flow.direction, flow.protocol, remote, 0 if ports is None else ports[1])
        fate = fate_in_guest(self._sets, *ends, comes_in=comes_in)
        possible = possible_fates(fate)
        leaving = frozenset((each.interface, each.gateway) for each in possible if isinstance(each, Sent))
        if leaving and all(isinstance(each, Sent) for each in possible):
            return Expected(outcome="leaves", ways=leaving)
        if isinstance(fate, Several):  # the flow fares the same in all of these worlds, but its packet does not
            return Expected(outcome="unknown", why=fate.reason)
        return Expected(outcome="drops" if hop.outcome is Outcome.DROP else "taken")

    def _hop(self, flow: Flow, remote: str, hop: Hop) -> AskedHop:
        ports = _ports(flow, opens=True)
        return AskedHop(
            direction=flow.direction,
            protocol=flow.protocol,
            local=flow.local,
            remote=remote,
            port=None if ports is None else ports[1],
            leg=hop.leg,
            stage=hop.stage,
            at=hop.at,
            outcome=hop.outcome,
            remotes=flow.remote,
            ports=flow.ports if self._reads_ports else UNSET,
        )


def fate_in_guest(
    sets: RemoteSets,
    local: LocalAddress,
    direction: Direction,
    protocol: Protocol,
    remote: str,
    port: int,
    *,
    comes_in: bool,
) -> Fate | None:
    """What the guest does with a packet of a flow: one that comes in, or one that it sends. `port`: the answerer's."""
    ports = NO_PORTS if protocol is Protocol.ICMP else ALL_PORTS
    way = sets.way(local, protocol, ports, inbound=direction is Direction.INBOUND)
    ways = (way.received if comes_in else way.sent).at(parse_address(remote))
    return None if ways is None else ways.at(port)


def possible_fates(fate: Fate | None) -> tuple[Fate | None, ...]:
    """Each that it may be."""
    return fate.worlds if isinstance(fate, Several) else (fate,)


def _deciding(flow: Flow, leg: Leg, stages: set[Stage]) -> Hop | None:
    """The guest's own hop of a leg; the first that does not pass, where there are several."""
    hops = [hop for hop in flow.hops if hop.leg is leg and hop.stage in stages]
    return next((hop for hop in hops if hop.outcome is not Outcome.PASS), hops[-1] if hops else None)


def _agreed(said: list[Expected]) -> Expected:
    """What is predicted for all of the flows; unknown where they differ, which they do by more than was asked."""
    if all(each.outcome == said[0].outcome and each.ways == said[0].ways for each in said):
        return said[0]
    return Expected(outcome="unknown", why="flows that differ in more than this fare differently")


def _ports(flow: Flow, *, opens: bool) -> tuple[int, int] | None:
    if isinstance(flow.ports, UnsetType):
        return None
    served = max(int(flow.ports[0].partition("-")[0]), 1)
    return (_CLIENT_PORT, served) if opens else (served, _CLIENT_PORT)


_CLIENT_PORT = 40_000
