"""Load balancers, and of the network ones their listeners and the members of their pools."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from vnicheck.cloud import wire
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.lists import Items, in_parallel, page_items
from vnicheck.cloud.region import Region
from vnicheck.cloud.wire import convert, malformed_resource
from vnicheck.model.cloud import UNSET_ADDRESS, LoadBalancer, LoadBalancerListener, LoadBalancerMember, Ref

Listed = Mapping[str, Items | CloudError]


def parse_load_balancer(item: Mapping[str, Any]) -> wire.LoadBalancer:
    """An item of `list_load_balancers`. Raises CloudError `api_malformed`."""
    return convert(item, wire.LoadBalancer, "load balancer")


def balancer_addresses(load_balancers: Iterable[wire.LoadBalancer]) -> dict[str, tuple[str, ...]]:
    """The private addresses by id, for security groups that have one as target; one that is not told all is left out.

    A balancer without any is left out too: what its packets come from is then not documented.
    """
    found = {each.id: _addresses(each.private_ips) for each in load_balancers}
    return {key: addresses for key, addresses in found.items() if addresses}


def read_load_balancers(
    client: VpcClient, region: Region, vpcs: Collection[str], missing: dict[str, str]
) -> tuple[dict[str, LoadBalancer] | None, tuple[LoadBalancerMember, ...]]:
    """The load balancers of `vpcs` (ids), and the members of all pools of the network ones.

    Calls: of a network load balancer one for its listeners and one for each pool. What could not be read is left out,
    and `missing["load_balancers"]` says so.
    """
    if region.load_balancers is None:
        return None, ()
    found: list[tuple[wire.LoadBalancer, str]] = []
    for each in region.load_balancers:
        vpc = _vpc(region, each)
        if vpc is None:
            missing.setdefault("load_balancers", f"the VPC of {each.name} is unknown: no subnet of it was read")
        elif vpc in vpcs:
            found.append((each, vpc))
    tasks: dict[str, Callable[[], Items]] = {}
    for each, _ in found:
        if _sends_to_primary(each):
            tasks[each.id] = partial(_unpaged, client, "list_load_balancer_listeners", "listeners", each.id)
            for pool in each.pools:
                method = "list_load_balancer_pool_members"
                tasks[f"{each.id} {pool.id}"] = partial(_unpaged, client, method, "members", each.id, pool.id)
    listed = in_parallel(tasks)
    balancers: dict[str, LoadBalancer] = {}
    members: list[LoadBalancerMember] = []
    for each, vpc in found:
        read = _sends_to_primary(each)
        listeners = _listeners(each, listed[each.id], missing) if read else None
        of_pools = [_members(each, vpc, pool, listed, missing) for pool in each.pools] if read else [None]
        members += [member for pool in of_pools for member in pool or ()]
        try:
            balancers[each.id] = _balancer(each, vpc, listeners, members_read=None not in of_pools)
        except ValueError as error:
            problem = malformed_resource({"name": each.name}, "load balancer", error)
            missing.setdefault("load_balancers", problem.message)
    return balancers, tuple(members)


def _sends_to_primary(load_balancer: wire.LoadBalancer) -> bool:
    """Whether it is a network load balancer whose clients keep their address (those of a private path do not)."""
    return load_balancer.profile.family.casefold() == "network" and _access_mode(load_balancer) != "private_path"


def _access_mode(read: wire.LoadBalancer) -> str | None:
    if read.access_mode is not None:
        return read.access_mode
    if read.is_private_path:
        return "private_path"
    return None if read.is_public is None else "public" if read.is_public else "private"


def _vpc(region: Region, load_balancer: wire.LoadBalancer) -> str | None:
    known = (region.fabric.subnets.get(subnet.id) for subnet in load_balancer.subnets)
    return next((subnet.vpc for subnet in known if subnet is not None), None)


def _unpaged(client: VpcClient, method: str, key: str, *ids: str) -> Items:
    """A list without pages."""
    return page_items(client, method, key, client.call(method, *ids))


def _balancer(
    read: wire.LoadBalancer, vpc: str, listeners: tuple[LoadBalancerListener, ...] | None, *, members_read: bool
) -> LoadBalancer:
    public = None if read.public_ips is None else tuple(ip.address for ip in read.public_ips)
    return LoadBalancer(
        id=read.id,
        name=read.name,
        family=read.profile.family.casefold(),
        vpc=vpc,
        profile=read.profile.name,
        subnets=tuple(subnet.id for subnet in read.subnets),
        access_mode=_access_mode(read),
        provisioning_status=read.provisioning_status,
        route_mode=read.route_mode,
        asymmetric_routing_supported=read.asymmetric_routing_supported,
        private_addresses=_addresses(read.private_ips),
        public_addresses=public,
        security_groups=None if read.security_groups is None else tuple(group.id for group in read.security_groups),
        listeners=listeners,
        members_read=members_read,
    )


def _addresses(ips: Iterable[wire.ReservedIp] | None) -> tuple[str, ...] | None:
    """None where one of them is not chosen yet."""
    addresses = None if ips is None else tuple(ip.address for ip in ips)
    return None if addresses is None or UNSET_ADDRESS in addresses else addresses


def _listeners(
    load_balancer: wire.LoadBalancer, listed: Items | CloudError, missing: dict[str, str]
) -> tuple[LoadBalancerListener, ...] | None:
    try:
        if isinstance(listed, CloudError):
            raise listed
        return tuple(map(_listener, listed))
    except CloudError as error:
        missing.setdefault("load_balancers", f"listeners of {load_balancer.name}: {error.message}")
        return None


def _listener(item: Mapping[str, Any]) -> LoadBalancerListener:
    read = convert(item, wire.LoadBalancerListener, "load balancer listener")
    first = read.port_min if read.port_min is not None else read.port
    last = read.port_max if read.port_max is not None else first
    try:
        if first is None or last is None:
            raise ValueError("it has no port")
        return LoadBalancerListener(
            id=read.id,
            protocol=read.protocol,
            port_min=first,
            port_max=last,
            pool=None if read.default_pool is None else read.default_pool.id,
        )
    except ValueError as error:
        raise malformed_resource(item, "load balancer listener", error) from None


def _members(
    load_balancer: wire.LoadBalancer, vpc: str, pool: wire.Reference, listed: Listed, missing: dict[str, str]
) -> list[LoadBalancerMember] | None:
    items = listed[f"{load_balancer.id} {pool.id}"]
    try:
        if isinstance(items, CloudError):
            raise items
        return [_member(item, load_balancer, vpc, pool) for item in items]
    except CloudError as error:
        missing.setdefault("load_balancers", f"members of {load_balancer.name}: {error.message}")
        return None


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
        weight=read.weight,
    )
