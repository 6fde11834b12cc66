"""What was seen of a flow, held against its predicted hops, part by part: the VPC on the way in, the guest, the VPC on
the way out.

What was seen counts always. What was not seen counts only beside a control flow: one of the same remote, protocol and
port to another address of the server that came back; else the remote's own firewall or network may have eaten it.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Literal

from msgspec import Struct

from vnicheck.model.flow import Direction, Flow, Hop, Leg, Outcome, Protocol, Stage
from vnicheck.verify.sightings import FlowKey, Sighting, Sightings

GUEST_STAGES = frozenset(
    {
        Stage.GUEST_INTERFACE,
        Stage.INTERFACE_STATE,
        Stage.SOURCE_VALIDATION,
        Stage.GUEST_FIREWALL,
        Stage.LOCAL_DELIVERY,
        Stage.FORWARDING,
        Stage.REPLY_ROUTE,
        Stage.REQUEST_ROUTE,
        Stage.ECHO_REPLY,
    }
)
Fate = Literal["passed", "dropped"]


class Part(Struct, frozen=True, kw_only=True):
    """Hops between two places where packets can be seen. `seen`: what became of the packets there; None: that was not
    seen, and `why`. `guest`: they are the server's own.
    """

    hops: tuple[Hop, ...]
    guest: bool
    seen: Fate | None
    why: str = ""

    @property
    def predicted(self) -> Fate | None:
        """What the hops come to; None where that is not known."""
        outcomes = {hop.outcome for hop in self.hops}
        if Outcome.DROP in outcomes:
            return "dropped"
        return None if Outcome.UNKNOWN in outcomes else "passed"

    @property
    def differs(self) -> bool:
        """Whether it was seen to be otherwise."""
        return self.seen is not None and self.predicted is not None and self.seen != self.predicted


class Evidence:
    """All that was seen in one run; complete before it is asked."""

    def __init__(self, sightings: Sightings) -> None:
        self.sightings = sightings
        sightings.judge_times()

    def parts(self, key: FlowKey, flow: Flow) -> tuple[Part, ...]:
        """The parts of a predicted flow, in the order of its packets, as far as any packet of it was seen to get."""
        told = self._inbound(key) if key.direction is Direction.INBOUND else self._outbound(key)
        found = []
        for (guest, hops), (seen, why) in zip(_cut(flow), told, strict=True):
            found.append(Part(hops=hops, guest=guest, seen=seen, why=why))
            if seen == "dropped":
                break
        return tuple(found)

    def came_back(self, key: FlowKey) -> bool:
        """Whether the other side's answer was seen to reach who opened the flow."""
        seen = self.sightings.flows[key]
        if self._doubt(key):
            return False
        if key.direction is Direction.INBOUND:
            return seen.taken or bool(seen.at_remote(Leg.REPLY))
        return seen.taken

    def _doubt(self, key: FlowKey) -> str:
        """Why an answer that a program of ours got is not the other side's, or may not be; empty where it is."""
        seen = self.sightings.flows[key]
        if not seen.tried:
            unsure = seen.refused and not (seen.accepted or seen.taken or seen.at_server(Leg.REPLY))
            return "it was refused, and whether by the server itself was not seen" if unsure else ""
        if not seen.taken:
            return ""
        if key.direction is Direction.INBOUND:
            watched, came, left = self.sightings.watched_server, seen.at_server(Leg.REQUEST), seen.at_server(Leg.REPLY)
        else:
            watched = key.remote in self.sightings.watched_remotes
            came, left = seen.at_remote(Leg.REQUEST), seen.at_remote(Leg.REPLY)
        if watched and not (came and left):
            return "something else answered: at the other end nothing of it was seen"
        if seen.refused and seen.served:
            return "it was refused, though a program listens: a firewall does so"
        if not watched and not self.sightings.met.get((key.direction, key.local, key.remote), True):
            return "whether the other end itself answered was not seen"
        if seen.refused and not watched:
            return "it was refused, and whether by the other end itself was not seen"
        return ""

    def control(self, key: FlowKey) -> FlowKey | None:
        """A flow of the same remote, protocol and port that came back, seen at every end where this one is looked for;
        None where there is none, or the network was seen to lose packets.
        """
        if self._lossy(key.remote):
            return None
        alike = self._by_remote.get((key.direction, key.protocol, key.remote, key.port), ())
        return next((o for o in alike if o.local != key.local and self.came_back(o) and self._seen_alike(key, o)), None)

    @cached_property
    def _by_remote(self) -> dict[tuple[object, ...], list[FlowKey]]:
        found: dict[tuple[object, ...], list[FlowKey]] = {}
        for key in self.sightings.flows:
            found.setdefault((key.direction, key.protocol, key.remote, key.port), []).append(key)
        return found

    def went_as_predicted(self, key: FlowKey, flow: Flow) -> bool:
        """Whether the flow was watched at the server, and all that was seen of it there went by the interfaces that are
        predicted: else what became of it says nothing of the VNIs that it was to cross.
        """
        seen = self.sightings.flows[key]
        comes_in, leaves = ways(key)
        legs = [(comes_in, flow.ingress), (leaves, flow.egress)]
        if any(seen.at_server(leg) and interface not in seen.interfaces(leg) for leg, interface in legs):
            return False
        if self.came_back(key):
            return bool(seen.at_server(Leg.REQUEST) and seen.at_server(Leg.REPLY))
        return seen.server is not None or self.sightings.watched_server

    def _lossy(self, remote: str) -> bool:
        """Whether a flow of the remote came back only when it was opened again."""
        return remote in self._lossy_remotes

    @cached_property
    def _lossy_remotes(self) -> set[str]:
        flows = self.sightings.flows.items()
        return {key.remote for key, seen in flows if seen.tried > 1 and self.came_back(key)}

    def _missed(self, key: FlowKey) -> tuple[Fate | None, str]:
        """What it means that a packet was not seen."""
        if self.sightings.flows[key].apart:
            return None, "the captures of its two ends are of different times"
        if self.control(key) is not None:
            return "dropped", ""
        if self._lossy(key.remote):
            return None, f"the network between lost packets of {key.remote} meanwhile"
        return None, _no_control(key)

    def _seen_alike(self, key: FlowKey, other: FlowKey) -> bool:
        """Captures of two ends may be of two times: who stands for another was seen at both."""
        seen = self.sightings.flows[other]
        at_server = not self.sightings.watched_server or bool(seen.at_server(Leg.REQUEST))
        return at_server and (key.remote not in self.sightings.watched_remotes or bool(seen.at_remote(Leg.REQUEST)))

    def _inbound(self, key: FlowKey) -> Iterator[tuple[Fate | None, str]]:
        seen, back, doubt = self.sightings.flows[key], self.came_back(key), self._doubt(key)
        if doubt:
            yield from [(None, doubt)] * 3
            return
        left, came = bool(seen.at_server(Leg.REPLY)), bool(seen.at_server(Leg.REQUEST))
        if came or left or back:
            yield "passed", ""
        elif seen.unsent:
            yield None, f"the remote could not send it: {seen.unsent}"
        elif key.remote in self.sightings.watched_remotes and not seen.at_remote(Leg.REQUEST):
            yield (
                None,
                "its opening packets were not seen to leave the remote, whose own firewall may have stopped them",
            )
        elif not (seen.tried or seen.at_remote(Leg.REQUEST)) or not self.sightings.watched_server:
            yield None, "its opening packets were not looked for at both ends"
        else:
            yield self._missed(key)
        if left or back:
            yield "passed", ""
        elif not came:
            yield None, "no packet of it was seen at the server"
        elif not self.sightings.watched_server:
            yield None, "not all interfaces of the server were captured, and so not all by which an answer may leave"
        else:
            yield self._unanswered(key, seen)
        if back:
            yield "passed", ""
        elif not left:
            yield None, "no answer was seen to leave the server"
        elif seen.tried or seen.again or (seen.at_remote(Leg.REQUEST) or 0) > 1:
            yield self._missed(key)  # a capture on the remote that shows none of its requests is of another time
        else:
            yield None, "whether the answers arrive is not seen on the server; capture on the remote too"

    def _unanswered(self, key: FlowKey, seen: Sighting) -> tuple[Fate | None, str]:
        if key.protocol is Protocol.UDP and not seen.served:
            return None, "nothing answered, which a service of UDP need not do"
        if not self.sightings.unfiltered and (seen.at_server(Leg.REQUEST) or 0) < 2:
            return None, "it came once: the capture may have ended before the answer"
        if not self.sightings.unfiltered and not seen.waited:
            return None, "it came right before the capture's end, which the answer may have come after"
        if not self.sightings.unfiltered and (key.protocol, key.remote) not in self.sightings.sent:
            said = "no answer is in the capture, nor any packet to that remote: it may have been told to leave them out"
            return None, said
        return "dropped", ""

    def _outbound(self, key: FlowKey) -> Iterator[tuple[Fate | None, str]]:
        seen, doubt = self.sightings.flows[key], self._doubt(key)
        if doubt:
            yield from [(None, doubt)] * 4
            return
        out, back_in = bool(seen.at_server(Leg.REQUEST)), bool(seen.at_server(Leg.REPLY))
        there, answered = bool(seen.at_remote(Leg.REQUEST)), bool(seen.at_remote(Leg.REPLY))
        watched = key.remote in self.sightings.watched_remotes
        if out or there or back_in or seen.taken:
            yield "passed", ""
        elif seen.tried and self.sightings.watched_server:
            yield "dropped", ""
        else:
            yield None, "no packet of it was seen to leave the server"
        if there or back_in or seen.taken:
            yield "passed", ""
        elif out and watched:
            yield self._missed(key)
        else:
            yield None, "whether it arrives is not seen on the server; capture on the remote too"
        if back_in or seen.taken:
            yield "passed", ""
        elif answered and self.sightings.watched_server and (seen.tried or (seen.at_server(Leg.REQUEST) or 0) > 1):
            yield self._missed(key)
        else:
            yield None, "the remote was not seen to answer"
        if seen.taken:
            yield "passed", ""
        elif back_in and (seen.tried or seen.again):
            yield "dropped", ""
        else:
            yield None, "whether a program got the answer is not seen in a capture"


