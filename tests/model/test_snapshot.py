"""Snapshots survive their file form, and what is no snapshot is refused with one clear line."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.amounts import drawn
from tests.support.any_snapshot import snapshots
from tests.support.servers import COLLECTED, fabric, guest, server, two_vnis
from vnicheck.model.cloud import (
    Fabric,
)
from vnicheck.model.snapshot import SCHEMA, Snapshot, SnapshotError, decode_snapshot, encode_snapshot


@settings(max_examples=drawn(60), suppress_health_check=[HealthCheck.too_slow], deadline=None)
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
