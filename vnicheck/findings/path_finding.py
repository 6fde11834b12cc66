"""The finding for a broken path: what it says, how sure it is, and what it rests on."""

from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from vnicheck.findings.broken_paths import BrokenPath, confidence_of, place_of
from vnicheck.findings.evidence import of_hops
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import protocol_words
from vnicheck.findings.rule import Rule, fingerprint
from vnicheck.findings.terms import DROPS
from vnicheck.model.flow import Direction, DropCode, Evidence, Finding, Fix, Flow, Outcome, Scope, Severity

_MET_TWICE = {DropCode.NOT_LOCAL, DropCode.INTERFACE_DOWN}


def path_finding(
    rule: Rule,
    facts: Facts,
    path: BrokenPath,
    *,
    what: str,
    fixes: tuple[Fix, ...],
    severity: Severity | None = None,
) -> Finding:
    """The finding for a broken path. Its message says `what` happens, by which drop, and what drops the rest.

    A warning outbound, an error otherwise, never an error on an assumption alone. Where the way back leads into the
    guest's own networks it is a note, and nothing is to be fixed: the remotes are inside, and none comes in by a VNI.
    """
    confidence = confidence_of(path.caused)
    rated = severity or ("warning" if path.direction is Direction.OUTBOUND else "error")
    if facts.is_inside(path.egress):
        rated, fixes = "note", ()
    return Finding(
        rule=rule.id,
        name=rule.name,
        severity="warning" if rated == "error" and confidence == "assumed" else rated,
        confidence=confidence,
        headline=what,
        message=f"{what}: {path.hop.reason}.{_next_drops(facts, path)}",
        fingerprint=_fingerprint(rule, facts, path, path.egress),
        aliases=_as_if_marked(rule, facts, path),
        flows=tuple(index for index, _ in path.flows),
        evidence=_evidence(facts, path),
        fixes=fixes,
    )


def _next_drops(facts: Facts, path: BrokenPath) -> str:
    """What drops the path's other flows, and what would drop each once its first drop is fixed, as sentences."""
    caused = {id(flow) for flow in path.caused}
    beside: dict[tuple[DropCode, str], list[Flow]] = {}
    by_next: dict[tuple[DropCode, str], list[Flow]] = {}
    for _, flow in path.flows:
        first, *later = flow.drops
        if id(flow) not in caused:
            beside.setdefault((first.by, first.at), []).append(flow)
        for drop in later:
            if path.code in _MET_TWICE and drop.by is path.code:
                continue  # the same thing, met again by the reply
            by_next.setdefault((drop.by, drop.at), []).append(flow)
    sentences = ""
    if beside:
        sentences += f" {'; '.join(_each(facts, path, beside))}."
    if by_next:
        sentences += f" With that fixed, {'; then '.join(_each(facts, path, by_next, 'would be'))}."
    return sentences


def _each(
    facts: Facts, path: BrokenPath, drops: dict[tuple[DropCode, str], list[Flow]], verb: str = ""
) -> Iterator[str]:
    """`tcp and udp are dropped by rp_filter at eth0 (vni-1)`, of each drop; with another `verb`, if it is given."""
    all_internet = all(flow.remote_scope is Scope.INTERNET for _, flow in path.flows)
    for (code, at), flows in drops.items():
        names = protocol_words(tuple(flows))
        whole = all(flow.remote_scope is Scope.INTERNET for flow in flows)
        whose = " of the internet" if whole and not all_internet else ""
        are = verb or ("are" if len({flow.protocol for flow in flows}) > 1 else "is")
        yield f"{names}{whose} {are} dropped by {DROPS[code].agent} at {_at(facts, at)}"


def _at(facts: Facts, place: str) -> str:
    """`eth0 (vni-1)`: where, with its VNI."""
    vni = facts.vni_named(place)
    return place if vni is None or vni.name == place else f"{place} ({vni.name})"


def _evidence(facts: Facts, path: BrokenPath) -> tuple[Evidence, ...]:
    """Of the cause first, then of the other drops that the message names."""
    found = dict.fromkeys(of_hops(facts, path.caused[0], [path.hop]))
    seen = {place_of(path.hop)}
    for _, flow in path.flows:
        for hop in flow.hops:
            if hop.outcome is Outcome.DROP and place_of(hop) not in seen:
                seen.add(place_of(hop))
                found.update(dict.fromkeys(of_hops(facts, flow, [hop])))
    return tuple(found)


def _as_if_marked(rule: Rule, facts: Facts, path: BrokenPath) -> tuple[str, ...] | UnsetType:
    """Before `packets-unmarked`, the way out was not known where a policy rule reads marks."""
    kernel = facts.view.kernel
    if kernel is None or not kernel.takes_marks_for_none or path.egress is None:
        return UNSET
    return (_fingerprint(rule, facts, path, None),)


def _fingerprint(rule: Rule, facts: Facts, path: BrokenPath, egress: str | None) -> str:
    """Stable under new addresses, order and time: the rule, the server, the drop, and the VNIs of the path."""
    vnis = [facts.vni_named(place) if place is not None else None for place in (path.ingress, egress, path.at)]
    ids = (vni.id if vni is not None else "-" for vni in vnis)
    return fingerprint(rule.id, facts.view.server.crn, path.code.value, path.direction.value, *ids)
