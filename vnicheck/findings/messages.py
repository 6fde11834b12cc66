"""What the messages of several rules say alike."""

from vnicheck.fabric.assumptions import OPEN
from vnicheck.findings.broken_paths import BrokenPath
from vnicheck.findings.facts import Facts
from vnicheck.findings.terms import DROPS
from vnicheck.model.flow import DropCode, Flow, Outcome, Scope
from vnicheck.model.words import listed

_MET_TWICE = {DropCode.NOT_LOCAL, DropCode.INTERFACE_DOWN}


def who(facts: Facts, path: BrokenPath) -> str:
    """`10.0.0.12 (eth1)`: the server's addresses that a path concerns, with where they belong."""
    return places(facts, path.locals)


def places(facts: Facts, addresses: tuple[str, ...]) -> str:
    """`10.0.0.12 (eth1)`: addresses of the server with where they belong."""
    own = {owner.id for address in addresses if (owner := facts.owner(address)) is not None}
    owners = [vni for vni in facts.view.server.vnis if vni.id in own]
    return f"{listed(addresses)} ({', '.join(dict.fromkeys(facts.view.at(vni) for vni in owners))})"


def protocols(flows: tuple[Flow, ...]) -> str:
    """`tcp, udp and icmp`, of the flows, in that order."""
    return listed(list(dict.fromkeys(flow.protocol.value for flow in flows)))


def next_drops(facts: Facts, path: BrokenPath) -> str:
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
        sentences += f" {_each(facts, path, beside, 'dropped')}."
    if by_next:
        sentences += f" With that fixed, {_each(facts, path, by_next, 'would be dropped')}."
    return sentences + _open_next(facts, path) + _balanced(path)


def _balanced(path: BrokenPath) -> str:
    """The load balancers whose clients are lost, as sentences: none where that is the cause, which is told."""
    reasons = dict.fromkeys(
        hop.reason
        for _, flow in path.flows
        for hop in flow.hops
        if hop.assumption == "nlb-direct" and hop.outcome is Outcome.DROP and hop.reason != path.hop.reason
    )
    return "".join(f" For clients of the internet {reason}." for reason in reasons)


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


def _each(facts: Facts, path: BrokenPath, drops: dict[tuple[DropCode, str], list[Flow]], verb: str) -> str:
    all_internet = all(flow.remote_scope is Scope.INTERNET for _, flow in path.flows)
    said = []
    for (code, at), flows in drops.items():
        names = protocols(tuple(flows))
        whole = all(flow.remote_scope is Scope.INTERNET for flow in flows)
        whose = " of the internet" if whole and not all_internet else ""
        plural = "are" if " and " in names else "is"
        done = verb if verb.startswith("would") else f"{plural} {verb}"
        said.append(f"{names}{whose} {done} by {DROPS[code].agent} at {_at(facts, at)}")
    return "; then ".join(said) if verb.startswith("would") else "; ".join(said)


def _at(facts: Facts, place: str) -> str:
    """`eth0 (vni-1)`: where, with its VNI."""
    vni = facts.vni_named(place)
    return place if vni is None or vni.name == place else f"{place} ({vni.name})"
