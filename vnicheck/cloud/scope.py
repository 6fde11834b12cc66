"""The filters `--vpc` and `--resource-group`, and close names for what was not found. Pure."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from vnicheck.cloud.errors import CloudError
from vnicheck.model.cloud import Vpc
from vnicheck.model.words import one_line

NO_SUCH_VPC = "no_such_vpc"
"""The code of the error that a region without the wanted VPC is."""


def find_vpc(vpcs: Iterable[Vpc], wanted: str, endpoint: str) -> Vpc:
    """The VPC of this id or exact name. Raises CloudError `no_such_vpc` or `ambiguous_vpc`."""
    known = list(vpcs)
    by_id = [vpc for vpc in known if vpc.id == wanted]
    found = by_id or [vpc for vpc in known if vpc.name == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(vpc.id for vpc in found[:5])
        raise CloudError("ambiguous_vpc", f"{len(found)} VPCs are named {one_line(wanted, 60)!r}: give an id ({ids})")
    hint = did_you_mean(wanted, [vpc.name for vpc in known])
    raise CloudError(NO_SUCH_VPC, f"none of the {len(known)} VPCs at {endpoint} is {one_line(wanted, 60)!r}{hint}")


def in_resource_group(item: Mapping[str, Any], wanted: str | None) -> bool:
    """Whether a resource, as the API gives it, is of the resource group with this id or name; None: any."""
    group = item.get("resource_group")
    return wanted is None or (isinstance(group, dict) and wanted in (group.get("id"), group.get("name")))


def did_you_mean(wanted: str, names: Iterable[str]) -> str:
    """`; did you mean web-1 or web-2?`, or nothing where no name is close."""
    matches = difflib.get_close_matches(wanted[:100], sorted({name[:100] for name in names}), n=3)
    return f"; did you mean {one_line(' or '.join(matches), 200)}?" if matches else ""
