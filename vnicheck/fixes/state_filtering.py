"""Disable protocol state filtering on exactly the VNIs that see half of a connection, and allow IP spoofing on those
that send from another's address, where that is known to help (IBM Cloud Docs, VPC: vni-about, ip-spoofing-about).
"""

from collections.abc import Iterable

from vnicheck.findings.facts import Facts
from vnicheck.fixes.effects import Effect, PatchVni, VniField
from vnicheck.model.cloud import Vni
from vnicheck.model.flow import DropCode, Flow, Scope

MODE: VniField = "protocol_state_filtering_mode"
SPOOFING: VniField = "allow_ip_spoofing"


def propose(facts: Facts, flows: Iterable[Flow]) -> tuple[Effect, ...]:
    """The patches of VNIs at which these flows are dropped. A legacy interface cannot be patched."""
    modes: dict[str, Effect] = {}
    spoofing: dict[str, Effect] = {}
    for flow in flows:
        for drop in flow.drops:
            vni = facts.vni_named(drop.at)
            if vni is None or vni.legacy:
                continue
            mode = vni.protocol_state_filtering_mode
            if drop.by is DropCode.PROTOCOL_STATE_FILTERING and mode is not None:
                modes[vni.id] = _patch(vni, MODE, mode, "disabled")
            if drop.by is DropCode.IP_SPOOFING_CHECK and may_spoof(vni) and flow.remote_scope is not Scope.INTERNET:
                spoofing[vni.id] = _patch(vni, SPOOFING, old=False, new=True)
    return (*modes.values(), *spoofing.values())


def may_spoof(vni: Vni) -> bool:
    """Whether IP spoofing can be allowed where it is not: not on a legacy interface, nor where infrastructure NAT is
    off: the VPC refuses that (IBM Cloud Docs, VPC: bare_metal_server_network).
    """
    return vni.allow_ip_spoofing is False and vni.enable_infrastructure_nat is not False and not vni.legacy


def _patch(vni: Vni, field: VniField, old: str | bool, new: str | bool) -> Effect:
    return PatchVni(vni=vni.id, name=vni.name, field=field, old=old, new=new)
