"""What the messages of several rules say alike."""

from vnicheck.findings.broken_paths import BrokenPath
from vnicheck.findings.facts import Facts
from vnicheck.model.flow import Flow
from vnicheck.model.words import listed


def who(facts: Facts, path: BrokenPath) -> str:
    """`10.0.0.12 (eth1)`: the server's addresses that a path concerns, with where they belong."""
    return places(facts, path.locals)


def places(facts: Facts, addresses: tuple[str, ...]) -> str:
    """`10.0.0.12 (eth1)`: addresses of the server with where they belong."""
    owners = [vni for vni in facts.view.server.vnis if not set(vni.addresses).isdisjoint(addresses)]
    return f"{listed(addresses)} ({', '.join(dict.fromkeys(facts.view.at(vni) for vni in owners))})"


def protocol_words(flows: tuple[Flow, ...]) -> str:
    """`tcp, udp and icmp`, of the flows, in that order."""
    return listed(list(dict.fromkeys(flow.protocol.value for flow in flows)))
