"""The addresses behind a security group: those of its targets, for rules whose remote names the group."""

from collections.abc import Iterable, Mapping

from vnicheck.cloud import wire
from vnicheck.cloud.parse_server import secondary_addresses
from vnicheck.model.snapshot import Server


def interface_addresses(
    vnis: Mapping[str, wire.VirtualNetworkInterface] | None, servers: Iterable[Server]
) -> dict[str, tuple[str, ...]]:
    """All addresses by the id that a target may carry: a VNI's, its attachment's, or a legacy interface's.

    Interfaces whose secondary addresses are not known are left out.
    """
    found: dict[str, tuple[str, ...]] = {}
    for read in (vnis or {}).values():
        primary = () if read.primary_ip is None else (read.primary_ip.address,)
        found[read.id] = (*primary, *secondary_addresses(read, *primary or ("",)))
    for server in servers:
        for vni in server.vnis:
            if vni.legacy:
                found[vni.id] = vni.addresses
            elif vni.id in found and vni.attachment is not None:
                found[vni.attachment.id] = found[vni.id]
    return found


def group_addresses(
    targets: tuple[wire.Target, ...] | None, addresses: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...] | None:
    """The targets' addresses, each once, in order; None where one of them (a load balancer, ...) cannot be resolved."""
    if targets is None:
        return None
    found: dict[str, None] = {}
    for target in targets:
        if target.deleted is not None:
            continue
        resolved = addresses.get(target.id)
        if resolved is None:
            return None
        found.update(dict.fromkeys(resolved))
    return tuple(found)
