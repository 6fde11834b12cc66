"""The paths of the VPC API that the stand-in knows, and what each answers from a world."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

COMMON = frozenset({"version", "generation"})
PAGED = frozenset({"start", "limit"})
_SERVER = frozenset({"resource_group.id", "name", "vpc.id", "vpc.crn", "vpc.name"})
_GROUP = frozenset({"resource_group.id"})

FILTERS: Mapping[str, frozenset[str]] = {
    "instances": _SERVER,
    "bare_metal_servers": _SERVER,
    "virtual_network_interfaces": _GROUP,
    "floating_ips": _GROUP,
    "subnets": _GROUP | {"vpc.id", "vpc.crn", "vpc.name", "zone.name", "routing_table.id"},
    "vpcs": _GROUP,
    "security_groups": _GROUP | {"vpc.id", "vpc.crn", "vpc.name"},
    "network_acls": _GROUP,
    "load_balancers": frozenset(),
    "public_address_ranges": _GROUP,
}
"""The regional lists, and the filters that each accepts (ibm-vpc 0.36). Their names are their paths and their keys."""

_MODES = ("auto", "enabled", "disabled")


class Refusal(Exception):  # noqa: N818 - an answer, not an error of ours
    """An answer in the API's error shape. `unexpected`: the caller asked what the real API does not know."""

    def __init__(self, status: int, code: str, message: str, *, unexpected: bool = False) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.unexpected = status, code, message, unexpected


@dataclass(frozen=True)
class Collection:
    """A list that a path answers: its `key`, its `items`, and the query parameters that it accepts beside COMMON."""

    key: str
    items: list[Json]
    paged: bool
    filters: frozenset[str] = frozenset()


def resolve(world: Json, path: str) -> Collection | Json:
    """What a GET of `path` (`/instances`) answers: a collection, or one resource. Raises Refusal: 404 or 400."""
    match path.strip("/").split("/"):
        case [kind] if kind in FILTERS:
            return Collection(kind, world.get(kind, []), paged=True, filters=FILTERS[kind])
        case [("instances" | "bare_metal_servers" | "virtual_network_interfaces" | "vpcs") as kind, key]:
            return find(world, kind, key)
        case ["regions"]:
            return Collection("regions", world.get("regions", []), paged=False)
        case ["instances", key, "network_interfaces"]:
            find(world, "instances", key)
            return Collection("network_interfaces", world["network_interfaces"].get(key, []), paged=False)
        case ["bare_metal_servers", key, ("network_interfaces" | "network_attachments") as below]:
            find(world, "bare_metal_servers", key)
            return Collection(below, world[below].get(key, []), paged=True)
        case ["vpcs", key, ("address_prefixes" | "routing_tables") as below]:
            find(world, "vpcs", key)
            return Collection(below, world[below].get(key, []), paged=True)
        case ["vpcs", key, "routing_tables", table, "routes"]:
            find(world, "vpcs", key)
            if all(known["id"] != table for known in world["routing_tables"].get(key, [])):
                raise Refusal(404, "routing_table_not_found", f"Routing table {table} was not found.")
            return Collection("routes", world["routes"].get(table, []), paged=True)
        case ["load_balancers", key, "listeners"]:
            find(world, "load_balancers", key)
            return Collection("listeners", world.get("listeners", {}).get(key, []), paged=False)
        case ["load_balancers", key, "pools", pool, "members"]:
            if all(known["id"] != pool for known in find(world, "load_balancers", key)["pools"]):
                raise Refusal(404, "pool_not_found", f"Pool {pool} was not found.")
            return Collection("members", world["members"].get(pool, []), paged=False)
    raise Refusal(400, "bad_path", f"the stand-in does not know {path}", unexpected=True)


def find(world: Json, kind: str, key: str) -> Json:
    """The resource with id `key`. Raises Refusal 404."""
    item: Json
    for item in world[kind]:
        if item.get("id") == key:
            return item
    raise Refusal(404, f"{kind.removesuffix('s')}_not_found", f"No {kind.removesuffix('s')} has the id {key}.")


