"""Whether a server's interfaces are all there, held against what the API says of them elsewhere. Pure.

The API tells of a server's interfaces in four places: its network attachments, its primary one, its network interfaces
(of which there is one for each attachment), and the targets of virtual network interfaces. Where they disagree, an
interface is missing of which nothing would be known: the server would be checked without it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from vnicheck.model.snapshot import INTERFACES_UNREAD, Problem, Server
from vnicheck.model.words import one_line

Item = Mapping[str, Any]

_OF_SERVER = re.compile(r"/(?:instances|bare_metal_servers)/([^/?]+)/network_attachments/[^/?]+")


def bound_vnis(items: Iterable[Item]) -> dict[str, set[str]]:
    """The ids of the virtual network interfaces that say that they are attached to a server, by the server's id."""
    bound: dict[str, set[str]] = {}
    for item in items:
        target = item.get("target")
        href = target.get("href") if isinstance(target, dict) else None
        match = _OF_SERVER.search(href) if isinstance(href, str) else None
        if match is not None and isinstance(item.get("id"), str):
            bound.setdefault(match[1], set()).add(item["id"])
    return bound


def interfaces_unread(item: Item, server: Server, bound: Mapping[str, set[str]]) -> Problem | None:
    """The problem of a server of which some interfaces were not told; None where nothing says so. `item` is the
    server as the API has it, `bound` comes from `bound_vnis`.
    """
    listed = {vni.id for vni in server.vnis}
    beside = item.get("network_interfaces")
    beside_count = len(beside) if isinstance(beside, list) else 0
    more = sorted(bound.get(server.id, set()) - listed)
    if not server.vnis:
        why = "the API tells none"
    elif not any(vni.primary for vni in server.vnis):
        why = "the primary one is not among those that the API tells"
    elif more:
        why = f"{one_line(', '.join(more), 120)} say that they are attached to it, and it does not tell them"
    elif beside_count > len(server.vnis):
        why = f"the API tells {len(server.vnis)} network attachments, and {beside_count} network interfaces"
    else:
        return None
    return Problem(code=INTERFACES_UNREAD, message=f"not all of its interfaces are known: {why}")
