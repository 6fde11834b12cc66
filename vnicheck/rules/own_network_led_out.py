"""A policy rule leads packets for the server's own network out by a VNI.

## What it finds

Networks behind the server's own devices (bridges, ends of veth pairs, tunnels) to which packets from an address of the
server leave by the interface of a VNI. Often a rule by source address, of nm-cloud-setup, cloud-init or by hand, leads
to a table that knows the subnet and the gateway, and not the containers.

## Why packets drop

The VPC knows no such network. Whatever the server's own programs send there from that address (probes, proxies, replies
to containers) never arrives; where reverse path filtering is strict, what the containers send is refused too.

## How to fix

Delete the rule, or lead these networks to the main table by a rule ahead of it. Where a program owns the rule
(nm-cloud-setup), turn that off, for it makes the rule again.

## How sure we are

Computed from the collected rules and routes, which are checked against a running kernel. What is at these addresses is
not looked at, so that the flows themselves are called unknown. Networks of the VPC's own prefixes and of the
configuration are not taken for the server's own, single addresses aside.

## Sources

Linux: ip-rule(8), net/core/fib_rules.c.
"""

from collections.abc import Iterator

from vnicheck.findings.evidence import guest_line
from vnicheck.findings.facts import Facts
from vnicheck.findings.led_out import led_out
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.address import merge_ranges, prefix_range, range_prefixes
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Evidence, Finding, Fix
from vnicheck.model.flow import Direction, GuestLines
from vnicheck.model.guest import Guest, RouteType
from vnicheck.model.lines import short_prefix
from vnicheck.model.words import listed

_NAMED = 3


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each policy rule and interface."""
    guest = facts.guest_with("rules", "routes", "interfaces")
    if guest is None:
        return
    found: dict[tuple[str, str], dict[int, GuestLines]] = {}
    for index, flow in enumerate(facts.flows):
        hop = led_out(facts, flow) if flow.direction is not Direction.TRANSIT else None
        if hop is None or flow.egress is None:
            continue
        for lines in hop.by:
            if isinstance(lines, GuestLines) and lines.rule is not None:
                found.setdefault((lines.rule, flow.egress), {})[index] = lines
    for (line, egress), flows in found.items():
        networks = _networks(facts, list(flows))
        locals_ = listed(list(dict.fromkeys(facts.flows[index].local for index in flows)))
        vni = facts.vni_named(egress)
        yield observation(
            rule,
            facts,
            subject=(_selector(line), vni.id if vni is not None else egress),
            what=f"rule '{line}' leads packets from {locals_} for {listed(networks, _NAMED)}, the server's own "
            f"{'network' if len(networks) == 1 else 'networks'} behind {_behind(facts, guest, networks)}, out by "
            f"{egress}",
            why=": they never arrive.",
            flows=list(flows),
            evidence=_evidence(facts, guest, flows, networks),
            fixes=(Fix(_fix(guest, line, networks)),),
        )


def _selector(line: str) -> str:
    """The rule without its priority, which programs choose anew."""
    return line.partition(":")[2].strip()


def _networks(facts: Facts, indexes: list[int]) -> list[str]:
    led = merge_ranges(prefix_range(prefix) for index in indexes for prefix in facts.flows[index].remote)
    whole = [(first, last) for first, last in facts.view.own_networks if any(a <= last and first <= b for a, b in led)]
    return [short_prefix(prefix) for first, last in whole for prefix in range_prefixes(first, last)]


def _behind(facts: Facts, guest: Guest, networks: list[str]) -> str:
    """The own devices that routes lead there by."""
    wanted = [prefix_range(network if "/" in network else f"{network}/32") for network in networks]
    devices = {
        hop.interface: None
        for route in guest.routes
        if route.type is RouteType.UNICAST
        for hop in route.nexthops
        if hop.interface in facts.view.own_devices
        and any(
            first <= prefix_range(route.prefix)[1] and prefix_range(route.prefix)[0] <= last for first, last in wanted
        )
    }
    return listed([name for name in devices if name is not None] or ["its devices"], _NAMED)


def _evidence(facts: Facts, guest: Guest, flows: dict[int, GuestLines], networks: list[str]) -> list[Evidence]:
    lines = dict.fromkeys(flows.values())
    told = [guest_line(facts, "ip rule", each.rule) for each in lines if each.rule]
    told += [guest_line(facts, "ip route", each.route) for each in lines if each.route]
    wanted = [prefix_range(network if "/" in network else f"{network}/32") for network in networks]
    inside = [
        route.text
        for route in guest.routes
        if any(hop.interface in facts.view.own_devices for hop in route.nexthops)
        and any(first <= prefix_range(route.prefix)[0] <= last for first, last in wanted)
    ]
    return list(dict.fromkeys([*told, *(guest_line(facts, "ip route", text) for text in inside[:_NAMED])]))


def _fix(guest: Guest, line: str, networks: list[str]) -> str:
    priority = next((rule.priority for rule in guest.rules if rule.text == line), 0)
    if priority <= 1:
        return "delete the rule"
    first = f"'ip rule add to {networks[0]} table main priority {priority - 1}'"
    rest = " and so on" if len(networks) > 1 else ""
    return f"delete the rule, or lead these networks to the main table ahead of it: {first}{rest}"


RULE = Rule("VNC110", "own-network-led-out", __doc__, find, severity="warning", cause=CauseKind.OWN_NETWORK)
