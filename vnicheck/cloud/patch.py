"""Changing a VNI: only the fields that were planned, only if nobody changed them meanwhile, and read back."""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from msgspec import Struct

from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.errors import CloudError, funnel, malformed
from vnicheck.model.words import one_line

SETTLING = 90.0
"""Seconds that a changed VNI may take until it is stable."""
_POLL = 1.0
_FROM_BETWEEN = frozenset({502, 504})
"""What a gateway says that got no answer itself."""
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
    sending: Callable[[], None] = lambda: None,
    patience: float = SETTLING,
) -> bool:
    """Changes one field from `old` to `new`, waits until the VNI is stable, and reads the value back. Whether it did:
    False where the value was `new` already.

    `action`: the IAM action that this needs beside updating. `sending` runs right before the PATCH. `patience`: seconds
    for the waits. Raises CloudError: `vni_changed` where the field is neither before the change, `vni_not_stable`,
    `vni_not_patched` where it does not hold afterwards, `patch_unanswered` where the PATCH got no answer and the value
    is still not `new` when time is up (it may yet become so), and those of every call. After an error the field may
    have either value: read it.
    """
    before = _settled(client, vni, sleep, patience)
    held = before.fields.get(field)
    if held == new:
        return False
    if held != old:
        shown = one_line(repr(held), 60)
        raise CloudError(
            "vni_changed", f"{field} of {vni} is {shown}, no longer {old!r}: somebody changed it meanwhile"
        )
    sending()
    try:
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
    except CloudError as error:
        if not _may_have_arrived(error):
            raise
        _await_value(client, vni, field, new, error, sleep, patience)
    after = _settled(client, vni, sleep, patience)
    if after.fields.get(field) != new:
        shown = one_line(repr(after.fields.get(field)), 60)
        raise CloudError("vni_not_patched", f"{field} of {vni} was set to {new!r} and reads {shown}")
    return True


def _may_have_arrived(error: CloudError) -> bool:
    """Whether the API may act on the PATCH although it did not say so: it was sent, and what answered, if anything did,
    was not the API itself.
    """
    from requests.exceptions import ConnectTimeout
    from urllib3.exceptions import NewConnectionError, ProxyError, SSLError

    cause = error.__context__
    reason = getattr(cause.args[0], "reason", None) if cause is not None and cause.args else None
    if isinstance(cause, ConnectTimeout) or isinstance(reason, (NewConnectionError, ProxyError, SSLError)):
        return False
    if error.code == "api_server_error":
        return getattr(cause, "status_code", None) in _FROM_BETWEEN
    return error.code in {"api_timeout", "api_unreachable", "api_malformed"}


def _await_value(
    client: VpcClient,
    vni: str,
    field: str,
    new: Value,
    error: CloudError,
    sleep: Callable[[float], None],
    patience: float,
) -> None:
    """Returns when the value is there. Raises CloudError `patch_unanswered` when time is up."""
    until, waited = time.monotonic() + patience, 0.0
    while True:
        with suppress(CloudError):
            if read_vni(client, vni).fields.get(field) == new:
                return
        if time.monotonic() >= until or waited >= patience:
            raise CloudError(
                "patch_unanswered",
                f"whether {field} of {vni} becomes {new!r} is not known: the PATCH got no answer, and {patience:.0f} s "
                f"later it was not so ({error.message})",
            )
        sleep(_POLL)
        waited += _POLL


def _settled(client: VpcClient, vni: str, sleep: Callable[[float], None], patience: float) -> VniState:
    """The VNI once it is stable."""
    waited = 0.0
    while True:
        state = read_vni(client, vni)
        if state.lifecycle not in _UNDER_WAY:
            break
        if waited >= patience:
            raise CloudError("vni_not_stable", f"{vni} is {state.lifecycle} for more than {patience:.0f} s")
        sleep(_POLL)
        waited += _POLL
    if state.lifecycle not in {"stable", ""}:
        raise CloudError("vni_not_stable", f"{vni} is {one_line(state.lifecycle, 40)}, not stable")
    return state
