"""The finding for a broken path: what it says, how sure it is, and what it rests on."""

from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from vnicheck.fabric.assumptions import OPEN
from vnicheck.findings.broken_paths import BrokenPath, confidence_of, place_of
from vnicheck.findings.evidence import of_hops
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import protocol_words
from vnicheck.findings.rule import Rule, path_fingerprint
from vnicheck.findings.terms import DROPS
from vnicheck.model.finding import Evidence, Finding, Fix, Severity
from vnicheck.model.flow import Direction, DropCode, Flow, Outcome, Scope
from vnicheck.model.words import listed

_FOREIGN_SOURCE = "VNC103"
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
        fingerprint=_fingerprint(rule.id, facts, path, path.code, path.at),
        aliases=_aliases(rule, facts, path),
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
    return sentences + _open_next(facts, path) + _balanced(path)


def _open_next(facts: Facts, path: BrokenPath) -> str:
    """Where open assumptions would decide once all drops are fixed, as a sentence."""
    doubts = dict.fromkeys(
        (hop.assumption, hop.at)
        for _, flow in path.flows
        for hop in flow.hops
        if hop.outcome is Outcome.UNKNOWN and hop.assumption in OPEN
    )
    if not doubts:
        return ""
    ids = listed(list(dict.fromkeys(str(each) for each, _ in doubts)))
    where = listed(list(dict.fromkeys(_at(facts, at) for _, at in doubts)))
    return f" Whether they then pass the spoofing check at {where} is open ({ids})."


def _balanced(path: BrokenPath) -> str:
    """The load balancers whose clients are lost, as sentences: none where that is the cause, which is told."""
    reasons = dict.fromkeys(
        hop.reason
        for _, flow in path.flows
        for hop in flow.hops
        if hop.assumption == "nlb-direct" and hop.outcome is Outcome.DROP and hop.reason != path.hop.reason
    )
    return "".join(f" For clients of the internet {reason}." for reason in reasons)


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


def _fingerprint(rule: str, facts: Facts, path: BrokenPath, code: DropCode, at: str | None) -> str:
    apart = ("published",) if path.published else ()
    return path_fingerprint(rule, facts, code, path.direction, (path.ingress, path.egress, at), *apart)


def _aliases(rule: Rule, facts: Facts, path: BrokenPath) -> tuple[str, ...] | UnsetType:
    """What the finding was known by by earlier versions."""
    earlier = (_before_published, _before_open_siblings, _before_unmarked)
    return tuple(each for before in earlier for each in before(rule, facts, path)) or UNSET


def _before_published(rule: Rule, facts: Facts, path: BrokenPath) -> Iterator[str]:
    """Before published ports were followed, they were with the server's own where the reply was dropped."""
    if path.published:
        yield path_fingerprint(rule.id, facts, path.code, path.direction, (path.ingress, path.egress, path.at))


def _before_open_siblings(rule: Rule, facts: Facts, path: BrokenPath) -> Iterator[str]:
    """Before `spoofing-sibling` was open, the spoofing check was the cause of paths that rest on it."""
    open_ = any(
        hop.outcome is Outcome.UNKNOWN and hop.assumption == "spoofing-sibling"
        for _, flow in path.flows
        for hop in flow.hops
    )
    if open_ and rule.id != _FOREIGN_SOURCE:
        yield _fingerprint(_FOREIGN_SOURCE, facts, path, DropCode.IP_SPOOFING_CHECK, path.egress)


def _before_unmarked(rule: Rule, facts: Facts, path: BrokenPath) -> Iterator[str]:
    """Before `packets-unmarked`, the way out was not known where a policy rule reads marks."""
    kernel = facts.view.kernel
    if kernel is not None and kernel.takes_marks_for_none and path.egress is not None:
        yield path_fingerprint(rule.id, facts, path.code, path.direction, (path.ingress, None, path.at))
