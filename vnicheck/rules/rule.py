"""What a rule is, and what it looks at."""

import hashlib
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from vnicheck.engine.server_view import ServerView
from vnicheck.fabric.assumptions import ASSUMPTIONS
from vnicheck.model.cloud import Vni
from vnicheck.model.flow import Confidence, Direction, DropCode, Evidence, Finding, Flow, Hop, Outcome, Severity

_BASIS = {assumption.id: assumption.basis for assumption in ASSUMPTIONS}


class Facts(Struct, frozen=True):
    """One server and its predicted flows."""

    view: ServerView
    flows: tuple[Flow, ...]

    def is_inside(self, place: str | None) -> bool:
        """Whether an interface surely leads to no VNI: what is behind it is the guest's own (docker0, a tunnel)."""
        if place is None or self.view.vni_of(place) is not None:
            return False
        return all(vni.id in self.view.interface_of for vni in self.view.server.vnis)

    def vni_named(self, place: str) -> Vni | None:
        """The VNI behind a hop's place (a guest interface, or the VNI's own name)."""
        return self.view.vni_of(place) or next((vni for vni in self.view.server.vnis if vni.name == place), None)


class Rule(Struct, frozen=True, kw_only=True):
    """`id` never changes its meaning; `name` states the problem; `page` is its file's docstring, in Markdown."""

    id: str
    name: str
    page: str
    find: Callable[["Rule", Facts], Iterable[Finding]]


class BrokenPath(Struct, frozen=True):
    """Flows of one direction that one stage drops first, and that enter and leave by the same interfaces."""

    code: DropCode
    direction: Direction
    ingress: str | None
    egress: str | None
    at: str
    flows: tuple[tuple[int, Flow], ...]

    @property
    def hop(self) -> Hop:
        """The hop that drops the first of the flows."""
        return next(hop for hop in self.flows[0][1].hops if hop.outcome is Outcome.DROP)

    @property
    def locals(self) -> tuple[str, ...]:
        """The server's addresses that the path concerns."""
        return tuple(dict.fromkeys(flow.local for _, flow in self.flows))


def broken_paths(facts: Facts, *codes: DropCode, leg: str | None = None, transit: bool = False) -> Iterator[BrokenPath]:
    """The paths, in transit or not, whose first drop is one of `codes` (on that leg), in the order of the flows."""
    paths: dict[tuple[object, ...], list[tuple[int, Flow]]] = {}
    for index, flow in enumerate(facts.flows):
        if (flow.direction is Direction.TRANSIT) is not transit:
            continue
        if flow.dropped_by not in codes or (leg is not None and flow.drops[0].leg != leg):
            continue
        if _to_no_host(facts, flow) or any(drop.by is DropCode.NO_FLOATING_IP for drop in flow.drops):
            continue  # nobody is there, or the VPC is not meant to lead there
        key = (flow.dropped_by, flow.direction, flow.ingress, flow.egress, flow.drops[0].at)
        paths.setdefault(key, []).append((index, flow))
    for flows in paths.values():
        first = flows[0][1]
        drop = first.drops[0]
        yield BrokenPath(drop.by, first.direction, first.ingress, first.egress, drop.at, tuple(flows))


def finding(
    rule: Rule,
    facts: Facts,
    path: BrokenPath,
    *,
    message: str,
    fixes: tuple[str, ...],
    severity: Severity | None = None,
) -> Finding:
    """The finding for a broken path: a warning outbound, an error otherwise, never an error on an assumption alone.

    Where the way back leads into the guest's own networks it is a note, and nothing is to be fixed: the remotes are
    inside, and none comes in by a VNI.
    """
    confidence = _confidence(path)
    rated = severity or ("warning" if path.direction is Direction.OUTBOUND else "error")
    if facts.is_inside(path.egress):
        rated, fixes = "note", ()
    return Finding(
        rule=rule.id,
        name=rule.name,
        severity="warning" if rated == "error" and confidence == "assumed" else rated,
        confidence=confidence,
        message=message,
        fingerprint=_fingerprint(rule, facts, path),
        flows=tuple(index for index, _ in path.flows),
        evidence=_evidence(facts, path),
        fixes=fixes,
    )


def _to_no_host(facts: Facts, flow: Flow) -> bool:
    """Whether the remotes are broadcast addresses of the guest's own networks: nobody is there to miss anything."""
    guest = facts.view.server.guest
    broadcast = {route.prefix for route in guest.routes if route.type == "broadcast"} if guest is not None else set()
    return set(flow.remote) <= broadcast


def _confidence(path: BrokenPath) -> Confidence:
    """The lowest of what the first drops of the path's flows rest on."""
    first = [next(hop for hop in flow.hops if hop.outcome is Outcome.DROP) for _, flow in path.flows]
    bases = {_BASIS[hop.assumption] for hop in first if hop.assumption is not None}
    return "computed" if bases <= {"documented", "recorded"} else "assumed"


def _fingerprint(rule: Rule, facts: Facts, path: BrokenPath) -> str:
    """Stable under new addresses, order and time: the rule, the server, the drop, and the VNIs of the path."""
    vnis = [facts.vni_named(place) if place is not None else None for place in (path.ingress, path.egress, path.at)]
    parts = [
        rule.id,
        facts.view.server.crn,
        path.code.value,
        path.direction.value,
        *(vni.id if vni is not None else "-" for vni in vnis),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _evidence(facts: Facts, path: BrokenPath) -> tuple[Evidence, ...]:
    guest = facts.view.server.guest
    collected_at = guest.collected_at if guest is not None else ""
    hops = {(hop.at, hop.reason): hop for _, flow in path.flows for hop in flow.hops if hop.outcome is Outcome.DROP}
    return tuple(
        Evidence(source=f"{hop.stage} at {hop.at}", text=hop.reason, collected_at=collected_at) for hop in hops.values()
    )
