"""Questions for the server's kernel: where would this reply leave, and would this packet be let in?

`ip route get` answers both without root and without a packet: for each class of flows one remote is asked about, both
ways, with protocol and ports where a policy rule reads them.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct, UnsetType

from vnicheck.engine.server_view import ServerView
from vnicheck.model.address import format_address, prefix_range
from vnicheck.model.flow import Direction, Flow, Hop, Leg, Outcome, Stage
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
    """What is predicted of a packet in the guest: it is taken, it leaves by `interface`, or neither (`drops`)."""

    outcome: Literal["taken", "leaves", "drops", "unknown"]
    interface: str | None = None
    why: str = ""

    def __str__(self) -> str:
        return f"leaves by {self.interface}" if self.outcome == "leaves" else self.outcome


class Asked(Struct, frozen=True, kw_only=True):
    """A question with what is predicted, and how many classes of flows it is about, by whose hops."""

    question: Question
    expected: Expected
    flows: int
    hops: tuple[AskedHop, ...] = ()


def questions(view: ServerView, flows: Iterable[Flow]) -> list[Asked]:
    """Each question once, in the order of the flows. Flows in transit, and interfaces whose names are not put into
    commands, are left out.
    """
    guest = view.server.guest
    rules = guest.rules if guest is not None else ()
    reads_ports = any(rule.sport is not None or rule.dport is not None for rule in rules)
    reads_protocol = reads_ports or any(rule.ipproto is not None for rule in rules)
    own = view.own_addresses()
    found: dict[Question, list[tuple[Expected, AskedHop]]] = {}
    for flow in flows:
        remote = _remote(flow, own)
        if flow.direction is Direction.TRANSIT or remote is None:
            continue
        for question, expected, hop in _of_flow(flow, remote, reads_protocol, reads_ports):
            found.setdefault(question, []).append((expected, hop))
    return [
        Asked(
            question=question,
            expected=_agreed([expected for expected, _ in said]),
            flows=len(said),
            hops=tuple(hop for _, hop in said),
        )
        for question, said in found.items()
    ]


def _of_flow(
    flow: Flow, remote: str, reads_protocol: bool, reads_ports: bool
) -> Iterator[tuple[Question, Expected, AskedHop]]:
    for leg in Leg:
        comes_in = (flow.direction is Direction.INBOUND) is (leg is Leg.REQUEST)
        hop = _deciding(flow, leg, _ENTERING if comes_in else _LEAVING)
        if hop is None or not is_plain_interface(hop.at):
            continue
        source, destination = (remote, flow.local) if comes_in else (flow.local, remote)
        yield (
            Question(
                source=source,
                destination=destination,
                interface=hop.at if comes_in else None,
                protocol=flow.protocol.value if reads_protocol else None,
                ports=_ports(flow, opens=leg is Leg.REQUEST) if reads_ports else None,
            ),
            _expected(hop, comes_in=comes_in),
            _asked_hop(flow, remote, hop),
        )


def _asked_hop(flow: Flow, remote: str, hop: Hop) -> AskedHop:
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
    )


def _deciding(flow: Flow, leg: Leg, stages: set[Stage]) -> Hop | None:
    """The guest's own hop of a leg; the first that does not pass, where there are several."""
    hops = [hop for hop in flow.hops if hop.leg is leg and hop.stage in stages]
    return next((hop for hop in hops if hop.outcome is not Outcome.PASS), hops[-1] if hops else None)


def _expected(hop: Hop, *, comes_in: bool) -> Expected:
    if hop.outcome is Outcome.UNKNOWN:
        return Expected(outcome="unknown", why=hop.reason)
    if hop.outcome is Outcome.DROP:
        return Expected(outcome="drops")
    return Expected(outcome="taken") if comes_in else Expected(outcome="leaves", interface=hop.at)


def _agreed(said: list[Expected]) -> Expected:
    """What is predicted for all of the flows; unknown where they differ, which they do by more than was asked."""
    first = said[0]
    if all(each.outcome == first.outcome and each.interface == first.interface for each in said):
        return first
    return Expected(outcome="unknown", why="flows that differ in more than this fare differently")


def _remote(flow: Flow, own: set[str]) -> str | None:
    for first, last in sorted(map(prefix_range, flow.remote), key=lambda each: each[0] - each[1]):
        for address in (first + 10, first + 1, first):
            if address <= last and format_address(address) not in own:
                return format_address(address)
    return None


def _ports(flow: Flow, *, opens: bool) -> tuple[int, int] | None:
    if isinstance(flow.ports, UnsetType):
        return None
    served = max(int(flow.ports[0].partition("-")[0]), 1)
    return (_CLIENT_PORT, served) if opens else (served, _CLIENT_PORT)


_CLIENT_PORT = 40_000
