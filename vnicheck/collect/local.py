"""The instance that this runs on, from its metadata service and its own shell, without key or SSH."""

import os

from vnicheck.cloud.local import local_region
from vnicheck.cloud.metadata import DEFAULT_URL, read_metadata
from vnicheck.collect.live import make_snapshot
from vnicheck.collect.request import Asker
from vnicheck.guest.local import collect_local
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Snapshot, with_guest
from vnicheck.system.clock import now

URL = "VNICHECK_METADATA_URL"


def this_instance(asker: Asker, *, timeout: float) -> dict[str, Snapshot]:
    """The snapshot of this instance, under its region. `timeout`: seconds for the guest. Raises CloudError."""
    with asker.watch("asking the metadata service"):
        metadata = read_metadata(os.environ.get(URL, "").strip() or DEFAULT_URL)
    created_at = now()
    with asker.watch("collecting this guest"):
        result = collect_local(timeout=timeout)
    region = local_region(metadata, result if isinstance(result, Guest) else None)
    servers = [with_guest(server, result) for server in region.servers]
    return {region.name: make_snapshot(region, servers, created_at=created_at, everything=False)}
