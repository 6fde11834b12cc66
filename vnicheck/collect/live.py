"""Regions as the API has them, into snapshots that have no guests yet."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from vnicheck import __version__
from vnicheck.cloud.client import HttpSettings, VpcClient
from vnicheck.cloud.complete import complete
from vnicheck.cloud.connect import connect_all
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.read import read_region
from vnicheck.cloud.region import Region
from vnicheck.cloud.regions import connect_everywhere
from vnicheck.cloud.scope import NO_SUCH_VPC
from vnicheck.cloud.select import select
from vnicheck.collect.request import Request
from vnicheck.model.cloud import Fabric
from vnicheck.model.snapshot import SCHEMA, Problem, Server, Snapshot
from vnicheck.system.workers import workers

REGIONS_AT_ONCE = 8


def connect_to(request: Request) -> tuple[Sequence[VpcClient], Mapping[str, CloudError]]:
    """A client for each region that is asked for, and why there is none for others, by name. Raises CloudError."""
    http = HttpSettings(total=request.api_timeout)
    if request.all_regions:
        return connect_everywhere(environ=os.environ, auth=request.access, http=http)
    return connect_all(request.regions, environ=os.environ, auth=request.access, http=http), {}


def observe_regions(
    clients: Sequence[VpcClient], selectors: Sequence[str], *, vpc: str | None, resource_group: str | None
) -> tuple[Region, ...]:
    """The servers that `selectors`, which may mean one of any region, name (none: all in scope), and the fabric around
    them. Raises CloudError."""
    return observe_chosen(clients, partial(select, selectors=selectors), vpc=vpc, resource_group=resource_group)


def observe_chosen(
    clients: Sequence[VpcClient],
    choose: Callable[[Sequence[Region]], Sequence[Server]],
    *,
    vpc: str | None,
    resource_group: str | None,
) -> tuple[Region, ...]:
    """The regions with the servers that `choose` takes of those read in bulk, in the order of `clients`.

    One that cannot be read leaves the others alone: it has no servers, and `failure` says why. One that has no VPC
    `vpc` while another has is left out. Raises CloudError where none can be read, and what `choose` raises.
    """
    regions = read_in_bulk(clients, vpc=vpc, resource_group=resource_group)
    with workers(min(len(clients), REGIONS_AT_ONCE), "region") as pool:
        chosen = {server.id: server for server in choose(list(regions.values()))}

        def finish(client: VpcClient, region: Region) -> Region:
            if region.failure is not None:
                return region
            within = {server.id for server in region.servers}
            try:
                return complete(client, region, [server for key, server in chosen.items() if key in within])
            except CloudError as error:
                if len(regions) == 1:
                    raise
                return _unread(client, error)

        return tuple(pool.map(finish, regions.keys(), regions.values()))


def read_in_bulk(
    clients: Sequence[VpcClient], *, vpc: str | None, resource_group: str | None
) -> dict[VpcClient, Region]:
    """The regions with all servers in scope, as the bulk lists have them, in the order of `clients`; those that cannot
    be read, or have no VPC `vpc`, as `observe_chosen` has them. Raises CloudError where none can be read.
    """
    with workers(min(len(clients), REGIONS_AT_ONCE), "region") as pool:
        read = list(pool.map(partial(_read, vpc=vpc, resource_group=resource_group), clients))
    failures = [region.failure for region in read if region.failure is not None]
    if len(failures) == len(read):
        told = next((failure for failure in failures if failure.code != NO_SUCH_VPC), failures[0])
        raise CloudError(told.code, told.message)
    return {
        client: region
        for client, region in zip(clients, read, strict=True)
        if region.failure is None or region.failure.code != NO_SUCH_VPC
    }


def _read(client: VpcClient, *, vpc: str | None, resource_group: str | None) -> Region:
    try:
        return read_region(client, vpc=vpc, resource_group=resource_group)
    except CloudError as error:
        return _unread(client, error)


def _unread(client: VpcClient, error: CloudError) -> Region:
    failure = Problem(code=error.code, message=error.message)
    return Region(
        servers=(),
        fabric=Fabric(),
        scope=client.endpoint,
        problems=(failure,),
        name=client.region,
        failure=failure,
    )


def make_snapshot(region: Region, servers: Sequence[Server], *, created_at: str, everything: bool) -> Snapshot:
    """The snapshot of what was observed. `everything`: the servers are all in scope, so unread ones matter."""
    fabric = region.fabric
    if everything and region.problems:
        missing = {**fabric.missing, "servers": region.problems[0].message}
        fabric = msgspec.structs.replace(fabric, missing=missing)
    return Snapshot(
        schema=SCHEMA, tool_version=__version__, created_at=created_at, servers=tuple(servers), fabric=fabric
    )
