"""The IP spoofing check of a VNI (IBM Cloud Docs, VPC: ip-spoofing-about, vsi_is_instance_vnics)."""

from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.model.cloud import PublicAddressRange, Vni
from vnicheck.model.config import Assumptions, OpenValue
from vnicheck.model.flow import DropCode, Scope, Stage

STAGE = Stage.IP_SPOOFING_CHECK
_TWO_SOURCES = (
    "the documentation (ip-spoofing-about) says that such packets are dropped, and the article's captures show them "
    "arriving"
)
_TWO_SENTENCES = "the documentation says that outgoing packets are checked, and elsewhere that incoming ones are too"


def spoofing_check(
    vni: Vni,
    assume: Assumptions,
    source: str,
    destination: Scope,
    *,
    siblings: frozenset[str] = frozenset(),
    sibling: OpenValue | None = None,
    translated_elsewhere: bool = False,
    public: PublicAddressRange | None = None,
) -> Check:
    """Whether a packet with this source address may leave by the VNI.

    `siblings`: the reserved addresses of the server's VNIs; `sibling`: what becomes of a packet with one of another VNI
    (`spoofing-sibling`), None: an open question. `translated_elsewhere`: the packet answers a client of a floating IP,
    and such answers may leave by any VNI (as configured). `public`: the public address range that the source is in,
    where it leaves to the internet as it is.
    """
    if source in vni.carried:
        return passes(STAGE, f"{source} is an address of {vni.name}", "spoofing-check")
    foreign = f"{source} is not an address of {vni.name}"
    to_internet = destination is Scope.INTERNET and not translated_elsewhere and public is None
    if assume.spoofing_check and vni.allow_ip_spoofing is not True and source in siblings and not to_internet:
        if sibling == "passed":
            return passes(STAGE, f"{foreign}, but of another VNI of this server (as configured)", "spoofing-sibling")
        if vni.allow_ip_spoofing is False and sibling == "dropped":
            return _dropped(f"{foreign}, which allows no IP spoofing (as configured)", "spoofing-sibling")
        if vni.allow_ip_spoofing is False:
            reason = f"{foreign}, which allows no IP spoofing, but of another VNI of this server: {_TWO_SOURCES}"
            return unknown(STAGE, reason, "spoofing-sibling")
    if vni.allow_ip_spoofing is False and assume.spoofing_check:
        return _dropped(f"{foreign}, which allows no IP spoofing", "spoofing-check")
    if to_internet:
        return _dropped(f"{foreign}, and allowing IP spoofing does not help towards the internet", "spoofing-internet")
    if not assume.spoofing_check:
        return passes(STAGE, "source addresses are not checked (as configured)", "spoofing-check")
    if vni.allow_ip_spoofing is None:
        return unknown(STAGE, f"{foreign}, and whether it allows IP spoofing was not readable", "spoofing-check")
    if public is not None:
        reason = f"{foreign}, which allows IP spoofing, but of public address range {public.name}"
        return passes(STAGE, reason, "public-ranges")
    return passes(STAGE, f"{foreign}, which allows IP spoofing", "spoofing-check")


def arrival_check(vni: Vni, assume: Assumptions, arrival: OpenValue | None) -> tuple[Check, ...]:
    """Whether a packet to an address that is not the VNI's may arrive by it: an open question (`spoofing-arrival`)
    unless `arrival` says, or the VNI allows spoofing.
    """
    if vni.allow_ip_spoofing is True or not assume.spoofing_check:
        return ()
    foreign = f"the destination is not an address of {vni.name}"
    if arrival == "passed":
        return (passes(STAGE, f"{foreign}, and arriving packets are not checked (as configured)", "spoofing-arrival"),)
    if arrival == "dropped":
        return (_dropped(f"{foreign}, and arriving packets are checked (as configured)", "spoofing-arrival"),)
    return (unknown(STAGE, f"{foreign}, and {_TWO_SENTENCES}", "spoofing-arrival"),)


def _dropped(reason: str, assumption: str) -> Check:
    return drops(STAGE, DropCode.IP_SPOOFING_CHECK, reason, assumption)
