"""The stages that the fabric puts the packets of one VNI through, as chains of nftables rules.

Connections are kept in sets, not in conntrack: a stage notes those that it has let through, in both orientations, and
so knows an answer only where the same VNI has seen the question. Every drop is counted by stage and VNI. The names of
chains, sets and counters end in the VNI's number in the scenario.
"""

from tests.lab.scenario import AclRule, Direction, Protocol, RuleProtocol, Scenario, SecurityGroupRule, Vni

CHAINS = (
    "leaving",
    "entering",
    "state",
    "outbound_groups",
    "inbound_groups",
    "outbound_acl",
    "inbound_acl",
    "vpc_routes",
    "internet",
)
CODES = (
    "ip_spoofing_check",
    "protocol_state_filtering",
    "security_group",
    "network_acl",
    "vpc_route",
    "floating_ip",
    "no_floating_ip",
)
SETS = {
    "opened": "type ipv4_addr . inet_service . ipv4_addr . inet_service",
    "admitted": "type ipv4_addr . inet_service . ipv4_addr . inet_service . inet_proto",
    "admitted_echo": "typeof ip saddr . ip daddr . icmp id",
}
MAPS = {
    # Of public gateways: (remote, its port, the guest's port, protocol) or (remote, echo id) -> the address behind.
    "gateway": "type ipv4_addr . inet_service . inet_service . inet_proto : ipv4_addr",
    "gateway_echo": "typeof ip daddr . icmp id : ip saddr",
}

_OPENED = ("ip saddr . tcp sport . ip daddr . tcp dport", "ip daddr . tcp dport . ip saddr . tcp sport")
_ADMITTED = (
    "ip saddr . th sport . ip daddr . th dport . meta l4proto",
    "ip daddr . th dport . ip saddr . th sport . meta l4proto",
)
_TRANSPORT = "meta l4proto { tcp, udp }"
_PROTOCOLS: dict[RuleProtocol, tuple[Protocol, ...]] = {
    "any": ("icmp", "tcp", "udp"),
    "icmp": ("icmp",),
    "tcp": ("tcp",),
    "udp": ("udp",),
}


def chains(scenario: Scenario, vni: Vni, index: int, clients: str) -> dict[str, list[str]]:
    """The rules of each of a VNI's CHAINS. `clients` is the interface towards the clients."""
    return {
        "leaving": [
            *_spoofing(vni, index),
            f"jump state_{index}",
            f"jump outbound_groups_{index}",
            f"jump outbound_acl_{index}",
            f"jump vpc_routes_{index}",
            f'oifname "{clients}" ip daddr @internet goto internet_{index}',
        ],
        "entering": [f"jump inbound_acl_{index}", f"jump inbound_groups_{index}", f"jump state_{index}"],
        "state": _state(scenario, vni, index),
        "outbound_groups": _groups(scenario, vni, index, "outbound"),
        "inbound_groups": _groups(scenario, vni, index, "inbound"),
        "outbound_acl": _acl(scenario, vni, index, "outbound"),
        "inbound_acl": _acl(scenario, vni, index, "inbound"),
        "vpc_routes": _vpc_routes(scenario, vni, index),
        "internet": _internet(scenario, vni, index),
    }


def _spoofing(vni: Vni, index: int) -> list[str]:
    if vni.allow_ip_spoofing:
        return []
    return [f"ip saddr != {_any_of(vni.addresses)} {_drop('ip_spoofing_check', index)}"]


def _state(scenario: Scenario, vni: Vni, index: int) -> list[str]:
    """TCP passes if it opens a connection, or if this VNI has seen the opening SYN of its connection, either way.

    Connections are noted while the filter is off as well, so that switching it on cuts none.
    """
    mode = vni.protocol_state_filtering_mode
    rules = [f"tcp flags & (syn | ack) == syn {_note('opened', index, _OPENED)} return"]
    if mode == "enabled" or (mode == "auto" and scenario.kind == "instance"):
        rules.append(f"{_OPENED[0]} != @opened_{index} {_drop('protocol_state_filtering', index)}")
    return rules


def _groups(scenario: Scenario, vni: Vni, index: int, direction: Direction) -> list[str]:
    groups = scenario.security_groups_of(vni)
    if groups is None:
        return []
    rules = [
        f"{_TRANSPORT} {_ADMITTED[0]} @admitted_{index} return",
        f"icmp type echo-reply ip daddr . ip saddr . icmp id @admitted_echo_{index} return",
    ]
    for group in groups:
        for rule in group.rules:
            if rule.direction == direction:
                remote = rule.remote
                if not remote[:1].isdigit():
                    remote = _any_of(scenario.addresses_of(remote))
                rules += [
                    line for protocol in _PROTOCOLS[rule.protocol] for line in _allow(rule, remote, protocol, index)
                ]
    return [*rules, _drop("security_group", index)]


