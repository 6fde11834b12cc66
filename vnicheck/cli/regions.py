"""From the selection to regions as read: the same for every command that reads the cloud."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vnicheck.cli.bundles import Selection
from vnicheck.cli.failure import UserError
from vnicheck.cli.progress import Progress

if TYPE_CHECKING:
    from vnicheck.cloud.region import Region


def read_regions(instances: Sequence[str], selection: Selection, *, no_color: bool) -> "tuple[Region, ...]":
    """The regions of the selection with the servers that `instances` name (none: all in scope). Raises UserError.

    Of several, one that cannot be read has no servers, and `failure` says why; where servers are named, that is told on
    stderr, for one of them may be there.
    """
    if not all(instances):
        raise UserError("an empty INSTANCE names no server")
    from vnicheck.cloud.client import HttpSettings
    from vnicheck.cloud.connect import connect_all
    from vnicheck.cloud.errors import CloudError
    from vnicheck.collect.live import observe_regions
    from vnicheck.model.words import one_line

    try:
        with Progress("reading the VPC", no_color=no_color):
            clients = connect_all(
                selection.region or (),
                environ=os.environ,
                auth=selection.auth,
                http=HttpSettings(total=selection.api_timeout),
            )
            regions = observe_regions(clients, instances, vpc=selection.vpc, resource_group=selection.resource_group)
    except CloudError as error:
        raise UserError(error.message) from error
    for region in regions:
        if region.failure is not None and instances:
            message = f"region {region.name} was not read: {region.failure.message}"
            print(f"vnicheck: {one_line(message, 600)}", file=sys.stderr)
    return regions
