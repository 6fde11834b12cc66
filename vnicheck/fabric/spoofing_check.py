"""The IP spoofing check of a VNI (IBM Cloud Docs, VPC: ip-spoofing-about)."""

from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.model.cloud import Vni
from vnicheck.model.config import Assumptions
from vnicheck.model.flow import DropCode, Scope

STAGE = "ip_spoofing_check"


def spoofing_check(
    vni: Vni, assume: Assumptions, source: str, destination: Scope, *, translated_elsewhere: bool = False
) -> Check:
    """Whether a packet with this source address may leave by the VNI.

    `translated_elsewhere`: it answers a client of a floating IP, and such answers may leave by any VNI (as configured).
    """
    if source in vni.addresses:
        return passes(STAGE, f"{source} is an address of {vni.name}", "spoofing-check")
    foreign = f"{source} is not an address of {vni.name}"
    if vni.allow_ip_spoofing is False and assume.spoofing_check:
        return drops(STAGE, DropCode.IP_SPOOFING_CHECK, f"{foreign}, which allows no IP spoofing", "spoofing-check")
    if destination is Scope.INTERNET and not translated_elsewhere:
        return drops(
            STAGE,
            DropCode.IP_SPOOFING_CHECK,
            f"{foreign}, and allowing IP spoofing does not help towards the internet",
            "spoofing-internet",
        )
    if not assume.spoofing_check:
        return passes(STAGE, "source addresses are not checked (as configured)", "spoofing-check")
    if vni.allow_ip_spoofing is None:
        return unknown(STAGE, f"{foreign}, and whether it allows IP spoofing was not readable", "spoofing-check")
    return passes(STAGE, f"{foreign}, which allows IP spoofing", "spoofing-check")