def _allow(rule: SecurityGroupRule, remotes: str, protocol: Protocol, index: int) -> list[str]:
    remote = f"ip {'saddr' if rule.direction == 'inbound' else 'daddr'} {remotes}"
    if protocol == "icmp":
        # Only a reply can be an answer: the two ends may number their own requests alike.
        note = f"add @admitted_echo_{index} {{ ip saddr . ip daddr . icmp id }}"
        return [f"{remote} icmp type echo-request {note} return", f"{remote} icmp type echo-reply return"]
    ports = _ports("dport", rule.port_min, rule.port_max)
    return [f"{remote} meta l4proto {protocol} {ports} {_note('admitted', index, _ADMITTED)} return"]


def _acl(scenario: Scenario, vni: Vni, index: int, direction: Direction) -> list[str]:
    acl = scenario.network_acl_of(vni)
    if acl is None:
        return []
    rules = [f"ip {'saddr' if direction == 'inbound' else 'daddr'} {scenario.subnet_of(vni).cidr} return"]
    for rule in acl.rules:
        if rule.direction == direction:
            verdict = "return" if rule.action == "allow" else _drop("network_acl", index)
            rules += [f"{_acl_match(rule, protocol)} {verdict}" for protocol in _PROTOCOLS[rule.protocol]]
    return [*rules, _drop("network_acl", index)]


def _acl_match(rule: AclRule, protocol: Protocol) -> str:
    match = f"ip saddr {rule.source} ip daddr {rule.destination} meta l4proto {protocol}"
    if protocol == "icmp":
        return match
    source = _ports("sport", rule.source_port_min, rule.source_port_max)
    destination = _ports("dport", rule.destination_port_min, rule.destination_port_max)
    return f"{match} {source} {destination}"


def _vpc_routes(scenario: Scenario, vni: Vni, index: int) -> list[str]:
    """The routing table of the VNI's subnet, for what leaves the subnet: the longest prefix wins, also over the VPC's
    own prefixes (IBM Cloud Docs, VPC: cr-intro).
    """
    subnet = scenario.subnet_of(vni)
    ways = [(route.destination, route.action == "drop") for route in subnet.routes]
    ways.sort(key=lambda way: -int(way[0].partition("/")[2]))
    return [
        f"ip daddr {subnet.cidr} return",
        *(f"ip daddr {prefix} {_drop('vpc_route', index) if drops else 'return'}" for prefix, drops in ways),
    ]


def _internet(scenario: Scenario, vni: Vni, index: int) -> list[str]:
    """Source translation. A floating IP serves its VNI's primary address, a public gateway the VNI's other addresses.

    Anything else than the VNI's own addresses finds no way, whether spoofing is allowed or not.
    """
    rules = []
    owned = f"ip saddr {_any_of(vni.addresses)}"
    if vni.floating_ip is not None:
        rules.append(f"ip saddr {vni.addresses[0]} ip saddr set {vni.floating_ip} accept")
    gateway = scenario.subnet_of(vni).public_gateway
    if gateway is not None:
        flow = "ip daddr . th dport . th sport . meta l4proto : ip saddr"
        echo = "ip daddr . icmp id : ip saddr"
        rules += [
            f"{owned} {_TRANSPORT} update @gateway {{ {flow} }} ip saddr set {gateway} accept",
            f"{owned} icmp type echo-request update @gateway_echo {{ {echo} }} ip saddr set {gateway} accept",
        ]
    return [*rules, f"{owned} {_drop('no_floating_ip', index)}", _drop("floating_ip", index)]


def arrival(clients: str) -> list[str]:
    """The rules for what comes from the internet: destination translation, or the end of it."""
    internet = f'iifname "{clients}" ip saddr @internet'
    flow = "ip saddr . th sport . th dport . meta l4proto"
    return [
        f"{internet} ip daddr set ip daddr map @floating accept",
        f"{internet} {_TRANSPORT} ip daddr set {flow} map @gateway accept",
        f"{internet} icmp type echo-reply ip daddr set ip saddr . icmp id map @gateway_echo accept",
        f"{internet} counter name no_floating_ip drop",
    ]


def _drop(code: str, index: int) -> str:
    return f"counter name {code}_{index} drop"


def _note(name: str, index: int, orientations: tuple[str, str]) -> str:
    return " ".join(f"add @{name}_{index} {{ {orientation} }}" for orientation in orientations)


def _ports(kind: str, first: int | None, last: int | None) -> str:
    return "" if first is None or last is None else f"th {kind} {first}-{last}"


def _any_of(addresses: tuple[str, ...]) -> str:
    return f"{{ {', '.join(addresses)} }}"
