"""The stages that the fabric puts the packets of one VNI through, as chains of nftables rules.

Connections are kept in sets, not in conntrack: a stage notes those that it has let through, in both orientations, and
so knows an answer only where the same VNI has seen the question. Every drop is counted by stage and VNI, and the
packet's ends are noted. The names of chains, sets and counters end in the VNI's number.
"""

from vnicheck.rehearse.network import (
    AclRule,
    Direction,
    Network,
    Protocol,
    RuleProtocol,
    SecurityGroupRule,
    Vni,
    VpcRoute,
)

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
    "opened": "type ipv4_addr . inet_service . ipv4_addr . inet_service . inet_proto",
    "asked_echo": "typeof ip saddr . ip daddr . icmp id",
    "admitted": "type ipv4_addr . inet_service . ipv4_addr . inet_service . inet_proto",
    "admitted_echo": "typeof ip saddr . ip daddr . icmp id",
}
ENDS = "type ipv4_addr . inet_service . ipv4_addr . inet_service . inet_proto"
"""Of a packet: source, its port, destination, its port, protocol. What stands for ports in ICMP means nothing."""
SHARED_SETS = {
    "arrived": ENDS,
    "left": ENDS,
    "asked": ENDS,
    # where one VNI's groups know what another's have admitted (without assumption sg-stateless)
    "admitted_any": SETS["admitted"],
    "admitted_echo_any": SETS["admitted_echo"],
}
"""`arrived`: packets that came through to the guest; `left`: those that it sent; `asked`: those that open a flow."""
MAPS = {
    # Of public gateways: (remote, its port, the guest's port, protocol) or (remote, echo id) -> the address behind.
    "gateway": "type ipv4_addr . inet_service . inet_service . inet_proto : ipv4_addr",
    "gateway_echo": "typeof ip daddr . icmp id : ip saddr",
}

