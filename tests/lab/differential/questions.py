"""The questions asked of one configuration: every class of the partition, at its edges and inside."""

import random
from collections.abc import Iterator

from tests.lab.differential.rtnetlink import Question
from vnicheck.engine.partition import never_remote
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.open_fields import TOS_MASK, marks
from vnicheck.model.address import parse_address
from vnicheck.model.address_map import choose, constant
from vnicheck.model.guest import Guest, RouteType

ICMP, TCP, UDP = 1, 6, 17
PORTS = (22, 443, 999, 1000, 1500, 2000, 2048, 2001, 30000, 30001, 40000)


def questions(guest: Guest, kernel: Kernel, seed: str) -> Iterator[Question]:
    """For every stretch of addresses that the guest tells apart its first and last address and one between, each asked
    on input and on output.
    """
    chooser = random.Random(f"{seed} questions")
    own = [parse_address(address.address) for interface in guest.interfaces for address in interface.addresses]
    unicast = sorted({address for address in own if address >> 24 != 127})
    interfaces = [interface.name for interface in guest.interfaces if interface.name != "lo"]
    targets = _targets(guest, unicast)
    if not interfaces:
        return
    possible = choose(never_remote([]), constant(None), kernel.ends)
    remotes = [
        point
        for first, last, kind in possible.stretches()
        if kind is not None
        for point in _points(first, last, chooser)
    ]
    every_mark = marks(guest.rules) or (0,)
    every_tos = tos_values(guest)
    every_user = users(guest)
    for remote in remotes:
        proto = chooser.choice((ICMP, TCP, TCP, UDP))
        ports = (0, 0) if proto == ICMP else (chooser.choice(PORTS), chooser.choice(PORTS))
        mark = chooser.choice((0, *every_mark))
        tos = chooser.choice((0, *every_tos))
        common = {"proto": proto, "sport": ports[0], "dport": ports[1], "mark": mark, "tos": tos}
        yield Question(
            interface=chooser.choice(interfaces), source=remote, destination=chooser.choice(targets), **common
        )
        if unicast:
            kind = chooser.random()
            source = 0 if kind < 0.25 else chooser.choice(unicast if kind < 0.95 else targets)
            yield Question(interface=None, source=source, destination=remote, uid=chooser.choice(every_user), **common)


def _targets(guest: Guest, own: list[int]) -> list[int]:
    """Destinations: mostly the guest's addresses, some others of its local and broadcast routes, a few strangers."""
    special = [
        parse_address(route.prefix.partition("/")[0])
        for route in guest.routes
        if route.type in {RouteType.LOCAL, RouteType.BROADCAST} and not route.prefix.startswith(("127.", "0."))
    ]
    strangers = [parse_address("10.8.1.7"), parse_address("203.0.113.50"), parse_address("10.0.0.77")]
    return own * 4 + special + strangers


def _points(first: int, last: int, chooser: random.Random) -> set[int]:
    return {first, last, chooser.randint(first, last)}


def tos_values(guest: Guest) -> list[int]:
    """TOS bytes, 0 among them, of which one agrees with any possible one in every `tos` and `dscp`."""
    told = [rule.tos for rule in guest.rules] + [route.tos for route in guest.routes]
    classes = {0} | {tos & TOS_MASK for tos in told}
    named = {rule.dscp << 2 for rule in guest.rules if rule.dscp is not None}
    classes |= {tos & TOS_MASK for tos in named}
    unnamed = {next((tos for tos in range(each, 256, 0x20) if tos not in named), 0) for each in classes if named}
    return sorted(classes | named | unnamed)


def users(guest: Guest) -> list[int]:
    """User ids, 0 among them, one of each stretch between the edges of `uidrange` selectors."""
    ranges = [rule.uid_range for rule in guest.rules if rule.uid_range is not None]
    return sorted({0} | {uid for first, last in ranges for uid in (first, last + 1) if uid < 0xFFFFFFFF})
