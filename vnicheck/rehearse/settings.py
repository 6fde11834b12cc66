"""`--set NAME.FIELD=VALUE`: a server whose VPC has another setting."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from vnicheck.model.cloud import Fabric, NetworkAcl, RoutingTable, Subnet, Vni
from vnicheck.model.snapshot import Server
from vnicheck.model.words import listed, one_line

_MODES = ("auto", "enabled", "disabled")
_VNI_FIELDS = ("protocol_state_filtering_mode", "allow_ip_spoofing")
_SUBNET_FIELDS = ("network_acl", "routing_table")

N = TypeVar("N", Vni, Subnet, NetworkAcl, RoutingTable)


class SettingError(ValueError):
    """A setting that cannot be made: one line for the user."""


def with_setting(server: Server, fabric: Fabric, setting: str) -> tuple[Server, Fabric]:
    """The server and its fabric with a field of a VNI, or of a subnet, as `setting` says. Raises SettingError."""
    left, equals, value = setting.partition("=")
    name, dot, field = left.rpartition(".")
    if not (equals and dot and name and value):
        raise SettingError(f"--set {one_line(setting, 60)!r}: write NAME.FIELD=VALUE")
    if field in _VNI_FIELDS:
        changed = _with_field(_named(server.vnis, name, "VNI of this server"), field, value)
        vnis = tuple(changed if vni.id == changed.id else vni for vni in server.vnis)
        return msgspec.structs.replace(server, vnis=vnis), fabric
    if field in _SUBNET_FIELDS:
        used = {vni.subnet for vni in server.vnis}
        subnet = _named([fabric.subnets[key] for key in fabric.subnets if key in used], name, "subnet of this server")
        if field == "network_acl":
            chosen = _named(fabric.network_acls.values(), value, "network ACL").id
        else:
            tables = [table for table in fabric.routing_tables.values() if table.vpc == subnet.vpc]
            chosen = _named(tables, value, "routing table of this VPC").id
        moved = msgspec.structs.replace(subnet, **{field: chosen})
        return server, msgspec.structs.replace(fabric, subnets={**fabric.subnets, subnet.id: moved})
    known = listed([*_VNI_FIELDS, *_SUBNET_FIELDS])
    raise SettingError(f"--set: no field {one_line(field, 40)!r}; there are {known}")


def _with_field(vni: Vni, field: str, value: str) -> Vni:
    if field == "allow_ip_spoofing":
        if value not in {"true", "false"}:
            raise SettingError(f"--set {field}={one_line(value, 40)}: write true or false")
        return msgspec.structs.replace(vni, allow_ip_spoofing=value == "true")
    if value not in _MODES:
        raise SettingError(f"--set {field}={one_line(value, 40)}: write {listed(_MODES)}")
    if vni.legacy:
        raise SettingError(f"{one_line(vni.name, 40)} is a legacy interface, whose mode cannot be changed")
    return msgspec.structs.replace(vni, protocol_state_filtering_mode=value)


def _named(things: Iterable[N], name: str, kind: str) -> N:
    """The one that goes by a name or an id. Raises SettingError."""
    known = list(things)
    found = [thing for thing in known if name in {thing.name, thing.id}]
    if len(found) == 1:
        return found[0]
    if found:
        raise SettingError(f"{len(found)} go by the name {one_line(name, 40)!r}: give the id of the {kind}")
    names = listed([one_line(thing.name, 40) for thing in known[:12]]) or "none"
    raise SettingError(f"no {kind} goes by {one_line(name, 40)!r}; there is {names}")
