"""Strategies that draw snapshots of every shape."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from tests.support.servers import OPEN_GROUP, fabric
from vnicheck.model.address import format_address
from vnicheck.model.cloud import (
    FloatingIp,
    LoadBalancer,
    LoadBalancerListener,
    NextHopResource,
    PublicAddressRange,
    Ref,
    RoutingTable,
    SecurityGroupRule,
    Vni,
    VpcRoute,
)
from vnicheck.model.guest import Guest, Interface, InterfaceAddress, NextHop, PolicyRule, Route, RouteType, RuleAction
from vnicheck.model.snapshot import SCHEMA, Problem, Server, Snapshot

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
optional_texts = st.none() | texts
addresses = st.integers(0, 0xFFFFFFFF).map(format_address)
host_prefixes = st.builds("{}/{}".format, addresses, st.integers(0, 32))
networks = st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/24", "10.0.0.12/32", "128.0.0.0/1"])
numbers = st.integers(0, 0xFFFFFFFF)
port_ranges = st.none() | st.tuples(st.integers(0, 65535), st.integers(0, 65535))
macs = st.none() | st.from_regex(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", fullmatch=True)


def tuples(of: st.SearchStrategy[Any], size: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=size).map(tuple)


interfaces = st.builds(
    Interface,
    name=st.text(min_size=1, max_size=15, alphabet=st.characters(exclude_categories=["Cs"])),
    index=st.integers(1, 2**31 - 1),
    up=st.booleans(),
    carrier=st.booleans(),
    mac=macs,
    kind=optional_texts,
    addresses=tuples(st.builds(InterfaceAddress, prefix=host_prefixes, secondary=st.booleans())),
    unmodelled=tuples(texts),
)
routes = st.builds(
    Route,
    prefix=networks,
    table=numbers,
    type=st.sampled_from(RouteType),
    metric=numbers,
    source=st.none() | addresses,
    nexthops=tuples(st.builds(NextHop, interface=optional_texts, gateway=st.none() | addresses, flags=tuples(texts))),
    nexthop_id=st.none() | numbers,
    text=texts,
)
rules = st.builds(
    PolicyRule,
    priority=numbers,
    action=st.sampled_from([RuleAction.TABLE, RuleAction.NOP, RuleAction.PROHIBIT]),
    table=numbers,
    invert=st.booleans(),
    src=st.none() | networks,
    fwmark=st.none() | numbers,
    sport=port_ranges,
    uid_range=port_ranges,
    suppress_prefixlength=st.none() | st.integers(0, 32),
    text=texts,
)
guests = st.builds(
    Guest,
    collected_at=texts,
    via=st.sampled_from(["ssh", "file", "local"]),
    interfaces=st.lists(interfaces, max_size=3, unique_by=lambda each: each.name).map(tuple),
    routes=tuples(routes),
    rules=tuples(rules),
    sysctls=st.dictionaries(texts, st.integers(-(2**31), 2**31), max_size=3),
    counters=st.dictionaries(texts, st.integers(0, 2**63 - 1), max_size=3),
    missing=st.dictionaries(texts, texts, max_size=2),
)
vnis = st.builds(
    Vni,
    id=texts,
    name=texts,
    subnet=texts,
    primary_address=addresses,
    secondary_addresses=tuples(addresses),
    mac=macs,
    vlan=st.none() | st.integers(0, 4095),
    floating_ips=tuples(
        st.builds(FloatingIp, id=texts, name=texts, address=addresses, status=optional_texts, target=optional_texts)
    ),
    security_groups=st.none() | tuples(texts),
    allow_ip_spoofing=st.none() | st.booleans(),
    enable_infrastructure_nat=st.none() | st.booleans(),
)
servers = st.builds(
    Server,
    id=texts,
    name=texts,
    crn=texts,
    kind=st.sampled_from(["instance", "bare_metal_server"]),
    vpc=st.builds(Ref, id=texts, name=texts),
    zone=texts,
    vnis=tuples(vnis),
    guest=st.none() | guests,
    profile=optional_texts,
    image=optional_texts,
    problems=tuples(st.builds(Problem, code=texts, message=texts)),
)
group_rules = st.builds(
    SecurityGroupRule,
    id=texts,
    direction=texts,
    protocol=texts,
    remote=st.none() | networks,
    port_min=st.none() | st.integers(0, 65535),
    icmp_type=st.none() | st.integers(0, 255),
)
vpc_routes = st.builds(
    VpcRoute,
    id=texts,
    name=texts,
    destination=networks,
    action=texts,
    next_hop_resource=st.none() | st.builds(NextHopResource, id=texts, name=texts, kind=texts),
    lifecycle_state=optional_texts,
    advertise=st.none() | st.booleans(),
)
address_ranges = st.builds(
    PublicAddressRange,
    id=texts,
    name=texts,
    cidr=networks,
    vpc=optional_texts,
    zone=optional_texts,
    lifecycle_state=optional_texts,
)
load_balancers = st.builds(
    LoadBalancer,
    id=texts,
    name=texts,
    family=texts,
    vpc=texts,
    access_mode=optional_texts,
    provisioning_status=optional_texts,
    route_mode=st.none() | st.booleans(),
    private_addresses=st.none() | tuples(addresses),
    public_addresses=st.none() | tuples(addresses),
    listeners=st.none()
    | tuples(st.builds(LoadBalancerListener, id=texts, protocol=texts, port_min=st.just(1), port_max=st.just(65535))),
    members_read=st.booleans(),
)
fabrics = st.builds(
    lambda missing, given, routes, **edges: msgspec.structs.replace(
        fabric(
            groups=[msgspec.structs.replace(OPEN_GROUP, id="given", rules=given)],
            tables=[RoutingTable(id="routes", name="t", vpc="vpc", routes=routes, subnets=("a",))],
        ),
        missing=missing,
        **edges,
    ),
    st.dictionaries(texts, texts, max_size=2),
    tuples(group_rules),
    tuples(vpc_routes),
    public_address_ranges=st.none() | tuples(address_ranges),
    load_balancers=st.none() | st.dictionaries(texts, load_balancers, max_size=2),
)
snapshots = st.builds(
    Snapshot, schema=st.just(SCHEMA), tool_version=texts, created_at=texts, servers=tuples(servers), fabric=fabrics
)
