"""Phrases that findings share."""

import re

from vnicheck.model.address import format_address, prefix_range
from vnicheck.model.flow import Flow
from vnicheck.model.guest import MAIN_TABLE
from vnicheck.model.words import listed
from vnicheck.rules.rule import BrokenPath, Facts

STAGES = {
    "network_acl": "the network ACL",
    "security_group": "the security groups",
    "no_floating_ip": "the missing floating IP",
    "rp_filter": "rp_filter",
    "martian_source": "the guest's source check",
    "not_local": "the guest, which lacks the address",
    "interface_down": "the interface, which is down",
    "no_route": "the missing route",
    "blackhole": "a blackhole route",
    "unreachable": "an unreachable route",
    "prohibit": "a prohibit route",
    "ip_spoofing_check": "the IP spoofing check",
    "protocol_state_filtering": "the state filter",
    "floating_ip": "the floating IP, which is on another VNI",
    "vpc_route": "a VPC route",
}


_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*")
"""Interface names that mean nothing to a shell."""
_PRIORITIES = range(1000, 32766)
"""Of policy rules: before the main table is asked."""


def who(facts: Facts, path: BrokenPath) -> str:
    """`10.0.0.12 (eth1)`: the server's addresses that a path concerns, with where they belong."""
    owners = [vni for vni in facts.view.server.vnis if not set(vni.addresses).isdisjoint(path.locals)]
    places = dict.fromkeys(facts.view.at(vni) for vni in owners)
    return f"{listed(path.locals)} ({', '.join(places)})"


def protocols(flows: tuple[Flow, ...]) -> str:
    """`tcp, udp and icmp`, of the flows, in that order."""
    return listed(list(dict.fromkeys(flow.protocol.value for flow in flows)))


def next_drops(path: BrokenPath) -> str:
    """What would drop the flows once the first drop is mended, as a sentence, or nothing."""
    by_next: dict[tuple[str, str], list[Flow]] = {}
    for _, flow in path.flows:
        for drop in flow.drops[1:]:
            by_next.setdefault((drop.by.value, drop.at), []).append(flow)
    said = [
        f"{protocols(tuple(flows))} would be dropped by {STAGES[code]} at {at}" for (code, at), flows in by_next.items()
    ]
    return f" With that mended, {'; then '.join(said)}." if said else ""


def policy_routing(facts: Facts, path: BrokenPath) -> tuple[str, ...]:
    """The commands that let replies leave by the interface of their own address, where we know it and its gateway."""
    view = facts.view
    guest = view.server.guest
    if guest is None:
        return ()
    used = {route.table for route in guest.routes} | {rule.table for rule in guest.rules} | {MAIN_TABLE}
    priorities = {rule.priority for rule in guest.rules}
    commands = []
    for vni in view.server.vnis:
        interface = view.interface_of.get(vni.id)
        addresses = [address for address in vni.addresses if address in path.locals]
        if interface is None or not addresses or not _PLAIN_NAME.fullmatch(interface):
            continue
        link = next(link for link in guest.interfaces if link.name == interface)
        table = next(number for number in range(1000 + link.index, 2**31) if number not in used)
        used.add(table)
        subnet = view.subnet(vni)
        gateway = format_address(prefix_range(subnet.cidr)[0] + 1)
        commands.append(f"ip route add {subnet.cidr} dev {interface} table {table}")
        commands.append(f"ip route add default via {gateway} dev {interface} table {table}")
        for address in addresses:
            wanted = min(table, _PRIORITIES[-1])
            priority = next((number for number in _PRIORITIES[wanted - 1000 :] if number not in priorities), wanted)
            priorities.add(priority)
            commands.append(f"ip rule add from {address} table {table} priority {priority}")
    return ("policy routing: " + " && ".join(commands),) if commands else ()
