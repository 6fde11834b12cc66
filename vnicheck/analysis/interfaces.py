"""A server's interfaces as the report shows them: guest and VPC side by side."""

from msgspec import UNSET

from vnicheck.engine.server_view import ServerView
from vnicheck.fabric.state_filter import effective_filtering
from vnicheck.model.cloud import Vni
from vnicheck.model.guest import Guest, Interface
from vnicheck.model.report import InterfaceSummary, RpFilter, VniSummary


def interface_summaries(view: ServerView) -> tuple[InterfaceSummary, ...]:
    """The VNIs in the VPC's order with their guest interfaces, then the guest's other interfaces but loopback."""
    guest = view.server.guest
    links = {link.name: link for link in guest.interfaces} if guest is not None else {}
    summaries = []
    for vni in view.server.vnis:
        name = view.interface_of.get(vni.id)
        summaries.append(_summary(view, links[name] if name is not None else None, vni))
    taken = set(view.interface_of.values()) | {"lo"}
    summaries.extend(_summary(view, link, None) for link in links.values() if link.name not in taken)
    return tuple(summaries)


def _summary(view: ServerView, link: Interface | None, vni: Vni | None) -> InterfaceSummary:
    guest = view.server.guest
    mac = link.mac if link is not None and link.mac is not None else (vni.mac if vni is not None else None)
    return InterfaceSummary(
        name=link.name if link is not None else (vni.name if vni is not None else ""),
        mac=mac,
        addresses=tuple(address.prefix for address in link.addresses) if link is not None else (),
        rp_filter=_rp_filter(guest, link),
        vni=_vni_summary(view, vni) if vni is not None else None,
        in_guest=link is not None,
    )


def _rp_filter(guest: Guest | None, link: Interface | None) -> RpFilter:
    if guest is None or link is None:
        return RpFilter(all=None, interface=None, effective=None)
    everywhere = guest.sysctls.get("net/ipv4/conf/all/rp_filter")
    own = guest.sysctls.get(f"net/ipv4/conf/{link.name}/rp_filter")
    effective = None if everywhere is None or own is None else max(everywhere, own)
    return RpFilter(all=everywhere, interface=own, effective=effective)


def _vni_summary(view: ServerView, vni: Vni) -> VniSummary:
    return VniSummary(
        id=vni.id,
        name=vni.name,
        protocol_state_filtering_mode="auto" if vni.legacy else vni.protocol_state_filtering_mode,
        protocol_state_filtering=effective_filtering(vni, auto_filters=view.auto_filters),
        allow_ip_spoofing=vni.allow_ip_spoofing,
        addresses=vni.addresses,
        floating_ips=tuple(floating_ip.address for floating_ip in vni.floating_ips),
        legacy=vni.legacy,
        untranslated=vni.untranslated or UNSET,
    )
