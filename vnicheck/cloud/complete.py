"""What the bulk lists lack, read only for the servers that were selected, and the fabric cut down to what they cross.

Calls: two per VPC, one per routing table, and one per network load balancer and one per pool of it; one per server only
where it has legacy interfaces or is bare metal.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.lists import Items, in_parallel, page_items, read_list
from vnicheck.cloud.load_balancers import read_load_balancers
from vnicheck.cloud.parse_fabric import parse_address_prefix, parse_routing_table
from vnicheck.cloud.parse_server import complete_bare_metal, complete_legacy
from vnicheck.cloud.region import Region
from vnicheck.model.cloud import Fabric, PublicAddressRange, RoutingTable, Vpc
from vnicheck.model.snapshot import Problem, Server


def complete(client: VpcClient, region: Region, servers: Sequence[Server]) -> Region:
    """`region` with only `servers`, all that can be read of them, and the fabric of their VPCs.

    What could not be read is in the server's `problems`, or in `Fabric.missing`. Raises CloudError only where no token
    can be had.
    """
    client = client.bounded()
    client.authenticate()
    vpcs = list(dict.fromkeys(server.vpc.id for server in servers))
    raw = in_parallel(
        {f"server {server.id}": task for server in servers if (task := _server_task(client, server)) is not None}
        | {
            f"prefixes {vpc}": partial(read_list, client, "list_vpc_address_prefixes", "address_prefixes", vpc)
            for vpc in vpcs
        }
        | {
            f"tables {vpc}": partial(read_list, client, "list_vpc_routing_tables", "routing_tables", vpc)
            for vpc in vpcs
        }
    )
    missing = dict(region.fabric.missing)
    routing_tables = _routing_tables(client, {vpc: raw[f"tables {vpc}"] for vpc in vpcs}, missing)
    load_balancers, members = read_load_balancers(client, region, vpcs, missing)
    fabric = msgspec.structs.replace(
        region.fabric,
        vpcs={vpc: _with_prefixes(region.fabric.vpcs[vpc], raw[f"prefixes {vpc}"], missing) for vpc in vpcs},
        routing_tables=routing_tables,
        load_balancers=load_balancers,
        load_balancer_members=members,
        missing=missing,
    )
    completed = tuple(_completed(server, raw.get(f"server {server.id}")) for server in servers)
    return dataclasses.replace(region, servers=completed, fabric=_reduced(fabric, completed))


def _server_task(client: VpcClient, server: Server) -> Callable[[], Items] | None:
    legacy = any(vni.legacy for vni in server.vnis)
    if server.kind == "instance":
        return partial(_instance_interfaces, client, server.id) if legacy else None
    what = "network_interfaces" if legacy else "network_attachments"
    return partial(read_list, client, f"list_bare_metal_server_{what}", what, server.id)


def _instance_interfaces(client: VpcClient, server: str) -> Items:
    """`list_instance_network_interfaces` has no pages."""
    method = "list_instance_network_interfaces"
    return page_items(client, method, "network_interfaces", client.call(method, server))


def _completed(server: Server, raw: Items | CloudError | None) -> Server:
    if raw is None:
        return server
    legacy = any(vni.legacy for vni in server.vnis)
    try:
        if isinstance(raw, CloudError):
            raise raw
        return complete_legacy(server, raw) if legacy else complete_bare_metal(server, raw)
    except CloudError as error:
        lost = "spoofing check and security groups" if legacy else "interface types and VLANs"
        problem = Problem(code=error.code, message=f"{lost} of its interfaces are unknown: {error.message}")
        return msgspec.structs.replace(server, problems=(*server.problems, problem))


def _with_prefixes(vpc: Vpc, raw: Items | CloudError, missing: dict[str, str]) -> Vpc:
    try:
        if isinstance(raw, CloudError):
            raise raw
        return msgspec.structs.replace(vpc, prefixes=tuple(parse_address_prefix(item) for item in raw))
    except CloudError as error:
        missing.setdefault("vpcs", f"address prefixes of {vpc.name}: {error.message}")
        return vpc


def _routing_tables(
    client: VpcClient, tables: dict[str, Items | CloudError], missing: dict[str, str]
) -> dict[str, RoutingTable]:
    """Each VPC's routing tables with their routes; one that could not be read is left out, and `missing` says so."""
    tasks: dict[str, Callable[[], Items]] = {}
    found: list[tuple[str, dict[str, object], str]] = []
    for vpc, listed in tables.items():
        if isinstance(listed, CloudError):
            missing.setdefault("routing_tables", listed.message)
            continue
        for item in listed:
            table = str(item.get("id"))
            found.append((vpc, item, table))
            tasks[table] = partial(read_list, client, "list_vpc_routing_table_routes", "routes", vpc, table)
    routes = in_parallel(tasks)
    parsed: dict[str, RoutingTable] = {}
    for vpc, item, table in found:
        listed = routes[table]
        try:
            if isinstance(listed, CloudError):
                raise listed
            parsed[table] = parse_routing_table(item, vpc, listed)
        except CloudError as error:
            missing.setdefault("routing_tables", error.message)
    return parsed


def _reduced(fabric: Fabric, servers: Sequence[Server]) -> Fabric:
    """The fabric without what no packet of `servers` meets: what is of other VPCs, unused security groups."""
    subnets = {key: subnet for key, subnet in fabric.subnets.items() if subnet.vpc in fabric.vpcs}
    acls = {subnet.network_acl for subnet in subnets.values()}
    ranges = fabric.public_address_ranges
    used = {group for server in servers for vni in server.vnis for group in vni.security_groups or ()}
    used |= {group for each in (fabric.load_balancers or {}).values() for group in each.security_groups or ()}
    named = {
        rule.remote_group for key in used if key in fabric.security_groups for rule in fabric.security_groups[key].rules
    }
    return msgspec.structs.replace(
        fabric,
        subnets=subnets,
        network_acls={key: acl for key, acl in fabric.network_acls.items() if key in acls},
        security_groups={key: group for key, group in fabric.security_groups.items() if key in used | named},
        public_address_ranges=None if ranges is None else tuple(r for r in ranges if _may_meet(r, fabric)),
    )


def _may_meet(addresses: PublicAddressRange, fabric: Fabric) -> bool:
    """Whether a range is bound to one of the VPCs, or to something that is not known."""
    return addresses.vpc in fabric.vpcs or (addresses.vpc is None and addresses.zone is not None)
