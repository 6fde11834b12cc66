"""Snapshots by region, wherever they come from: live regions, a file, a folder, or this instance itself."""

from collections.abc import Mapping

import msgspec

from vnicheck.collect.errors import CollectError, told
from vnicheck.collect.request import Asker, Request
from vnicheck.collect.stored import in_vpc, open_stored, stored_snapshots
from vnicheck.model.snapshot import Snapshot
from vnicheck.system.clock import now


def collect(request: Request, asker: Asker) -> dict[str, Snapshot]:
    """The servers that are asked for, by region; only those regions that have one of the servers that are named.

    Raises CollectError; a guest that cannot be read is a problem of its server.
    """
    if request.snapshot is not None:
        return stored_snapshots(request, request.snapshot)
    # What reads the cloud and guests is loaded only here: offline, that would be a third of a run's time.
    from vnicheck.collect.local import this_instance
    from vnicheck.collect.observed import observe

    if not request.local:
        return observe(request, asker)
    with told():
        return this_instance(asker, timeout=request.ssh.timeout)


def collect_cloud(request: Request, asker: Asker) -> dict[str, Snapshot]:
    """The servers in scope by region as the VPC has them, without their guests. Raises CollectError."""
    if request.snapshot is not None:
        stored = open_stored(request.snapshot, request.regions)
        chosen = in_vpc(stored, request.vpc, request.snapshot)
        return {
            name: msgspec.structs.replace(snapshot, servers=tuple(chosen[name]))
            for name, snapshot in stored.regions.items()
        }
    from vnicheck.collect.live import make_snapshot
    from vnicheck.collect.observed import read_regions

    with told():
        return {
            region.name: make_snapshot(region, region.servers, created_at=now(), everything=True)
            for region in read_regions(request, asker)
        }


def only(regions: Mapping[str, Snapshot]) -> Snapshot:
    """The one region of whoever looks at one at a time. Raises CollectError where there are several."""
    if len(regions) > 1:
        raise CollectError(
            f"the servers are in {len(regions)} regions ({', '.join(regions)}), and this looks at one at a time: "
            "choose with --region"
        )
    return next(iter(regions.values()))
