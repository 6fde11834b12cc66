"""Reading a region: ten lists in parallel, however many servers it has, and nothing per server."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

import msgspec

from vnicheck.cloud import wire
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.cross_check import bound_vnis, interfaces_unread
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.groups import group_addresses, interface_addresses
from vnicheck.cloud.lists import Items, ShortListError, in_parallel, read_list
from vnicheck.cloud.load_balancers import balancer_addresses, parse_load_balancer
from vnicheck.cloud.parse_fabric import (
    parse_network_acl,
    parse_public_address_range,
    parse_security_group,
    parse_subnet,
    parse_vpc,
)
from vnicheck.cloud.parse_server import parse_floating_ip, parse_server, parse_vni
from vnicheck.cloud.region import Region
from vnicheck.cloud.scope import find_vpc, in_resource_group
from vnicheck.model.cloud import Fabric, FloatingIp, PublicAddressRange, SecurityGroup, ServerKind, Vpc
from vnicheck.model.snapshot import Problem, Server, with_guest
from vnicheck.model.words import one_line

T = TypeVar("T")

LISTS = (
    "instances",
    "bare_metal_servers",
    "virtual_network_interfaces",
    "floating_ips",
    "subnets",
    "vpcs",
    "security_groups",
    "network_acls",
    "load_balancers",
    "public_address_ranges",
)
"""Each is the API's path, the key of its answer, and after `list_` the SDK's method."""


def read_region(client: VpcClient, *, vpc: str | None = None, resource_group: str | None = None) -> Region:
    """The region's servers of the VPC `vpc` and of `resource_group` (name or id each; None: all), and the fabric.

    Raises CloudError where the instances cannot be listed, or no VPC is `vpc` (`no_such_vpc`, `ambiguous_vpc`). Every
    other list that cannot be read is named in `Fabric.missing`, the bare metal servers in `Region.problems`.
    """
    client = client.bounded()
    client.authenticate()
    raw = in_parallel({name: partial(read_list, client, f"list_{name}", name) for name in LISTS})
    missing: dict[str, str] = {}
    problems: list[Problem] = []
    instances = _as_far_as_told(raw["instances"], "instances", problems)
    if isinstance(instances, CloudError):
        raise instances
    vnis = _vnis(raw["virtual_network_interfaces"], missing)
    floating_ips = _floating_ips(raw["floating_ips"], missing)
    listed = raw["virtual_network_interfaces"]
    bound = {} if isinstance(listed, CloudError) else bound_vnis(listed)
    parse = partial(
        _parse_servers, vnis=vnis, bound=bound, floating_ips=floating_ips, region=client.region, problems=problems
    )
    everything = parse(instances, "instance")
    metal = _as_far_as_told(raw["bare_metal_servers"], "bare metal servers", problems)
    if isinstance(metal, CloudError):
        problems.append(Problem(code=metal.code, message=f"bare metal servers were not read: {metal.message}"))
    else:
        everything += parse(metal, "bare_metal_server")
    servers = [server for _, server in everything]
    vpcs = _vpcs(raw["vpcs"], servers, missing)
    wanted = None if vpc is None else find_vpc(vpcs.values(), vpc, client.endpoint)
    chosen = tuple(
        server
        for item, server in everything
        if (wanted is None or server.vpc.id == wanted.id) and in_resource_group(item, resource_group)
    )
    load_balancers = _parsed(raw["load_balancers"], parse_load_balancer, "load_balancers", missing)
    addresses = interface_addresses(vnis, servers) | balancer_addresses(load_balancers)
    fabric = Fabric(
        vpcs=vpcs,
        subnets={s.id: s for s in _parsed(raw["subnets"], parse_subnet, "subnets", missing)},
        security_groups=_security_groups(raw["security_groups"], addresses, missing),
        network_acls={a.id: a for a in _parsed(raw["network_acls"], parse_network_acl, "network_acls", missing)},
        public_address_ranges=_public_address_ranges(raw["public_address_ranges"], missing),
        missing=missing,
    )
    filters = [
        f", {label} {value}" for label, value in (("VPC", vpc), ("resource group", resource_group)) if value is not None
    ]
    return Region(
        servers=chosen,
        fabric=fabric,
        scope=one_line("".join([client.endpoint, *filters]), 200),
        problems=tuple(problems),
        load_balancers=None if isinstance(raw["load_balancers"], CloudError) else tuple(load_balancers),
        name=client.region or next((server.region for server in servers), ""),
    )


def _as_far_as_told(raw: Items | CloudError, what: str, problems: list[Problem]) -> Items | CloudError:
    """Of a list that ended early what it held, with a problem: better than none of the region's servers."""
    if not isinstance(raw, ShortListError):
        return raw
    problems.append(Problem(code=raw.code, message=f"not all {what} were read: {raw.message}"))
    return raw.items