def check_query(query: Mapping[str, str], allowed: frozenset[str]) -> None:
    """Refuses unknown parameters, and calls without `version` and `generation=2`."""
    unknown = sorted(set(query) - allowed - COMMON)
    if unknown:
        raise Refusal(400, "bad_field", f"unknown query parameters: {', '.join(unknown)}", unexpected=True)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", query.get("version", "")):
        raise Refusal(400, "missing_version", "The `version` parameter must be a date.", unexpected=True)
    if query.get("generation") != "2":
        raise Refusal(400, "missing_generation", "The `generation` parameter must be 2.", unexpected=True)


def page(
    collection: Collection,
    query: Mapping[str, str],
    url: str,
    page_size: int,
    *,
    repeat: bool = False,
    same: bool = False,
    cut: bool = False,
) -> Json:
    """One page in the API's shape, with `first`, `next`, `limit` and `total_count`. Two ways never to end: `repeat`
    links each page but the first to itself, `same` gives the first page's items for ever under new links.
    """
    items = [item for item in collection.items if _passes(item, query)]
    if not collection.paged:
        return {collection.key: items}
    limit = query.get("limit", "50")
    if not limit.isdigit() or not 1 <= int(limit) <= 100:
        raise Refusal(400, "invalid_value", "`limit` must be from 1 to 100.", unexpected=True)
    size = min(int(limit), page_size)
    start = query.get("start", "")
    if start and not re.fullmatch(r"tok\d+", start):
        raise Refusal(400, "invalid_value", f"unknown start {start}", unexpected=True)
    offset = int(start[3:]) if start else 0
    answer: Json = {
        collection.key: items[:size] if same else items[offset : offset + size],
        "first": {"href": f"{url}?limit={limit}"},
        "limit": int(limit),
        "total_count": len(items),
    }
    following = start if repeat and start else f"tok{offset + size}" if same or offset + size < len(items) else None
    if following is not None and not cut:
        answer["next"] = {"href": f"{url}?limit={limit}&start={following}"}
    return answer


def patch_vni(world: Json, path: str, patch: object, if_match: str | None) -> Json:
    """Applies a merge patch to a virtual network interface of the world; the changed resource. Raises Refusal."""
    match path.strip("/").split("/"):
        case ["virtual_network_interfaces", key]:
            vni = find(world, "virtual_network_interfaces", key)
        case _:
            raise Refusal(400, "bad_path", f"the stand-in does not patch {path}", unexpected=True)
    if not isinstance(patch, dict) or not patch:
        raise Refusal(400, "bad_request", "The body is not a merge patch.", unexpected=True)
    for name, value in patch.items():
        if name == "protocol_state_filtering_mode" and value in _MODES:
            if value == "disabled" and vni.get("target", {}).get("resource_type") == "share_mount_target":
                raise Refusal(409, "vni_share_conflict", "The mode of a share mount target cannot be `disabled`.")
        elif name == "allow_ip_spoofing" and value is True and vni.get("enable_infrastructure_nat") is False:
            raise Refusal(409, "vni_nat_conflict", "IP spoofing must be off where infrastructure NAT is.")
        elif not (name == "allow_ip_spoofing" and isinstance(value, bool)):
            raise Refusal(400, "invalid_value", f"`{name}` cannot be patched to {value!r}.", unexpected=True)
    if if_match is not None and if_match != etag(vni):
        raise Refusal(412, "precondition_failed", "The resource has changed.")
    vni.update(patch)
    return vni


def etag(resource: Json) -> str:
    """The entity tag of a resource."""
    return f'W/"{hashlib.sha256(json.dumps(resource, sort_keys=True).encode()).hexdigest()[:32]}"'


def _passes(item: Json, query: Mapping[str, str]) -> bool:
    for parameter, wanted in query.items():
        if parameter in COMMON | PAGED:
            continue
        value: Any = item
        for part in parameter.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value != wanted:
            return False
    return True
