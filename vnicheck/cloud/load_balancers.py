"""Load balancers, and the members of the network ones' pools."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from vnicheck.cloud import wire
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.lists import Items, in_parallel, page_items
from vnicheck.cloud.region import Region
from vnicheck.cloud.wire import convert
from vnicheck.model.cloud import LoadBalancerMember, Ref


def parse_load_balancer(item: Mapping[str, Any]) -> wire.LoadBalancer:
    """An item of `list_load_balancers`. Raises CloudError `api_malformed`."""
    return convert(item, wire.LoadBalancer, "load balancer")


def sends_to_primary(load_balancer: wire.LoadBalancer) -> bool:
    """Whether it is a network load balancer whose clients keep their address (those of a private path do not)."""
    return load_balancer.profile.family.casefold() == "network" and not load_balancer.is_private_path


def read_members(
    client: VpcClient, region: Region, vpcs: Collection[str], missing: dict[str, str]
) -> tuple[LoadBalancerMember, ...]:
    """The members of all pools of the region's load balancers in `vpcs` (ids), one call for each pool.

    What could not be read is left out, and `missing["load_balancers"]` says so.
    """
    tasks: dict[str, Callable[[], Items]] = {}
    pools: list[tuple[wire.LoadBalancer, str, wire.Reference, str]] = []
    for load_balancer in region.load_balancers:
        vpc = _vpc(region, load_balancer)
        if vpc is None:
            missing.setdefault(
                "load_balancers", f"the VPC of {load_balancer.name} is unknown: no subnet of it was read"
            )
        elif vpc in vpcs:
            for pool in load_balancer.pools:
                task = f"{load_balancer.id} {pool.id}"
                tasks[task] = partial(_pool_members, client, load_balancer.id, pool.id)
                pools.append((load_balancer, vpc, pool, task))
    listed = in_parallel(tasks)
    members: list[LoadBalancerMember] = []
    for load_balancer, vpc, pool, task in pools:
        items = listed[task]
        try:
            if isinstance(items, CloudError):
                raise items
            members.extend(_member(item, load_balancer, vpc, pool) for item in items)
        except CloudError as error:
            missing.setdefault("load_balancers", f"members of {load_balancer.name}: {error.message}")
    return tuple(members)


def _vpc(region: Region, load_balancer: wire.LoadBalancer) -> str | None:
    known = (region.fabric.subnets.get(subnet.id) for subnet in load_balancer.subnets)
    return next((subnet.vpc for subnet in known if subnet is not None), None)


def _pool_members(client: VpcClient, load_balancer: str, pool: str) -> Items:
    """`list_load_balancer_pool_members` has no pages."""
    method = "list_load_balancer_pool_members"
    return page_items(client, method, "members", client.call(method, load_balancer, pool))


def _member(
    item: Mapping[str, Any], load_balancer: wire.LoadBalancer, vpc: str, pool: wire.Reference
) -> LoadBalancerMember:
    read = convert(item, wire.LoadBalancerMember, "load balancer member")
    target = read.target
    return LoadBalancerMember(
        load_balancer=Ref(id=load_balancer.id, name=load_balancer.name),
        family=load_balancer.profile.family.casefold(),
        vpc=vpc,
        pool=Ref(id=pool.id, name=pool.name),
        address=target.address,
        instance=target.id if target.address is None and target.resource_type in (None, "instance") else None,
        port=read.port,
    )
