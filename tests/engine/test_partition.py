"""The partition of remotes and ports into classes: disjoint, complete, coarse, and whatever the order of the input."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable
from random import Random

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from tests.support import servers
from tests.support.amounts import drawn
from tests.support.drawn_guests import guests
from vnicheck.engine.partition import NEVER_REMOTE, to_ports, to_prefixes
from vnicheck.fabric.scope import SERVICE_PREFIXES
from vnicheck.model.address import LAST, merge_ranges, parse_address, parse_prefix, prefix_range
from vnicheck.model.flow import Flow
from vnicheck.model.guest import Guest

Range = tuple[int, int]

addresses = st.integers(0, LAST) | st.sampled_from([0, LAST, 10 << 24, (10 << 24) + 11, 127 << 24, 224 << 24])
RELAXED = settings(max_examples=drawn(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def size(ranges: Iterable[Range]) -> int:
    return sum(last - first + 1 for first, last in ranges)


@given(st.lists(st.tuples(addresses, addresses).map(lambda pair: (min(pair), max(pair))), max_size=6))
def test_prefixes_cover_exactly_and_are_few(ranges: list[Range]) -> None:
    prefixes = to_prefixes(ranges)
    assert merge_ranges(map(prefix_range, prefixes)) == merge_ranges(ranges)
    assert size(map(prefix_range, prefixes)) == size(merge_ranges(ranges))
    parsed = {parse_prefix(prefix) for prefix in prefixes}
    for network, length in parsed:
        sibling = (network ^ (1 << (32 - length)) if length else network, length)
        assert length == 0 or sibling not in parsed, "two halves of one prefix"


@given(st.sets(st.integers(1, 65535), max_size=8))
def test_ports_are_joined(ports: set[int]) -> None:
    shown = to_ports((port, port) for port in ports)
    read = [tuple(map(int, (text.split("-") * 2)[:2])) for text in shown]
    assert {port for first, last in read for port in range(first, last + 1)} == ports
    assert read == merge_ranges((port, port) for port in ports)


def classes(guest: Guest) -> tuple[Flow, ...]:
    return servers.flows(servers.server(*servers.two_vnis(), guest=guest))


def fate(flow: Flow) -> Hashable:
    """Everything that makes a class but its remotes, without the lines that decided it."""
    hops = tuple(
        (hop.leg, hop.at, hop.stage, hop.outcome, re.sub(r" \((rule|route|no ).*\)$", "", hop.reason))
        for hop in flow.hops
    )
    ways = flow.ingress, flow.egress, flow.symmetric
    return flow.direction, flow.protocol, flow.local, flow.ports, flow.remote_scope, ways, hops


def ports_of(flow: Flow) -> list[Range]:
    if flow.ports is UNSET:
        return [(0, 0)]
    return [(int(first), int(last or first)) for first, _, last in (ports.partition("-") for ports in flow.ports)]


@RELAXED
@given(guests())
def test_classes_are_disjoint_and_complete(guest: Guest) -> None:
    never = [*map(prefix_range, NEVER_REMOTE), *((own, own) for own in map(parse_address, ("10.0.0.11", "10.0.0.12")))]
    opening_nothing = list(map(prefix_range, SERVICE_PREFIXES))
    remotes_at: dict[tuple[object, ...], list[Range]] = defaultdict(list)
    found = classes(guest)
    edges = {edge for flow in found for first, last in ports_of(flow) for edge in (first, last)}
    for flow in found:
        for port in edges:
            if any(first <= port <= last for first, last in ports_of(flow)):
                remotes_at[flow.direction, flow.protocol, flow.local, port].extend(map(prefix_range, flow.remote))
    assert len({key[:3] for key in remotes_at}) == 2 * 3 * 2
    for (direction, *_), ranges in remotes_at.items():
        excluded = merge_ranges([*never, *(opening_nothing if direction == "inbound" else [])])
        assert size(ranges) + size(excluded) == LAST + 1
        assert merge_ranges([*ranges, *excluded]) == [(0, LAST)]


@RELAXED
@given(guests())
def test_no_two_classes_have_one_fate(guest: Guest) -> None:
    fates = [fate(flow) for flow in classes(guest)]
    assert len(set(fates)) == len(fates)


@RELAXED
@given(guests(), st.randoms(use_true_random=False))
def test_order_that_means_nothing_to_the_kernel_changes_nothing(guest: Guest, random: Random) -> None:
    """The order of equal routes and of equal priorities means something; that of prefixes and interfaces does not."""
    groups: dict[Hashable, list[object]] = defaultdict(list)
    for route in guest.routes:
        groups[route.table, route.prefix].append(route)
    shuffled = list(groups.values())
    random.shuffle(shuffled)
    links, sysctls = list(guest.interfaces), list(guest.sysctls.items())
    random.shuffle(links)
    random.shuffle(sysctls)
    other = msgspec.structs.replace(
        guest,
        routes=tuple(route for group in shuffled for route in group),
        interfaces=tuple(links),
        sysctls=dict(sysctls),
    )
    assert {(fate(flow), flow.remote) for flow in classes(other)} == {
        (fate(flow), flow.remote) for flow in classes(guest)
    }
