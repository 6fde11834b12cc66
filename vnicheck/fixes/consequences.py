"""What a plan leaves, and what else it changes, in words."""

from collections.abc import Iterator, Sequence

from msgspec import UnsetType

from vnicheck.findings.reboot import flows_said
from vnicheck.findings.terms import DROPS
from vnicheck.fixes.actions import thrown
from vnicheck.fixes.effects import AddRule, Effect
from vnicheck.fixes.trial import Trial
from vnicheck.model.address import Range, merge_ranges, prefix_range
from vnicheck.model.flow import DropCode, Flow, Outcome, Stage, Verdict
from vnicheck.model.grouped import grouped
from vnicheck.model.guest import MAIN_TABLE, RouteType
from vnicheck.model.lines import short_prefix
from vnicheck.model.words import listed

_SHOWN = 4


def what_drops(trial: Trial, effects: Sequence[Effect]) -> str:
    """What drops the flows that the effects leave broken: `tcp is dropped by the state filter at eth0`."""
    outcome = trial.outcome(effects)
    flows = trial.facts_after(effects).flows
    left = [flows[piece.after] for piece in outcome.pieces if piece.before in outcome.remaining]
    by_place: dict[tuple[DropCode, str], dict[str, None]] = {}
    unsure = ""
    for flow in left:
        if flow.drops:
            first = flow.drops[0]
            by_place.setdefault((first.by, first.at), {})[flow.protocol.value] = None
        elif flow.verdict is Verdict.UNKNOWN:
            unsure = next(hop.reason for hop in flow.hops if hop.outcome is Outcome.UNKNOWN)
    alike = grouped(((code, tuple(protocols)), at) for (code, at), protocols in by_place.items())
    said = [
        f"{listed(names)} {'is' if len(names) == 1 else 'are'} dropped by {DROPS[code].agent} at {listed(places)}"
        for (code, names), places in list(alike.items())[:_SHOWN]
    ]
    if unsure:
        said.append(f"some flows would be unknown ({unsure})")
    return "; ".join(said) or "no flow is left"


def unfixed(trial: Trial, effects: Sequence[Effect]) -> Iterator[str]:
    """What stays broken: whose flows, and what drops them."""
    outcome = trial.outcome(effects)
    if outcome.remaining:
        concerned = flows_said(trial.facts, [(index, trial.before[index]) for index in sorted(outcome.remaining)])
        yield f"{concerned}: {what_drops(trial, effects)}"


def changed_ways(trial: Trial, effects: Sequence[Effect]) -> Iterator[str]:
    """Flows that work and take another way afterwards: connections that are open meanwhile may not survive that."""
    flows = trial.facts_after(effects).flows
    moved: dict[tuple[str | None, str | None], dict[int, Flow]] = {}
    for piece in trial.outcome(effects).pieces:
        old, new = trial.before[piece.before], flows[piece.after]
        if old.verdict is Verdict.DELIVERED and old.egress != new.egress:
            moved.setdefault((old.egress, new.egress), {})[piece.before] = old
    for (old_way, new_way), concerned in moved.items():
        what = flows_said(trial.facts, list(concerned.items()))
        yield f"{what} leave by {new_way}, no longer by {old_way}: connections that are open may have to be opened anew"


def overridden_routes(trial: Trial, effects: Sequence[Effect]) -> Iterator[str]:
    """Routes of the main table by a next hop of their own, which the addresses with a rule no longer follow."""
    guest = trial.facts.view.server.guest
    sources = [each.rule.src for each in effects if isinstance(each, AddRule)]
    kept: list[Range] = [prefix_range(prefix) for prefix in thrown(effects)]
    if guest is None or not sources:
        return
    routes = [
        route.text
        for route in guest.routes
        if route.table == MAIN_TABLE
        and route.type is RouteType.UNICAST
        and route.prefix != "0.0.0.0/0"
        and any(hop.gateway is not None for hop in route.nexthops)
        and not _covered(prefix_range(route.prefix), kept)
    ]
    if routes:
        more = f" and {len(routes) - _SHOWN} more" if len(routes) > _SHOWN else ""
        shown = ", ".join(f"'{text}'" for text in routes[:_SHOWN])
        yield f"what the addresses with a rule send no longer follows these routes of the main table: {shown}{more}"


def published_ports(trial: Trial, effects: Sequence[Effect]) -> Iterator[str]:
    """Ports of the addresses with a rule that netfilter leads on: what answers them is sent from another address."""
    sources = {each.rule.src for each in effects if isinstance(each, AddRule)}
    led: dict[str, dict[str, None]] = {}
    for flow in trial.before:
        if f"{flow.local}/32" in sources and any(
            hop.stage is Stage.LOCAL_DELIVERY and hop.outcome is Outcome.UNKNOWN for hop in flow.hops
        ):
            ports = listed(flow.ports) if not isinstance(flow.ports, UnsetType) else "echo"
            led.setdefault(flow.local, {})[f"{flow.protocol.value} {ports}"] = None
    for local, what in led.items():
        yield (
            f"{listed(list(what)[:_SHOWN])} of {local} may be led to containers, whose answers are sent from their own "
            f"addresses: no rule for {local} sees them, and no plan fixes them (docs/fixes.md, Published ports)"
        )


def order_at_boot(trial: Trial, effects: Sequence[Effect]) -> Iterator[str]:
    """Rules of others that share a priority with ours: which comes first is a matter of who is first to set them."""
    guest = trial.facts.view.server.guest
    for effect in effects:
        if guest is None or not isinstance(effect, AddRule):
            continue
        others = [
            rule.text
            for rule in guest.rules
            if rule.priority == effect.rule.priority and (rule.src is None or _overlap(rule.src, effect.rule.src))
        ]
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            source = short_prefix(effect.rule.src or "all")
            yield f"a boot may put the rule of {source} ahead of '{others[0]}'{more}, of the same priority"


def _overlap(one: str, other: str | None) -> bool:
    first, last = prefix_range(one)
    return other is None or (prefix_range(other)[0] <= last and first <= prefix_range(other)[1])


def _covered(wanted: Range, ranges: list[Range]) -> bool:
    """Whether one range lies in some other, or in several that touch each other."""
    return any(first <= wanted[0] and wanted[1] <= last for first, last in merge_ranges(ranges))
