"""What a region's servers share, from the API's plain JSON to the model. Pure; each raises CloudError `api_malformed`.

Rules and routes of another IP version are left out of ACLs and routing tables: no IPv4 packet ever meets them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from vnicheck.cloud import wire
from vnicheck.cloud.wire import convert, malformed_resource
from vnicheck.model.address import format_prefix, mask, split_prefix
from vnicheck.model.cloud import (
    AclRule,
    NetworkAcl,
    NextHopResource,
    PublicAddressRange,
    RoutingTable,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
    VpcRoute,
)
from vnicheck.model.words import one_line

Item = Mapping[str, Any]

_INGRESS = {
    "internet": "route_internet_ingress",
    "transit_gateway": "route_transit_gateway_ingress",
    "direct_link": "route_direct_link_ingress",
    "vpc_zone": "route_vpc_zone_ingress",
}


def parse_subnet(item: Item) -> Subnet:
    """An item of `list_subnets`."""
    read = convert(item, wire.Subnet, "subnet")
    try:
        return Subnet(
            id=read.id,
            name=read.name,
            cidr=_prefix(read.ipv4_cidr_block),
            zone=read.zone.name,
            vpc=read.vpc.id,
            network_acl=_id(read.network_acl),
            routing_table=_id(read.routing_table),
            public_gateway=_id(read.public_gateway),
        )
    except ValueError as error:
        raise malformed_resource(item, "subnet", error) from None


def parse_vpc(item: Item) -> Vpc:
    """An item of `list_vpcs`; its address prefixes are a list of their own."""
    read = convert(item, wire.Vpc, "VPC")
    return Vpc(id=read.id, name=read.name, default_routing_table=_id(read.default_routing_table))


def parse_address_prefix(item: Item) -> str:
    """An item of `list_vpc_address_prefixes`: the prefix."""
    read = convert(item, wire.AddressPrefix, "address prefix")
    try:
        return _prefix(read.cidr)
    except ValueError as error:
        raise malformed_resource(item, "address prefix", error) from None


def parse_security_group(item: Item) -> tuple[SecurityGroup, tuple[wire.Target, ...] | None]:
    """An item of `list_security_groups`, without its addresses, and its targets (None: not given)."""
    read = convert(item, wire.SecurityGroup, "security group")
    try:
        group = SecurityGroup(id=read.id, name=read.name, rules=tuple(_group_rule(rule) for rule in read.rules))
    except ValueError as error:
        raise malformed_resource(item, "security group", error) from None
    return group, None if read.targets is None else tuple(read.targets)


def parse_network_acl(item: Item) -> NetworkAcl:
    """An item of `list_network_acls`. Its rules are ordered; `before` of each names the next (NetworkACLRuleItem)."""
    read = convert(item, wire.NetworkAcl, "network ACL")
    try:
        rules = tuple(_acl_rule(rule) for rule in _in_order(read.rules) if rule.ip_version != "ipv6")
    except ValueError as error:
        raise malformed_resource(item, "network ACL", error) from None
    return NetworkAcl(id=read.id, name=read.name, rules=rules)


def parse_routing_table(item: Item, vpc: str, routes: Iterable[Item]) -> RoutingTable:
    """An item of `list_vpc_routing_tables` of the VPC with id `vpc`, and those of `list_vpc_routing_table_routes`."""
    read = convert(item, wire.RoutingTable, "routing table")
    return RoutingTable(
        id=read.id,
        name=read.name,
        vpc=vpc,
        routes=tuple(parse_route(route) for route in routes if ":" not in str(route.get("destination"))),
        ingress=tuple(source for source, flag in _INGRESS.items() if getattr(read, flag)),
        subnets=None if read.subnets is None else tuple(subnet.id for subnet in read.subnets),
    )


def parse_route(item: Item) -> VpcRoute:
    """An item of `list_vpc_routing_table_routes`."""
    read = convert(item, wire.Route, "route")
    named = read.next_hop or wire.NextHop()
    hop = named.address
    try:
        if hop is not None:
            hop = None if split_prefix(hop)[0] == 0 else hop  # 0.0.0.0: there is none (Route, next_hop)
        resource = None
        if hop is None and (named.id is not None or read.action == "deliver"):
            resource = NextHopResource(id=named.id or "", name=named.name, kind=named.resource_type)
        return VpcRoute(
            id=read.id,
            name=read.name,
            destination=_prefix(read.destination),
            action=read.action,
            zone="" if read.zone is None else read.zone.name,
            next_hop=hop,
            next_hop_resource=resource,
            priority=read.priority,
            lifecycle_state=read.lifecycle_state,
            advertise=read.advertise,
        )
    except ValueError as error:
        raise malformed_resource(item, "route", error) from None


def parse_public_address_range(item: Item) -> PublicAddressRange | None:
    """An item of `list_public_address_ranges`; None for one of another IP version."""
    read = convert(item, wire.PublicAddressRange, "public address range")
    if ":" in read.cidr:
        return None
    target = read.target
    try:
        return PublicAddressRange(
            id=read.id,
            name=read.name,
            cidr=_prefix(read.cidr),
            vpc=_id(target.vpc) if target is not None else None,
            zone=target.zone.name if target is not None and target.zone is not None else None,
            lifecycle_state=read.lifecycle_state,
        )
    except ValueError as error:
        raise malformed_resource(item, "public address range", error) from None


def _group_rule(rule: wire.SecurityGroupRule) -> SecurityGroupRule:
    unmodelled: list[str] = []
    if rule.ip_version != "ipv4":
        unmodelled.append(f"ip_version {one_line(rule.ip_version, 40)}")
    remote, group = _end("remote", rule.remote, unmodelled)
    local, local_group = _end("local", rule.local, unmodelled)
    if local_group is not None:
        unmodelled.append("local names a security group")
    return SecurityGroupRule(
        id=rule.id,
        direction=rule.direction,
        protocol=rule.protocol,
        remote=None if unmodelled else remote,
        remote_group=None if unmodelled else group,
        local=local,
        port_min=rule.port_min,
        port_max=rule.port_max,
        icmp_type=rule.type,
        icmp_code=rule.code,
        unmodelled=tuple(unmodelled),
    )


def _end(side: str, end: Mapping[str, Any] | None, unmodelled: list[str]) -> tuple[str | None, str | None]:
    """A rule's remote or local as (prefix, security group's id). An absent `local` is any (older API versions)."""
    if end is None:
        if side == "remote":
            unmodelled.append("no remote")
        return None, None
    for key in ("cidr_block", "address"):
        text = end.get(key)
        if isinstance(text, str):
            try:
                return _prefix(text), None
            except ValueError:
                unmodelled.append(f"{side} {key} {one_line(text, 60)}")
                return None, None
    if isinstance(end.get("id"), str):
        return None, end["id"]
    unmodelled.append(f"{side} of an unknown kind: {one_line(', '.join(sorted(map(str, end))), 60)}")
    return None, None


def _acl_rule(rule: wire.AclRule) -> AclRule:
    unmodelled = () if rule.ip_version == "ipv4" else (f"ip_version {one_line(rule.ip_version, 40)}",)
    return AclRule(
        id=rule.id,
        name=rule.name,
        action=rule.action,
        direction=rule.direction,
        protocol=rule.protocol,
        source=_prefix(rule.source),
        destination=_prefix(rule.destination),
        source_port_min=rule.source_port_min,
        source_port_max=rule.source_port_max,
        destination_port_min=rule.destination_port_min,
        destination_port_max=rule.destination_port_max,
        icmp_type=rule.type,
        icmp_code=rule.code,
        unmodelled=unmodelled,
    )


def _in_order(rules: list[wire.AclRule]) -> list[wire.AclRule]:
    """The rules by their `before` chain; as listed where the list already follows it, or the chain is not whole."""
    following = {rule.id: rule.before.id if rule.before else None for rule in rules}
    if len(following) != len(rules) or not any(following.values()):
        return rules
    heads = following.keys() - {after for after in following.values() if after is not None}
    by_id = {rule.id: rule for rule in rules}
    chain: list[wire.AclRule] = []
    step = next(iter(heads)) if len(heads) == 1 else None
    while step is not None and step in by_id and len(chain) <= len(rules):
        chain.append(by_id[step])
        step = following[step]
    return chain if len(chain) == len(rules) else rules


def _prefix(text: str) -> str:
    """A prefix or address in canonical form: host bits cleared, /32 for an address. Raises ValueError."""
    address, length = split_prefix(text)
    return format_prefix(address & mask(length), length)


def _id(reference: wire.Reference | None) -> str | None:
    return None if reference is None else reference.id