_ENDS = (
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


def chains(network: Network, vni: Vni, index: int, clients: str) -> dict[str, list[str]]:
    """The rules of each of a VNI's CHAINS. `clients` is the interface towards the clients."""
    return {
        "leaving": [
            *_spoofing(network, vni, index),
            f"jump state_{index}",
            f"jump outbound_groups_{index}",
            f"jump outbound_acl_{index}",
            f"jump vpc_routes_{index}",
            f'oifname "{clients}" ip daddr @internet goto internet_{index}',
        ],
        "entering": [
            *_spoofing_of_arriving(network, vni, index),
            f"jump inbound_acl_{index}",
            f"jump inbound_groups_{index}",
            f"jump state_{index}",
        ],
        "state": _state(network, vni, index),
        "outbound_groups": _groups(network, vni, index, "outbound"),
        "inbound_groups": _groups(network, vni, index, "inbound"),
        "outbound_acl": _acl(network, vni, index, "outbound"),
        "inbound_acl": _acl(network, vni, index, "inbound"),
        "vpc_routes": _vpc_routes(network, vni, index),
        "internet": _internet(network, vni, index),
    }


def _spoofing(network: Network, vni: Vni, index: int) -> list[str]:
    if vni.allow_ip_spoofing or not network.obeys.spoofing_check:
        return []
    passing = network.locals if network.obeys.spoofing_sibling == "passed" else vni.addresses
    return [f"ip saddr != {_any_of(passing)} {_drop('ip_spoofing_check', index)}"]


def _spoofing_of_arriving(network: Network, vni: Vni, index: int) -> list[str]:
    obeys = network.obeys
    if vni.allow_ip_spoofing or not obeys.spoofing_check or obeys.spoofing_arrival == "passed":
        return []
    return [f"ip daddr != {_any_of(vni.addresses)} {_drop('ip_spoofing_check', index)}"]


def _state(network: Network, vni: Vni, index: int) -> list[str]:
    """A packet passes if it opens a connection, or if this VNI has seen its connection opened, either way.

    Connections are noted while the filter is off as well, so that switching it on cuts none.
    """
    note = _note("opened", index, _ENDS)
    filtered = network.obeys.psf_protocols if network.filters(vni) and network.obeys.psf_opening else ()
    drop = _drop("protocol_state_filtering", index)
    rules = [f"tcp flags & (syn | ack) == syn {note} return"]
    if "tcp" in filtered:
        rules.append(f"meta l4proto tcp {_ENDS[0]} != @opened_{index} {drop}")
    if "udp" in filtered:
        rules.append(f"meta l4proto udp {_ENDS[1]} @asked {_ENDS[0]} != @opened_{index} {drop}")
    if "icmp" in filtered:
        rules.append(f"icmp type echo-reply ip daddr . ip saddr . icmp id != @asked_echo_{index} {drop}")
    return [
        *rules,
        f"meta l4proto udp add @asked {{ {_ENDS[0]} }} {note} return",
        f"icmp type echo-request add @asked_echo_{index} {{ ip saddr . ip daddr . icmp id }}",
    ]


def _groups(network: Network, vni: Vni, index: int, direction: Direction) -> list[str]:
    groups = network.security_groups_of(vni)
    if groups is None:
        return []
    known = str(index) if network.obeys.sg_stateless else "any"
    rules = [
        f"{_TRANSPORT} {_ENDS[0]} @admitted_{known} return",
        f"icmp type echo-reply ip daddr . ip saddr . icmp id @admitted_echo_{known} return",
    ]
    for group in groups:
        for rule in group.rules:
            if rule.direction == direction:
                remote = rule.remote
                if not remote[:1].isdigit():
                    named = network.addresses_of(remote)
                    if not named:
                        continue
                    remote = _any_of(named)
                rules += [
                    line for protocol in _PROTOCOLS[rule.protocol] for line in _allow(rule, remote, protocol, known)
                ]
    return [*rules, _drop("security_group", index)]


def _allow(rule: SecurityGroupRule, remotes: str, protocol: Protocol, known: str) -> list[str]:
    far, near = ("saddr", "daddr") if rule.direction == "inbound" else ("daddr", "saddr")
    ends = f"ip {far} {remotes} ip {near} {rule.local}"
    if protocol == "icmp":
        # Only a reply can be an answer: the two ends may number their own requests alike.
        note = f"add @admitted_echo_{known} {{ ip saddr . ip daddr . icmp id }}"
        kinds = {8: f"echo-request {note}", 0: "echo-reply"}  # linux/icmp.h
        return [f"{ends} icmp type {kind} return" for number, kind in kinds.items() if rule.icmp_type in {None, number}]
    ports = _ports("dport", rule.port_min, rule.port_max)
    return [f"{ends} meta l4proto {protocol} {ports} {_note('admitted', known, _ENDS)} return"]


def _acl(network: Network, vni: Vni, index: int, direction: Direction) -> list[str]:
    acl = network.network_acl_of(vni)
    if acl is None:
        return []
    rules = [f"ip {'saddr' if direction == 'inbound' else 'daddr'} {network.subnet_of(vni).cidr} return"]
    for rule in acl.rules:
        if rule.direction == direction:
            verdict = "return" if rule.action == "allow" else _drop("network_acl", index)
            rules += [f"{_acl_match(rule, protocol)} {verdict}" for protocol in _PROTOCOLS[rule.protocol]]
    return [*rules, _drop("network_acl", index)]


def _acl_match(rule: AclRule, protocol: Protocol) -> str:
    match = f"ip saddr {rule.source} ip daddr {rule.destination} meta l4proto {protocol}"
    if protocol == "icmp":
        return match if rule.icmp_type is None else f"{match} icmp type {rule.icmp_type}"
    source = _ports("sport", rule.source_port_min, rule.source_port_max)
    destination = _ports("dport", rule.destination_port_min, rule.destination_port_max)
    return f"{match} {source} {destination}"


def _vpc_routes(network: Network, vni: Vni, index: int) -> list[str]:
    """The routing table of the VNI's subnet, for what leaves the subnet: the longest prefix wins, also over the VPC's
    own prefixes (IBM Cloud Docs, VPC: cr-intro).
    """
    subnet = network.subnet_of(vni)
    routes = sorted(subnet.routes, key=lambda route: -int(route.destination.partition("/")[2]))
    ways = [line for route in routes for line in _vpc_route(network, route, _drop("vpc_route", index))]
    return [f"ip daddr {subnet.cidr} return", *ways]


def _vpc_route(network: Network, route: VpcRoute, drop: str) -> list[str]:
    """The last line ends what the route matches."""
    to = f"ip daddr {route.destination}"
    if route.action == "drop" or (route.action == "deliver" and route.next_hop in network.locals):
        return [f"{to} {drop}"]
    refused = []
    if route.action == "delegate_vpc":
        refused.append(f"{to} ip daddr @internet {drop}")
    if route.sources is not None:
        refused.append(f"{to} ip saddr != {_any_of(route.sources)} {drop}" if route.sources else f"{to} {drop}")
    return [*refused, f"{to} return"]


def _internet(network: Network, vni: Vni, index: int) -> list[str]:
    """Source translation. A floating IP serves its VNI's primary address, a public gateway the VNI's other addresses.

    Anything else than the VNI's own addresses finds no way, whether spoofing is allowed or not, but for replies to who
    came by another VNI's floating IP, without assumption fip-return.
    """
    owned = f"ip saddr {_any_of(vni.addresses)}"
    none = [f"{owned} {_drop('no_floating_ip', index)}", _drop("floating_ip", index)]
    if not vni.translated:
        return none
    rules = [] if network.obeys.fip_return else _replies_of_others(network, vni)
    if vni.floating_ip is not None:
        rules.append(f"ip saddr {vni.addresses[0]} ip saddr set {vni.floating_ip} accept")
    gateway = network.subnet_of(vni).public_gateway
    if gateway is not None:
        flow = "ip daddr . th dport . th sport . meta l4proto : ip saddr"
        echo = "ip daddr . icmp id : ip saddr"
        rules += [
            f"{owned} {_TRANSPORT} update @gateway {{ {flow} }} ip saddr set {gateway} accept",
            f"{owned} icmp type echo-request update @gateway_echo {{ {echo} }} ip saddr set {gateway} accept",
        ]
    return [*rules, *none]


def _replies_of_others(network: Network, vni: Vni) -> list[str]:
    """What another VNI has seen asked by its floating IP."""
    return [
        f"ip saddr {other.addresses[0]} {asked} ip saddr set {other.floating_ip} accept"
        for number, other in enumerate(network.vnis)
        if other.name != vni.name and other.floating_ip is not None and other.translated
        for asked in (
            f"{_TRANSPORT} {_ENDS[0]} @opened_{number}",
            f"icmp type echo-reply ip daddr . ip saddr . icmp id @asked_echo_{number}",
        )
    ]


def crossings() -> tuple[list[str], list[str]]:
    """The rules that note what has left the guest before its VNI's stages, and what comes to it after them."""
    return [f'iifname "vni*" add @left {{ {_ENDS[0]} }}'], [f'oifname "vni*" add @arrived {{ {_ENDS[0]} }}']


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
    return f"add @dead_{code}_{index} {{ {_ENDS[0]} }} counter name {code}_{index} drop"


def _note(name: str, index: int | str, orientations: tuple[str, str]) -> str:
    return " ".join(f"add @{name}_{index} {{ {orientation} }}" for orientation in orientations)


def _ports(kind: str, first: int | None, last: int | None) -> str:
    return "" if first is None or last is None else f"th {kind} {first}-{last}"


def _any_of(addresses: tuple[str, ...]) -> str:
    return f"{{ {', '.join(addresses)} }}"
