"""One virtual network interface: read it, and change its filtering mode or spoofing check."""

import re
from collections.abc import Mapping
from typing import Any

from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.errors import CloudError
from vnicheck.model.words import one_line

_ROLES = {
    "protocol_state_filtering_mode": "the action is.virtual-network-interface.virtual-network-interface"
    ".manage-protocol-state-filtering-mode (role Editor on VPC Infrastructure Services)",
    "allow_ip_spoofing": "the action is.virtual-network-interface.virtual-network-interface.manage-ip-spoofing "
    "(role IP Spoofing Operator on VPC Infrastructure Services)",
}
PATCHABLE = frozenset(_ROLES)
"""What vnicheck changes of a VNI, and all that it changes in the cloud."""


_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def read_vni(client: VpcClient, vni: str) -> dict[str, Any]:
    """The patchable properties of the VNI with id `vni`, as they are now. Raises CloudError."""
    _check_id(vni)
    client.authenticate()
    answer = client.call("get_virtual_network_interface", vni)
    return {name: answer[name] for name in sorted(PATCHABLE) if name in answer}


def patch_vni(client: VpcClient, vni: str, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Changes the VNI with id `vni`; its patchable properties after that. Never retried (PATCH). Raises CloudError."""
    unknown = set(patch) - PATCHABLE
    if unknown or not patch:
        raise CloudError(
            "bad_patch", f"a VNI's patch holds one or more of {', '.join(sorted(PATCHABLE))} and nothing else"
        )
    _check_id(vni)
    client.authenticate()
    role = ", and ".join(_ROLES[name] for name in sorted(patch))
    answer = client.call("update_virtual_network_interface", vni, dict(patch), role=role)
    return {name: answer[name] for name in sorted(PATCHABLE) if name in answer}


def _check_id(vni: str) -> None:
    """Ids come from snapshots and plans, which are files, and enter a URL's path."""
    if not _ID.fullmatch(vni):
        raise CloudError("bad_vni", f"{one_line(vni, 60)!r} is not the id of a virtual network interface")
