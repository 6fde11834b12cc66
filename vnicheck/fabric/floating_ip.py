"""Ways between the internet and a VNI: its floating IP, or the public gateway of its subnet (outbound only).

Source: IBM Cloud Docs, VPC: fip-create, about-public-gateways.
"""

from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.fabric.load_balancer import Balanced, unread
from vnicheck.model.cloud import Fabric, Subnet, Vni
from vnicheck.model.config import Assumptions
from vnicheck.model.flow import DropCode, Stage
from vnicheck.model.words import one_line

STAGE = Stage.FLOATING_IP


def from_internet(fabric: Fabric, vni: Vni, local: str, balanced: Balanced | None = None) -> Check:
    """Whether a client of the internet can reach the address: only through a floating IP, to a primary address, or by a
    public load balancer, where `balanced` says that it sends to the port.
    """
    if (doubt := _doubt(vni, local)) is not None:
        return doubt
    if local in vni.untranslated:
        return passes(STAGE, f"{_untranslated(vni)}: packets to its floating IP {local} carry that address")
    if vni.enable_infrastructure_nat is False:
        return drops(STAGE, DropCode.NO_FLOATING_IP, f"{_untranslated(vni)}: none leads to {local}")
    if local == vni.primary_address and vni.floating_ips:
        return passes(STAGE, f"floating IP {vni.floating_ips[0].address} of {vni.name} leads to {local}")
    if balanced is not None and balanced.doubt is None:
        reason = f"public network load balancer {balanced.balancer} hands it to {vni.name}"
        return passes(STAGE, reason, "nlb-direct")
    if balanced is not None:
        reason = f"public network load balancer {balanced.balancer} has {vni.name} as member, and {balanced.doubt}"
        return unknown(STAGE, reason, "nlb-direct")
    if local == vni.primary_address and (why := _unread(fabric, vni)) is not None:
        return unknown(STAGE, f"floating IPs: {why}")
    if vni.primary and local == vni.primary_address and (why := unread(fabric)) is not None:
        return unknown(STAGE, f"load balancers, of which a public one could let it in: {why}")
    return drops(STAGE, DropCode.NO_FLOATING_IP, f"no floating IP leads to {local}")


def back_to_internet(arrived: Vni, leaves: Vni, assume: Assumptions, balanced: Balanced | None = None) -> Check:
    """Whether the reply to a client of the internet leaves by the VNI whose floating IP the client used, or to which a
    load balancer has sent the request.
    """
    if balanced is not None and not arrived.floating_ips:
        by = f"network load balancer {balanced.balancer}"
        if leaves.id == arrived.id:
            reason = f"the reply leaves by {arrived.name}, to which {by} has sent the request"
            return passes(STAGE, reason, "nlb-direct")
        reason = f"the reply leaves by {leaves.name}, and {by} has sent the request to {arrived.name}"
        return drops(STAGE, DropCode.FLOATING_IP, reason, "nlb-direct")
    if leaves.id == arrived.id:
        return passes(STAGE, f"the reply leaves by {arrived.name}, which holds the floating IP", "fip-return")
    if not assume.fip_return:
        return passes(STAGE, "the reply may leave by another VNI (as configured)", "fip-return")
    reason = f"the reply leaves by {leaves.name}, the floating IP is on {arrived.name}"
    return drops(STAGE, DropCode.FLOATING_IP, reason, "fip-return")


def to_internet(fabric: Fabric, vni: Vni, subnet: Subnet, source: str) -> Check:
    """Whether a packet from one of the VNI's own addresses gets out to the internet."""
    if (doubt := _doubt(vni, source)) is not None:
        return doubt
    if source in vni.untranslated:
        return passes(STAGE, f"{_untranslated(vni)}: {source}, its floating IP, leaves as it is")
    if vni.enable_infrastructure_nat is False:
        return drops(STAGE, DropCode.NO_FLOATING_IP, f"{_untranslated(vni)}: {source} stays what it is")
    if source == vni.primary_address and vni.floating_ips:
        return passes(STAGE, f"floating IP {vni.floating_ips[0].address} of {vni.name} stands for {source}")
    if subnet.public_gateway is not None and vni.floating_ips and source != vni.primary_address:
        reason = (
            f"{source} is a secondary address of {vni.name}, which holds a floating IP, in a subnet with a public "
            "gateway: no page says by which of them it gets out"
        )
        return unknown(STAGE, reason)
    if subnet.public_gateway is not None:
        return passes(STAGE, f"subnet {subnet.name} has a public gateway")
    if source == vni.primary_address and (why := _unread(fabric, vni)) is not None:
        return unknown(STAGE, f"floating IPs: {why}")
    if "public_gateways" in fabric.missing:
        return unknown(STAGE, f"public gateways: {fabric.missing['public_gateways']}")
    return drops(
        STAGE,
        DropCode.NO_FLOATING_IP,
        f"{source} has no floating IP and subnet {subnet.name} no public gateway",
    )


def _doubt(vni: Vni, local: str) -> Check | None:
    """Where the API does not call the floating IP of an address available."""
    translates = vni.enable_infrastructure_nat is not False
    for each in vni.floating_ips:
        if local == (vni.primary_address if translates else each.address) and each.status not in {None, "available"}:
            reason = f"floating IP {each.address} of {vni.name} is {one_line(each.status, 40)}, not available"
            return unknown(STAGE, reason)
    return None


def _unread(fabric: Fabric, vni: Vni) -> str | None:
    """Why the VNI may have a floating IP that is not known, if it may."""
    if vni.attachment is not None and vni.attachment.id == vni.id:
        return (
            f"one may be bound to the virtual network interface of attachment {vni.attachment.name}, which is not known"
        )
    return fabric.missing.get("floating_ips")


def _untranslated(vni: Vni) -> str:
    """The floating IP itself is then the packet's address, in the guest too (bare_metal_server_network, fip-create)."""
    return f"the VPC translates nothing on {vni.name} (infrastructure NAT is off)"
