"""What the messages of several rules say alike."""

from collections.abc import Sequence

from vnicheck.findings.broken_paths import BrokenPath
from vnicheck.findings.facts import Facts
from vnicheck.model.address import prefix_range
from vnicheck.model.flow import Flow
from vnicheck.model.words import listed

_NAMED = 3


def who(facts: Facts, path: BrokenPath) -> str:
    """`10.0.0.12 (eth1)`: the server's addresses that a path concerns, with where they belong. Those that it concerns
    with fewer remotes stand behind, with these.
    """
    behind = "containers behind " if path.published else ""
    groups = by_remotes([flow for _, flow in path.flows])
    if len(groups) == 1:
        return behind + places(facts, path.locals)
    (_, most), *others = groups.items()
    said = [
        f"{places(facts, locals_)} with {listed(sorted(remotes, key=prefix_range), _NAMED)} alone"
        for remotes, locals_ in others
    ]
    return behind + listed([places(facts, most), *said])


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


def places(facts: Facts, addresses: tuple[str, ...]) -> str:
    """`10.0.0.12 (eth1)`: addresses of the server with where they belong."""
    own = {owner.id for address in addresses if (owner := facts.owner(address)) is not None}
    owners = [vni for vni in facts.view.server.vnis if vni.id in own]
    return f"{listed(addresses)} ({', '.join(dict.fromkeys(facts.view.at(vni) for vni in owners))})"


def protocol_words(flows: tuple[Flow, ...]) -> str:
    """`tcp, udp and icmp`, of the flows, in that order."""
    return listed(list(dict.fromkeys(flow.protocol.value for flow in flows)))
