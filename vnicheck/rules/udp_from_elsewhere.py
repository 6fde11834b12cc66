"""A UDP service that listens on every address answers some of them from another address.

## What it finds

UDP ports bound to 0.0.0.0 (or to ::, which takes IPv4 too), and addresses of the server at which they can be asked,
where the guest chooses another address for the answer.

## Why packets drop

A program that listens on every address and answers without naming one leaves the choice to the kernel, which looks the
route up without a source: policy rules on the source (`from ADDRESS`) do not see such a packet. It leaves by the main
table's route and with that route's address, so that the client gets an answer from an address that it never asked, and
drops it. The verdict `delivered` of a UDP flow speaks of a program that answers from the address that it was asked at.

## How to fix

Bind the service to each address. Many services do that by themselves, or name the address of each answer (IP_PKTINFO):
then there is nothing to fix, and the finding can be muted.

## How sure we are

Which address the kernel would choose is computed; that the program leaves the choice to it is assumed.

## Sources

Linux: net/ipv4/udp.c (udp_sendmsg), net/ipv4/route.c (ip_route_output_key_hash_rcu); ip(7), IP_PKTINFO.
"""

from collections.abc import Iterator

from vnicheck.engine.refinement import port_ranges
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import places
from vnicheck.findings.rule import Rule, observation
from vnicheck.kernel.packet import Transport
from vnicheck.kernel.send import Sent
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import parse_prefix
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Evidence, Finding, Fix
from vnicheck.model.flow import Direction, Flow, Protocol, Verdict
from vnicheck.model.words import listed

DHCP_CLIENT = 68
"""It speaks to the network's own server, before there is an address."""
MOST_PREFIXES = 64
"""A few remotes of a class are enough to show the problem."""


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each VNI whose addresses are answered for from elsewhere."""
    guest = facts.guest_with("interfaces", "routes", "rules")
    if guest is None or guest.sockets is None:
        return
    elsewhere: dict[str, dict[str, set[int]]] = {}
    flows: dict[str, list[int]] = {}
    for index, flow in enumerate(facts.flows):
        if (flow.direction, flow.protocol, flow.verdict) != (Direction.INBOUND, Protocol.UDP, Verdict.DELIVERED):
            continue
        for port in _ports_in(flow, guest.sockets.udp_everywhere):
            for source in _sources(facts, flow, port):
                elsewhere.setdefault(flow.local, {}).setdefault(source, set()).add(port)
                flows.setdefault(flow.local, []).append(index)
    for local, sources in elsewhere.items():
        ports = sorted(set().union(*sources.values()))
        owner = facts.owner(local)
        named = listed([str(port) for port in ports[:8]])
        yield observation(
            rule,
            facts,
            subject=(owner.id if owner is not None else "", *map(str, ports)),
            what=f"services on UDP {named}, which listen on every address, answer what is asked of "
            f"{places(facts, (local,))} from {listed(sorted(sources))}, unless they name the address themselves",
            confidence="assumed",
            flows=sorted(set(flows[local])),
            evidence=[
                Evidence(source="/proc/net/udp", text=f"0.0.0.0:{port}", collected_at=guest.collected_at)
                for port in ports[:8]
            ],
            fixes=(Fix("bind the service to each address, or see that it answers from the one that it was asked at"),),
        )


def _ports_in(flow: Flow, listening: tuple[int, ...]) -> list[int]:
    ranges = port_ranges(flow)
    return [port for port in listening if port != DHCP_CLIENT and any(first <= port <= last for first, last in ranges)]


def _sources(facts: Facts, flow: Flow, port: int) -> set[str]:
    """The addresses other than the one asked from which the guest would answer some remote of the flow."""
    kernel = facts.view.kernel
    if kernel is None:
        return set()
    firsts = [parse_prefix(prefix)[0] for prefix in flow.remote[:MOST_PREFIXES]]
    chosen: set[str] = set()
    for remote in {kernel.ends.at(first): first for first in firsts}.values():  # to the kernel, one is as the others
        transport = Transport(Protocol.UDP.number, (port, port), facts.view.assume.client_port_range)
        try:
            sent = kernel.send(0, remote, transport)
        except Undetermined:
            continue
        if isinstance(sent, Sent) and sent.source is not None and sent.source != flow.local:
            chosen.add(sent.source)
    return chosen


RULE = Rule("VNC109", "udp-from-elsewhere", __doc__, find, severity="note", cause=CauseKind.SERVICE_SOURCE)
