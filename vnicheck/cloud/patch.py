"""Changing a VNI: only the fields that were planned, only if nobody changed them meanwhile, and read back."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.errors import CloudError, funnel, malformed
from vnicheck.model.words import one_line

SETTLING = 90.0
"""Seconds that a changed VNI may take until it is stable."""
_POLL = 1.0
_VNI_ID = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
"""What may stand in a path: the id comes from a snapshot or a ledger, and may hold anything."""
_UNDER_WAY = frozenset({"pending", "updating", "waiting"})

Value = str | bool


class VniState(Struct, frozen=True):
    """A VNI as read: its fields, its entity tag (empty where the API gave none), and its lifecycle state."""

    fields: Mapping[str, Any]
    etag: str
    lifecycle: str


def read_vni(client: VpcClient, vni: str) -> VniState:
    """The VNI as it is. Raises CloudError, `vni_id` for what is no id."""
    if _VNI_ID.fullmatch(vni) is None:
        raise CloudError("vni_id", f"{one_line(repr(vni), 60)} is no id of a VNI: nothing was asked")
    name = "get_virtual_network_interface"
    with funnel(name, endpoint=client.endpoint, credential=client.credential, secrets=client.secrets):
        response = client.service.get_virtual_network_interface(id=vni)
        fields = response.get_result()
        headers = response.get_headers() or {}
    if not isinstance(fields, dict) or fields.get("id") != vni:
        raise malformed(name, client.endpoint, "the answer is not the VNI that was asked for")
    state = fields.get("lifecycle_state")
    return VniState(fields, str(headers.get("ETag") or ""), state if isinstance(state, str) else "")


def patch_vni(
    client: VpcClient,
    vni: str,
    *,
    field: str,
    old: Value,
    new: Value,
    action: str,
    sleep: Callable[[float], None],
) -> None:
    """Changes one field from `old` to `new`, waits until the VNI is stable, and reads the value back.

    `action`: the IAM action that this needs beside updating. Raises CloudError: `vni_changed` where the field is
    neither before the change, `vni_not_stable`, `vni_not_patched` where it does not hold afterwards, and those of
    every call. After an error the field may have either value: read it.
    """
    before = _settled(client, vni, sleep)
    held = before.fields.get(field)
    if held == new:
        return
    if held != old:
        shown = one_line(repr(held), 60)
        raise CloudError(
            "vni_changed", f"{field} of {vni} is {shown}, no longer {old!r}: somebody changed it meanwhile"
        )
    with funnel(
        "update_virtual_network_interface",
        endpoint=client.endpoint,
        credential=client.credential,
        secrets=client.secrets,
        role=f"the IAM action {action}",
    ):
        client.service.update_virtual_network_interface(
            id=vni, virtual_network_interface_patch={field: new}, if_match=before.etag or None
        )
    after = _settled(client, vni, sleep)
    if after.fields.get(field) != new:
        shown = one_line(repr(after.fields.get(field)), 60)
        raise CloudError("vni_not_patched", f"{field} of {vni} was set to {new!r} and reads {shown}")


def _settled(client: VpcClient, vni: str, sleep: Callable[[float], None]) -> VniState:
    """The VNI once it is stable."""
    waited = 0.0
    while True:
        state = read_vni(client, vni)
        if state.lifecycle not in _UNDER_WAY:
            break
        if waited >= SETTLING:
            raise CloudError("vni_not_stable", f"{vni} is {state.lifecycle} for more than {SETTLING:.0f} s")
        sleep(_POLL)
        waited += _POLL
    if state.lifecycle not in {"stable", ""}:
        raise CloudError("vni_not_stable", f"{vni} is {one_line(state.lifecycle, 40)}, not stable")
    return state
