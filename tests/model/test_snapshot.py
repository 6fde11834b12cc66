"""Snapshots survive their file form, and what is no snapshot is refused with one clear line."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.servers import COLLECTED, OPEN_GROUP, fabric, guest, server, two_vnis
from vnicheck.model.address import format_address
from vnicheck.model.cloud import (
    Fabric,
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
from vnicheck.model.snapshot import SCHEMA, Problem, Server, Snapshot, SnapshotError, decode_snapshot, encode_snapshot

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


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(snapshots)
def test_a_snapshot_survives_its_file(snapshot: Snapshot) -> None:
    data = encode_snapshot(snapshot)
    assert decode_snapshot(data) == snapshot
    assert encode_snapshot(decode_snapshot(data)) == data
    assert data.endswith(b"\n")


def snapshot() -> Snapshot:
    return Snapshot(
        schema=SCHEMA, tool_version="1", created_at=COLLECTED, servers=(server(guest=guest()),), fabric=fabric()
    )


def test_the_same_snapshot_is_the_same_bytes() -> None:
    shuffled = msgspec.structs.replace(snapshot(), fabric=fabric(missing={"b": "2", "a": "1"}))
    ordered = msgspec.structs.replace(snapshot(), fabric=fabric(missing={"a": "1", "b": "2"}))
    assert encode_snapshot(shuffled) == encode_snapshot(ordered)


def test_a_snapshot_from_before_the_edges_were_read_says_that_they_were_not() -> None:
    old = json.loads(encode_snapshot(snapshot()))
    table = {"id": "t", "name": "t", "vpc": "vpc", "routes": [
        {"id": "r", "name": "r", "destination": "10.8.0.0/16", "action": "deliver", "zone": "z-1"}
    ]}  # fmt: skip
    old["fabric"]["routing_tables"] = {"t": table}
    old["servers"][0]["vnis"][0]["floating_ips"] = [{"id": "f", "name": "f", "address": "203.0.113.7"}]
    read = decode_snapshot(json.dumps(old).encode())
    first = read.servers[0].vnis[0]
    route = read.fabric.routing_tables["t"].routes[0]
    assert (read.fabric.public_address_ranges, read.fabric.load_balancers) == (None, None)
    assert (read.servers[0].profile, first.enable_infrastructure_nat) == (None, None)
    assert (first.floating_ips[0].status, first.floating_ips[0].target) == (None, None)
    assert (route.next_hop_resource, route.lifecycle_state, route.advertise) == (None, None, None)
    assert read.fabric.routing_tables["t"].subnets is None
    assert b"null" not in encode_snapshot(read).replace(b'"dropped_by": null', b"")
    assert json.loads(encode_snapshot(read))["fabric"] == old["fabric"]


def test_none_at_all_is_not_unread_after_a_file_either() -> None:
    around = fabric(public_address_ranges=(), load_balancers={})
    read = decode_snapshot(encode_snapshot(msgspec.structs.replace(snapshot(), fabric=around)))
    assert (read.fabric.public_address_ranges, read.fabric.load_balancers) == ((), {})


def changed(**fields: Any) -> bytes:
    return json.dumps(json.loads(encode_snapshot(snapshot())) | fields).encode()


def with_server(**fields: Any) -> bytes:
    (first,) = json.loads(encode_snapshot(snapshot()))["servers"]
    return changed(servers=[first | fields])


LINK: dict[str, Any] = {"name": "eth0", "index": 2, "up": True, "carrier": True}
REFUSED = {
    "empty": (b"", "not JSON, or cut off"),
    "blank": (b" \n", "not JSON, or cut off"),
    "not JSON": (b"hello", "not JSON, or cut off"),
    "truncated": (encode_snapshot(snapshot())[:-200], "not JSON, or cut off"),
    "something after it": (encode_snapshot(snapshot()) + b"{}", "not JSON, or cut off"),
    "deep": (b"[" * 200_000, "not JSON, or cut off"),
    "deep inside": (changed(more=0)[:-2] + b": " + b"[" * 200_000, "not JSON, or cut off"),
    "invalid UTF-8": (changed(tool_version="X").replace(b'"X"', b'"\xff\xfe"'), "'utf-8' codec"),
    "UTF-16": ("{}".encode("utf-16"), "not JSON, or cut off"),
    "compressed": (b"\x1f\x8b\x08\x00\x00", "not JSON, or cut off"),
    "a list": (b"[]", "names no schema"),
    "a number": (b"1", "names no schema"),
    "null": (b"null", "names no schema"),
    "another document": (b'{"a": 1}', "names no schema"),
    "a report": (b'{"schema": "vnicheck.report/1"}', "its schema is 'vnicheck.report/1'"),
    "a later schema": (changed(schema="vnicheck.snapshot/2"), "this version reads 'vnicheck.snapshot/1'"),
    "a schema that is a number": (changed(schema=1), "names no schema"),
    "no servers": (b'{"schema": "vnicheck.snapshot/1"}', "not a valid snapshot: .*missing required field"),
    "servers that are a word": (changed(servers="web"), r"Expected `array`, got `str` - at `\$.servers`"),
    "a server of a later kind": (with_server(kind="pod"), r"at `\$.servers\[0\].kind`"),
    "two primary interfaces": (
        with_server(vnis=[json.loads(msgspec.json.encode(vni)) | {"primary": True} for vni in two_vnis()]),
        "two primary interfaces",
    ),
    "a member that is no address": (
        changed(fabric={"security_groups": {"g": {"id": "g", "name": "g", "addresses": ["10.0.0.300"]}}}),
        "10.0.0.300",
    ),
    "an index beyond all": (
        with_server(guest={"collected_at": "", "interfaces": [LINK | {"index": 1 << 40}]}),
        "1099511627776 is not an interface's index",
    ),
    "a broadcast that is none": (
        with_server(
            guest={
                "collected_at": "",
                "interfaces": [LINK | {"addresses": [{"prefix": "10.0.0.1/24", "broadcast": "x"}]}],
            }
        ),
        "'x'",
    ),
    "an address of IPv6": (
        with_server(vnis=[{"id": "v", "name": "v", "subnet": "s", "primary_address": "::1"}]),
        "::1",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_snapshot_is_one_clear_line(name: str) -> None:
    data, words = REFUSED[name]
    with pytest.raises(SnapshotError, match=words) as caught:
        decode_snapshot(data)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_fields_of_a_later_minor_version_are_passed_over() -> None:
    assert decode_snapshot(changed(added_later={"x": [1]})) == snapshot()


def test_an_empty_fabric_is_a_fabric() -> None:
    bare = msgspec.structs.replace(snapshot(), servers=(), fabric=Fabric())
    assert decode_snapshot(encode_snapshot(bare)) == bare
