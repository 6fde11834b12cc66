"""`--local`: the instance that this runs on, from its metadata service and its own shell, without key or SSH."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vnicheck.cli.bundles import Selection, Ssh
from vnicheck.cli.clock import now
from vnicheck.cli.failure import UserError, refuse_given
from vnicheck.cli.progress import Progress

if TYPE_CHECKING:
    from vnicheck.model.snapshot import Snapshot

URL = "VNICHECK_METADATA_URL"


def gather_local(selection: Selection, ssh: Ssh, *, snapshot: Path | None, no_color: bool) -> "dict[str, Snapshot]":
    """The snapshot of this instance, under its region. Raises UserError."""
    refused = {
        "--snapshot": snapshot,
        "--region": selection.region,
        "--vpc": selection.vpc,
        "--resource-group": selection.resource_group,
        "--auth": selection.auth,
        "--guest": selection.guest,
        "--guest-dir": selection.guest_dir,
    }
    refuse_given(refused, "--local, which looks at this instance alone")

    from vnicheck.cloud.errors import CloudError
    from vnicheck.cloud.local import local_region
    from vnicheck.cloud.metadata import DEFAULT_URL, read_metadata
    from vnicheck.collect.live import make_snapshot
    from vnicheck.guest.local import collect_local
    from vnicheck.model.guest import Guest
    from vnicheck.model.snapshot import with_guest

    try:
        with Progress("asking the metadata service", no_color=no_color):
            metadata = read_metadata(os.environ.get(URL, "").strip() or DEFAULT_URL)
        created_at = now()
        with Progress("collecting this guest", no_color=no_color):
            result = collect_local(timeout=ssh.timeout)
        region = local_region(metadata, result if isinstance(result, Guest) else None)
    except CloudError as error:
        raise UserError(error.message) from error
    servers = [with_guest(server, result) for server in region.servers]
    return {region.name: make_snapshot(region, servers, created_at=created_at, everything=False)}
