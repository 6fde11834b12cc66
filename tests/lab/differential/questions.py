"""The questions asked of one configuration: every class of the partition, at its edges and inside."""

import random
from collections.abc import Iterator

from tests.lab.differential.rtnetlink import Question
from vnicheck.engine.partition import address_atoms
from vnicheck.kernel.variants import marks, tos_values, users
from vnicheck.kernel.worlds import Kernel
from vnicheck.model.address import parse_address
from vnicheck.model.guest import Guest, RouteType

ICMP, TCP, UDP = 1, 6, 17
PORTS = (22, 443, 999, 1000, 1500, 2000, 2048, 2001, 30000, 30001, 40000)


def questions(guest: Guest, kernel: Kernel, seed: str) -> Iterator[Question]:
    """For every atom its first and last address and one between, each asked on input and on output."""
    chooser = random.Random(f"{seed} questions")
    own = [parse_address(address.address) for interface in guest.interfaces for address in interface.addresses]
    unicast = sorted({address for address in own if address >> 24 != 127})
    interfaces = [interface.name for interface in guest.interfaces if interface.name != "lo"]
    targets = _targets(guest, unicast)
    if not interfaces:
        return
    remotes = [
        point for first, last in address_atoms([], kernel.address_cuts()) for point in _points(first, last, chooser)
    ]
    every_mark = marks(guest.rules) or (0,)
    every_tos = tos_values(guest.rules, guest.routes)
    every_user = users(guest.rules)
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