def _no_control(key: FlowKey) -> str:
    port = f" port {key.port}" if key.port else ""
    return (
        f"no {key.protocol}{port} flow of {key.remote} to another address of the server was seen to work, so that its "
        "own firewall or network may have stopped it"
    )


def _cut(flow: Flow) -> list[tuple[bool, tuple[Hop, ...]]]:
    """The hops between the places where packets can be seen: whether they are the guest's, and they."""
    legs = {
        (leg, guest): tuple(hop for hop in flow.hops if hop.leg is leg and (hop.stage in GUEST_STAGES) is guest)
        for leg in Leg
        for guest in (False, True)
    }
    request, reply = legs[Leg.REQUEST, False], legs[Leg.REPLY, False]
    if flow.direction is Direction.INBOUND:
        return [(False, request), (True, legs[Leg.REQUEST, True] + legs[Leg.REPLY, True]), (False, reply)]
    return [(True, legs[Leg.REQUEST, True]), (False, request), (False, reply), (True, legs[Leg.REPLY, True])]


def contradicted(parts: Iterable[Part], *, guest: bool) -> bool:
    """Whether some part was seen to be otherwise: of the guest's, or of the VPC's."""
    return any(part.differs for part in parts if part.guest is guest)


def ways(key: FlowKey) -> tuple[Leg, Leg]:
    """The leg that comes in at the server, and the one that leaves it."""
    return (Leg.REQUEST, Leg.REPLY) if key.direction is Direction.INBOUND else (Leg.REPLY, Leg.REQUEST)


def other_ways(key: FlowKey, flow: Flow, seen: Sighting) -> list[tuple[Leg, str, str]]:
    """Legs that were seen at the server by another interface than the one predicted: with that one, and those seen."""
    comes_in, leaves = ways(key)
    return [
        (leg, predicted, ", ".join(sorted(seen.interfaces(leg))))
        for leg, predicted in ((comes_in, flow.ingress), (leaves, flow.egress))
        if predicted is not None and seen.interfaces(leg) and predicted not in seen.interfaces(leg)
    ]