def _parse_servers(
    items: Items,
    kind: ServerKind,
    *,
    vnis: Mapping[str, wire.VirtualNetworkInterface] | None,
    bound: Mapping[str, set[str]],
    floating_ips: Mapping[str, tuple[FloatingIp, ...]],
    region: str,
    problems: list[Problem],
) -> list[tuple[Mapping[str, Any], Server]]:
    servers: list[tuple[Mapping[str, Any], Server]] = []
    for item in items:
        try:
            server = parse_server(item, kind, vnis=vnis, floating_ips=floating_ips, region=region)
            unread = interfaces_unread(item, server, bound)
            servers.append((item, server if unread is None else with_guest(server, unread)))
        except CloudError as error:
            problems.append(Problem(code=error.code, message=error.message))
    return servers


def _parsed(
    raw: Items | CloudError, parse: Callable[[Mapping[str, Any]], T], key: str, missing: dict[str, str]
) -> list[T]:
    """The items that parse. Those that do not, or a list that could not be read, are named under `missing[key]`."""
    if isinstance(raw, CloudError):
        missing[key] = raw.message
        return []
    results: list[T] = []
    failures: list[str] = []
    for item in raw:
        try:
            results.append(parse(item))
        except CloudError as error:
            failures.append(error.message)
    if failures:
        missing[key] = one_line(f"{len(failures)} of {len(raw)} could not be read: {failures[0]}")
    return results


def _vnis(raw: Items | CloudError, missing: dict[str, str]) -> dict[str, wire.VirtualNetworkInterface] | None:
    parsed = _parsed(raw, parse_vni, "virtual_network_interfaces", missing)
    return None if isinstance(raw, CloudError) else {vni.id: vni for vni in parsed}


def _floating_ips(raw: Items | CloudError, missing: dict[str, str]) -> dict[str, tuple[FloatingIp, ...]]:
    found: dict[str, tuple[FloatingIp, ...]] = {}
    for target, floating_ip in _parsed(raw, parse_floating_ip, "floating_ips", missing):
        if target is not None:
            found[target] = (*found.get(target, ()), floating_ip)
    return found


def _public_address_ranges(raw: Items | CloudError, missing: dict[str, str]) -> tuple[PublicAddressRange, ...] | None:
    parsed = _parsed(raw, parse_public_address_range, "public_address_ranges", missing)
    return None if isinstance(raw, CloudError) else tuple(each for each in parsed if each is not None)


def _vpcs(raw: Items | CloudError, servers: Iterable[Server], missing: dict[str, str]) -> dict[str, Vpc]:
    """The VPCs; where they could not be read, those that servers name."""
    named = {server.vpc.id: Vpc(id=server.vpc.id, name=server.vpc.name) for server in servers}
    return named | {vpc.id: vpc for vpc in _parsed(raw, parse_vpc, "vpcs", missing)}


def _security_groups(
    raw: Items | CloudError, addresses: Mapping[str, tuple[str, ...]], missing: dict[str, str]
) -> dict[str, SecurityGroup]:
    return {
        group.id: msgspec.structs.replace(group, addresses=group_addresses(targets, addresses))
        for group, targets in _parsed(raw, parse_security_group, "security_groups", missing)
    }
