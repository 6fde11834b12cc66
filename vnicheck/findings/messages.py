"""What the messages of several rules say alike."""

from collections.abc import Sequence

from vnicheck.findings.broken_paths import BrokenPath
from vnicheck.findings.facts import Facts
from vnicheck.findings.terms import DROPS
from vnicheck.model.address import prefix_range
from vnicheck.model.flow import DropCode, Flow, Scope
from vnicheck.model.words import listed

_NAMED = 3
_MET_TWICE = {DropCode.NOT_LOCAL, DropCode.INTERFACE_DOWN}


def who(facts: Facts, path: BrokenPath) -> str:
    """`10.0.0.12 (eth1)`: the server's addresses that a path concerns, with where they belong. Those that it concerns
    with fewer remotes stand behind, with these.
    """
    groups = by_remotes([flow for _, flow in path.flows])
    if len(groups) == 1:
        return places(facts, path.locals)
    (_, most), *others = groups.items()
    said = [
        f"{places(facts, locals_)} with {_some(sorted(remotes, key=prefix_range))} alone" for remotes, locals_ in others
    ]
    return listed([places(facts, most), *said])


def by_remotes(flows: Sequence[Flow]) -> dict[frozenset[str], tuple[str, ...]]:
    """The server's addresses of the flows by their remotes (prefixes), those with the most first."""
    remotes: dict[str, set[str]] = {}
    for flow in flows:
        remotes.setdefault(flow.local, set()).update(flow.remote)
    groups: dict[frozenset[str], tuple[str, ...]] = {}
    for local, prefixes in remotes.items():
        key = frozenset(prefixes)
        groups[key] = (*groups.get(key, ()), local)
    return dict(sorted(groups.items(), key=lambda group: -len(group[0])))


def _some(prefixes: Sequence[str]) -> str:
    more = f" and {len(prefixes) - _NAMED} more" if len(prefixes) > _NAMED else ""
    return f"{', '.join(prefixes[:_NAMED])}{more}" if more else listed(list(prefixes))


def places(facts: Facts, addresses: tuple[str, ...]) -> str:
    """`10.0.0.12 (eth1)`: addresses of the server with where they belong."""
    owners = [vni for vni in facts.view.server.vnis if not set(vni.addresses).isdisjoint(addresses)]
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
    return sentences


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
