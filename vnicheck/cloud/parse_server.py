"""Servers and their interfaces, from the API's plain JSON to the model. Pure; all raise CloudError `api_malformed`."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from vnicheck.cloud import wire
from vnicheck.cloud.wire import convert, malformed_resource
from vnicheck.model.cloud import UNSET_ADDRESS, FloatingIp, Ref, ServerKind, Vni
from vnicheck.model.snapshot import Problem, Server
from vnicheck.model.words import one_line

Item = Mapping[str, Any]

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def parse_server(
    item: Item,
    kind: ServerKind,
    *,
    vnis: Mapping[str, wire.VirtualNetworkInterface] | None,
    floating_ips: Mapping[str, tuple[FloatingIp, ...]],
    region: str = "",
) -> Server:
    """An item of `list_instances` or `list_bare_metal_servers`.

    `vnis` by id, None where their list was not readable: then their mode, spoofing check, security groups and secondary
    addresses are unknown, and a problem says so. An attachment that does not name its VNI has the one whose target it
    is. `floating_ips` by the id of their target, which may be the VNI, the
    network attachment or the legacy interface. A server without `primary_network_attachment` has legacy interfaces, of
    which only name, subnet and primary address are known until `complete_legacy`.
    """
    label = "instance" if kind == "instance" else "bare metal server"
    read = convert(item, wire.Server, label)
    problems: list[Problem] = []
    if read.primary_network_attachment is not None:
        primary = read.primary_network_attachment.id
        targets = {vni.target.id: vni for vni in (vnis or {}).values() if vni.target is not None}
        interfaces = [
            _attached(attachment, primary, vnis, targets, floating_ips, problems)
            for attachment in read.network_attachments or []
        ]
    else:
        primary = read.primary_network_interface.id if read.primary_network_interface else ""
        interfaces = [_legacy(interface, primary, floating_ips) for interface in read.network_interfaces or []]
    interfaces.sort(key=lambda interface: not interface["primary"])
    problems.extend(
        Problem(code="address_pending", message=one_line(f"{interface['name']} has no address yet"))
        for interface in interfaces
        if interface["primary_address"] == UNSET_ADDRESS
    )
    try:
        return Server(
            id=read.id,
            name=read.name,
            crn=read.crn,
            kind=kind,
            vpc=Ref(id=read.vpc.id, name=read.vpc.name),
            zone=read.zone.name,
            region=region or re.sub(r"-\d+$", "", read.zone.name),
            status=read.status,
            image=None if read.image is None or not read.image.name else read.image.name,
            profile=None if read.profile is None or not read.profile.name else read.profile.name,
            vnis=tuple(Vni(**interface) for interface in interfaces),
            problems=tuple(problems),
        )
    except ValueError as error:
        raise malformed_resource(item, label, error) from None


def parse_vni(item: Item) -> wire.VirtualNetworkInterface:
    """An item of `list_virtual_network_interfaces`. It becomes a model Vni where a server's attachment names it."""
    return convert(item, wire.VirtualNetworkInterface, "virtual network interface")


def parse_floating_ip(item: Item) -> tuple[str | None, FloatingIp]:
    """An item of `list_floating_ips`: the id of its target, and the address."""
    read = convert(item, wire.FloatingIp, "floating IP")
    try:
        target = read.target.id if read.target else None
        return target, FloatingIp(id=read.id, name=read.name, address=read.address, status=read.status, target=target)
    except ValueError as error:
        raise malformed_resource(item, "floating IP", error) from None


def complete_legacy(server: Server, items: Iterable[Item]) -> Server:
    """`server` with what `list_instance_network_interfaces` or its bare metal namesake says of its legacy interfaces.

    They have no filtering mode; an instance's have no MAC address either.
    """
    read = {r.id: r for r in (convert(item, wire.NetworkInterface, "network interface") for item in items)}
    vnis = []
    for vni in server.vnis:
        more = read.get(vni.id)
        if more is None:
            vnis.append(vni)
            continue
        vnis.append(
            msgspec.structs.replace(
                vni,
                allow_ip_spoofing=more.allow_ip_spoofing,
                security_groups=_ids(more.security_groups),
                mac=_mac(more.mac_address),
                interface_type=more.interface_type,
                vlan=more.vlan,
                enable_infrastructure_nat=more.enable_infrastructure_nat,
            )
        )
    return _with_vnis(server, vnis)


