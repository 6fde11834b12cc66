"""Which guest interface belongs to which VNI: no API field says, so by MAC address, then by IP address."""

from collections.abc import Collection

from vnicheck.model.cloud import Vni
from vnicheck.model.guest import Interface
from vnicheck.model.snapshot import Server

_STACKED = {"bridge", "bond", "team", "vrf", "macvtap", "ipvlan"}
_LIKE_A_CARD = {"veth", "macvlan"}
"""Kinds that carry a VNI where MAC and address are both its own: the server may itself be a container, or lead a VNI
into one."""


def match_interfaces(server: Server) -> dict[str, str]:
    """The name of the guest's interface for each VNI, by VNI id.

    A VNI without one, or with several, is absent; so are those of which more than one claims the same interface.
    """
    if server.guest is None:
        return {}
    claims: dict[str, list[str]] = {}
    for vni in server.vnis:
        candidates = _candidates(vni, server)
        if len(candidates) == 1 and candidates[0].kind not in _STACKED:
            claims.setdefault(candidates[0].name, []).append(vni.id)
    return {claimants[0]: name for name, claimants in claims.items() if len(claimants) == 1}


def of_virtual_machine(server: Server, vni: Vni) -> bool:
    """Whether the VNI belongs to a virtual machine on the bare metal server (OpenShift, KVM): a VLAN interface that the
    host itself has no link for (IBM Cloud Docs: openshift vpc-vni).
    """
    guest = server.guest
    if server.kind != "bare_metal_server" or vni.interface_type != "vlan" or guest is None:
        return False
    return "interfaces" not in guest.missing and not _candidates(vni, server)


def why_unmatched(server: Server, vni: Vni) -> str:
    """Why the VNI has no guest interface."""
    guest = server.guest
    if guest is None:
        return "the guest was not collected"
    if "interfaces" in guest.missing:
        return f"the guest's interfaces: {guest.missing['interfaces']}"
    candidates = _candidates(vni, server)
    if of_virtual_machine(server, vni):
        return f"{vni.name} (VLAN {vni.vlan}) is of a virtual machine on the server: the host has no interface for it"
    if not candidates:
        key = vni.mac if vni.mac is not None else vni.primary_address
        return f"no interface of the guest belongs to {vni.name} ({key})"
    if len(candidates) == 1 and candidates[0].kind not in _STACKED:
        return f"{candidates[0].name} in the guest could belong to {vni.name} or to another VNI"
    if len(candidates) == 1:
        return f"{candidates[0].name} of {vni.name} is a {candidates[0].kind}, which is not modelled"
    names = ", ".join(interface.name for interface in candidates)
    return f"{vni.name} could be any of {names} in the guest"


def _candidates(vni: Vni, server: Server) -> list[Interface]:
    """The interfaces with the VNI's MAC and its address, or else with one of them."""
    links = server.guest.interfaces if server.guest is not None else ()
    by_mac = [link for link in links if vni.mac is not None and link.mac == vni.mac]
    by_address = [
        link
        for link in links
        if any(address.address in vni.carried for address in link.addresses)
        and (link in by_mac or vni.mac is None or link.mac is None)
    ]
    both = [link for link in by_mac if link in by_address and _may_carry(link, vni, _LIKE_A_CARD)]
    return both or [link for link in by_mac or by_address if _may_carry(link, vni)]


def _may_carry(link: Interface, vni: Vni, also: Collection[str] = ()) -> bool:
    """Whether such a device may carry the VNI's packets: one of hardware or the hypervisor, and a VLAN with the id of
    a VLAN attachment. `also`: further kinds. What is stacked on such a device may too, but is not modelled.
    """
    if link.link_type not in {"ether", None} or "LOOPBACK" in link.flags:
        return False
    if link.kind == "vlan":
        told = vni.vlan is not None and link.vlan_id is not None
        return vni.interface_type != "pci" and (not told or vni.vlan == link.vlan_id)
    if link.kind in _STACKED or link.kind in also:
        return True
    return link.kind is None and (bool(also) or not (link.elsewhere or link.peer_index is not None))
