"""Protocol state filtering of a VNI (IBM Cloud Docs, VPC: vni-about)."""

from typing import Literal

from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.model.cloud import Vni
from vnicheck.model.config import Assumptions
from vnicheck.model.flow import DropCode, Protocol, Stage

STAGE = Stage.PROTOCOL_STATE_FILTERING


def effective_filtering(vni: Vni, *, auto_filters: bool) -> Literal["enabled", "disabled"] | None:
    """What the VNI's mode comes to; None where it is not known or not one we know.

    `auto_filters`: what mode auto means on this server (assumption `psf-auto`).
    """
    mode = "auto" if vni.legacy else vni.protocol_state_filtering_mode
    if mode == "auto":
        return "enabled" if auto_filters else "disabled"
    if mode == "enabled":
        return "enabled"
    return "disabled" if mode == "disabled" else None


def state_filter(vni: Vni, assume: Assumptions, protocol: Protocol, *, auto_filters: bool, saw_opening: bool) -> Check:
    """Whether the VNI passes a packet of a flow whose opening packet it has, or has not, seen."""
    if saw_opening:
        return passes(STAGE, f"{vni.name} sees the flow's opening packet", "psf-opening")
    if protocol not in assume.psf_protocols:
        return passes(STAGE, f"{protocol} is not state-filtered", "psf-protocols")
    if not assume.psf_opening:
        return passes(STAGE, "no opening packet is needed (as configured)", "psf-opening")
    opening = "SYN" if protocol is Protocol.TCP else "opening packet"
    mode = "legacy interface, as auto" if vni.legacy else f"mode {vni.protocol_state_filtering_mode}"
    match effective_filtering(vni, auto_filters=auto_filters):
        case "enabled":
            return drops(
                STAGE,
                DropCode.PROTOCOL_STATE_FILTERING,
                f"{vni.name} filters protocol states ({mode}) and has seen no {opening} of this connection",
                "psf-opening",
            )
        case "disabled":
            by_mode = "psf-auto" if vni.protocol_state_filtering_mode == "auto" or vni.legacy else None
            return passes(STAGE, f"{vni.name} does not filter protocol states ({mode})", by_mode)
        case None if vni.protocol_state_filtering_mode is None:
            return unknown(STAGE, f"the protocol state filtering mode of {vni.name} was not readable")
        case None:
            return unknown(STAGE, f"{vni.name} has a protocol state filtering mode that is not modelled ({mode})")
