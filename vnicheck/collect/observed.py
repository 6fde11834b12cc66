"""Snapshots of live regions: the cloud first, then the guests."""

from vnicheck.cloud.region import Region
from vnicheck.collect.errors import told
from vnicheck.collect.guests import collect_guests
from vnicheck.collect.live import connect_to, make_snapshot, observe_regions
from vnicheck.collect.request import Asker, Request
from vnicheck.collect.saved_guests import SavedGuests
from vnicheck.model.snapshot import Snapshot
from vnicheck.system.clock import now


def read_regions(request: Request, asker: Asker) -> tuple[Region, ...]:
    """The regions with the servers that are named (none: all in scope), and what is around them. Raises CloudError.

    Of several, one that cannot be read has no servers, and `failure` says why; where servers are named, that is told,
    for one of them may be there.
    """
    with asker.watch("reading the VPC"):
        clients, _ = connect_to(request)
        regions = observe_regions(clients, request.servers, vpc=request.vpc, resource_group=request.resource_group)
    for region in regions:
        if region.failure is not None and request.servers:
            asker.tell(f"region {region.name} was not read: {region.failure.message}")
    return regions


def observe(request: Request, asker: Asker) -> dict[str, Snapshot]:
    """The servers that are asked for, by region. Raises CollectError."""
    saved = SavedGuests(request, asker)
    whole = not request.servers
    with told():
        regions = read_regions(request, asker)
        created_at = now()
        servers = [server for region in regions for server in region.servers]
        given = saved.results(servers, scope=", ".join(region.scope for region in regions), whole=whole)
        done = {server.id: server for server in collect_guests(servers, given, request, asker)}
    return {
        region.name: make_snapshot(
            region, [done[server.id] for server in region.servers], created_at=created_at, everything=whole
        )
        for region in regions
        if region.servers or whole
    }