def complete_bare_metal(server: Server, items: Iterable[Item]) -> Server:
    """`server` with the interface types and VLANs of `list_bare_metal_server_network_attachments`."""
    read = {r.id: r for r in (convert(item, wire.BareMetalAttachment, "network attachment") for item in items)}
    vnis = []
    for vni in server.vnis:
        more = read.get(vni.attachment.id) if vni.attachment else None
        vnis.append(
            vni if more is None else msgspec.structs.replace(vni, interface_type=more.interface_type, vlan=more.vlan)
        )
    return _with_vnis(server, vnis)


def secondary_addresses(read: wire.VirtualNetworkInterface, primary: str) -> tuple[str, ...]:
    """The addresses of a VNI but its primary one, in the API's order."""
    return tuple(ip.address for ip in read.ips if ip.address not in (primary, UNSET_ADDRESS))


def _attached(
    attachment: wire.Attachment,
    primary: str,
    vnis: Mapping[str, wire.VirtualNetworkInterface] | None,
    targets: Mapping[str, wire.VirtualNetworkInterface],
    floating_ips: Mapping[str, tuple[FloatingIp, ...]],
    problems: list[Problem],
) -> dict[str, Any]:
    named = attachment.virtual_network_interface
    read = targets.get(attachment.id) if named is None else (vnis or {}).get(named.id)
    of = named or read
    known: dict[str, Any] = {
        "id": attachment.id if of is None else of.id,
        "name": attachment.name if of is None else of.name,
        "crn": None if of is None else of.crn,
        "attachment": Ref(id=attachment.id, name=attachment.name),
        "primary": attachment.id == primary,
        "subnet": attachment.subnet.id,
        "primary_address": attachment.primary_ip.address,
        "floating_ips": (*(() if of is None else floating_ips.get(of.id, ())), *floating_ips.get(attachment.id, ())),
    }
    if read is None:
        where = "one whose target it is" if named is None else "it"
        why = (
            "the list of virtual network interfaces was not readable"
            if vnis is None
            else f"{where} is not in their list"
        )
        what = f"of the attachment {attachment.name}" if of is None else of.name or of.id
        problems.append(
            Problem(
                code="vni_unreadable",
                message=f"virtual network interface {one_line(what, 80)}: {why}; "
                "its filtering mode, spoofing check, security groups and secondary addresses are unknown",
            )
        )
        return known
    return known | {
        "mac": _mac(read.mac_address),
        "secondary_addresses": secondary_addresses(read, attachment.primary_ip.address),
        "security_groups": _ids(read.security_groups),
        "protocol_state_filtering_mode": read.protocol_state_filtering_mode,
        "allow_ip_spoofing": read.allow_ip_spoofing,
        "enable_infrastructure_nat": read.enable_infrastructure_nat,
    }


def _legacy(
    interface: wire.InterfaceReference, primary: str, floating_ips: Mapping[str, tuple[FloatingIp, ...]]
) -> dict[str, Any]:
    return {
        "id": interface.id,
        "name": interface.name,
        "legacy": True,
        "primary": interface.id == primary,
        "subnet": interface.subnet.id,
        "primary_address": interface.primary_ip.address,
        "floating_ips": floating_ips.get(interface.id, ()),
    }


def _ids(references: list[wire.Reference] | None) -> tuple[str, ...] | None:
    return None if references is None else tuple(reference.id for reference in references)


def _mac(text: str | None) -> str | None:
    """In lower case, as the guest shows it; None where it is none."""
    lower = text.lower() if text is not None else ""
    return lower if _MAC.fullmatch(lower) else None


def _with_vnis(server: Server, vnis: list[Vni]) -> Server:
    return msgspec.structs.replace(server, vnis=tuple(vnis))
