"""The region as the metadata service and the guest's own addresses tell of it: one server, little else. Pure.

What the service does not tell is missing, with that reason, so that no verdict rests on it.
"""

from collections.abc import Mapping
from typing import Any

from vnicheck.cloud.metadata import Metadata
from vnicheck.cloud.parse_server import complete_legacy, parse_floating_ip, parse_server, parse_vni
from vnicheck.cloud.region import Region
from vnicheck.model.address import format_prefix, mask, split_prefix
from vnicheck.model.cloud import Fabric, FloatingIp, Subnet, Vni, Vpc
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Server

UNTOLD = "not told by the metadata service, only by the API"
MISSING = {
    "vpcs": f"address prefixes: {UNTOLD}",
    "security_groups": UNTOLD,
    "network_acls": UNTOLD,
    "routing_tables": UNTOLD,
    "public_gateways": UNTOLD,
    "load_balancers": UNTOLD,
    "public_address_ranges": UNTOLD,
}
"""By the keys of `Fabric.missing`."""

_CIDRS = "not told by the metadata service; CIDRs are those of the guest's own addresses"


def local_region(metadata: Metadata, guest: Guest | None) -> Region:
    """The instance (its `guest` still None) and what is known around it. Raises CloudError `api_malformed`."""
    legacy = not metadata.attachments
    floating = _floating_ips(metadata)
    server = _server(metadata, floating)
    if legacy:
        server = complete_legacy(server, _legacy_interfaces(metadata))
    known = legacy and all("floating_ips" in each for each in metadata.interfaces)
    missing = MISSING | {"subnets": _CIDRS} | ({} if known else {"floating_ips": UNTOLD})
    return Region(
        servers=(server,),
        fabric=Fabric(
            vpcs={server.vpc.id: Vpc(id=server.vpc.id, name=server.vpc.name)},
            subnets={vni.subnet: _subnet(server, vni, guest, _names(metadata)) for vni in server.vnis},
            missing=missing,
        ),
        scope="this instance",
        name=server.region,
    )


def _server(metadata: Metadata, floating_ips: Mapping[str, tuple[FloatingIp, ...]]) -> Server:
    item = {"status": "running", **metadata.instance, "network_attachments": list(metadata.attachments)}
    if metadata.attachments:
        primary = item.get("primary_network_attachment") or next(
            (each for each in metadata.attachments if each.get("type") == "primary"), None
        )
        item["primary_network_attachment"] = primary or metadata.attachments[0]
        listed = metadata.virtual_network_interfaces
        vnis = None if listed is None else {vni.id: vni for vni in map(parse_vni, listed)}
        return parse_server(item, "instance", vnis=vnis, floating_ips=floating_ips)
    item.pop("primary_network_attachment", None)
    interfaces = _legacy_interfaces(metadata)
    primary = next((each for each in interfaces if each.get("type") == "primary"), None)
    item |= {"network_interfaces": interfaces} | ({} if primary is None else {"primary_network_interface": primary})
    return parse_server(item, "instance", vnis=None, floating_ips=floating_ips)


def _legacy_interfaces(metadata: Metadata) -> list[Mapping[str, Any]]:
    """Legacy interfaces with their address where the VPC API has it; the service has had it in a field of its own."""
    return [
        each
        if "primary_ip" in each or "primary_ipv4_address" not in each
        else {**each, "primary_ip": {"address": each["primary_ipv4_address"]}}
        for each in metadata.interfaces
    ]


def _floating_ips(metadata: Metadata) -> dict[str, tuple[FloatingIp, ...]]:
    """Those that the service names with an interface, by the interface's id."""
    found: dict[str, tuple[FloatingIp, ...]] = {}
    for interface in (*(metadata.virtual_network_interfaces or ()), *metadata.interfaces):
        named = interface.get("floating_ips")
        if isinstance(named, list):
            parsed = tuple(parse_floating_ip({"name": "", **each})[1] for each in named if isinstance(each, dict))
            found[str(interface.get("id"))] = parsed
    return found


def _names(metadata: Metadata) -> dict[str, str]:
    """The subnets' names by their ids, as the interfaces name them."""
    named = [each.get("subnet") for each in (*metadata.attachments, *metadata.interfaces)]
    return {str(each.get("id")): str(each.get("name", "")) for each in named if isinstance(each, dict)}


def _subnet(server: Server, vni: Vni, guest: Guest | None, names: Mapping[str, str]) -> Subnet:
    """A subnet of which only the guest says how large it is; without that, no more than the VNI's own address."""
    lengths = [
        split_prefix(address.prefix)[1]
        for other in server.vnis
        if other.subnet == vni.subnet
        for interface in (guest.interfaces if guest is not None else ())
        for address in interface.addresses
        if address.address in other.addresses
    ]
    length = max(lengths, default=32)
    network = split_prefix(vni.primary_address)[0] & mask(length)
    return Subnet(
        id=vni.subnet,
        name=names.get(vni.subnet, vni.subnet),
        cidr=format_prefix(network, length),
        zone=server.zone,
        vpc=server.vpc.id,
    )
