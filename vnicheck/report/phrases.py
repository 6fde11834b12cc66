"""Words for what the report's codes mean, shared by the formats that people read."""

from collections.abc import Iterable, Sequence

from vnicheck.model.flow import Flow, Protocol, Scope
from vnicheck.model.words import listed

DROPS = {
    "network_acl": "network ACL",
    "security_group": "security groups",
    "no_floating_ip": "no floating IP or public gateway",
    "rp_filter": "rp_filter",
    "martian_source": "source check of the guest",
    "not_local": "address not in the guest",
    "interface_down": "interface down",
    "no_route": "no route",
    "blackhole": "blackhole",
    "unreachable": "unreachable",
    "prohibit": "prohibit",
    "ip_spoofing_check": "spoofing check",
    "protocol_state_filtering": "state filter",
    "floating_ip": "floating IP elsewhere",
    "vpc_route": "VPC route",
}

SCOPES = {
    Scope.SUBNET: "its subnet",
    Scope.VPC: "the VPC",
    Scope.PRIVATE: "private networks beyond",
    Scope.SERVICE: "IBM services",
    Scope.INTERNET: "the internet",
}

RP_FILTER = {0: "off", 1: "strict", 2: "loose"}


def protocols(flows: Iterable[Flow]) -> list[str]:
    """The protocols of the flows, in the order of the model."""
    present = {flow.protocol for flow in flows}
    return [protocol.value for protocol in Protocol if protocol in present]


def reached(chosen: Sequence[Flow], everything: Sequence[Flow]) -> str:
    """Where flows get through, the nearest first; a scope of which some class is not among them is named in part."""
    taken = {id(flow) for flow in chosen}
    phrases = []
    for scope in Scope:
        inside = [flow for flow in chosen if flow.remote_scope is scope]
        if inside:
            whole = all(id(flow) in taken or _is_broadcast(flow) for flow in _alike(inside[0], everything))
            phrases.append(SCOPES[scope] if whole else f"part of {SCOPES[scope]}")
    return "everywhere" if phrases == list(SCOPES.values()) else listed(phrases)


def remotes(chosen: Sequence[Flow], everything: Sequence[Flow]) -> str:
    """Who is concerned: whole scopes by name, parts of a scope by their prefixes."""
    taken = {id(flow) for flow in chosen}
    phrases = []
    for scope in Scope:
        inside = [flow for flow in chosen if flow.remote_scope is scope]
        if not inside:
            continue
        alike = _alike(inside[0], everything)
        outside = [flow for flow in alike if id(flow) not in taken and not _is_broadcast(flow)]
        if outside:
            prefixes = list(dict.fromkeys(prefix for flow in inside for prefix in flow.remote))
            more = f" and {len(prefixes) - 3} more prefixes" if len(prefixes) > 3 else ""
            phrases.append(f"{', '.join(prefixes[:3])}{more} ({scope})")
        else:
            phrases.append(SCOPES[scope])
    return listed(phrases)


def _alike(flow: Flow, everything: Sequence[Flow]) -> list[Flow]:
    """The classes beside a flow's own: same address, direction, protocol and scope."""
    key = (flow.local, flow.direction, flow.protocol, flow.remote_scope)
    return [other for other in everything if (other.local, other.direction, other.protocol, other.remote_scope) == key]


def _is_broadcast(flow: Flow) -> bool:
    """Whether nobody can be at the remote: the guest takes it for a broadcast address of its own networks."""
    return flow.dropped_by is not None and any("broadcast address" in hop.reason for hop in flow.hops)
