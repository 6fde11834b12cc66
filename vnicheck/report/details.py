"""What stands behind the short report: interfaces, what works, what is closed, what is not known, and the facts."""

from collections.abc import Iterator, Sequence

from msgspec import UnsetType

from vnicheck.findings.terms import DROPS, RP_FILTER
from vnicheck.model.finding import Evidence
from vnicheck.model.flow import Flow, Outcome, Verdict
from vnicheck.model.grouped import grouped
from vnicheck.model.report import InstanceReport, InterfaceSummary, VniSummary
from vnicheck.model.words import listed
from vnicheck.report.page import LABEL, Page
from vnicheck.report.reach import protocols, reached, remotes


def write_details(page: Page, instance: InstanceReport) -> None:
    """The server's interfaces, then its flows that no finding tells of."""
    if instance.interfaces:
        page.line(("Interfaces", "bold"))
        collected = any(interface.in_guest for interface in instance.interfaces)
        for interface in instance.interfaces:
            _interface(page, interface, collected)
        page.line()
    _other_flows(page, instance)


def write_evidence(page: Page, evidence: Sequence[Evidence], *, indent: int = 2) -> None:
    """What a finding rests on, each fact with when it was collected."""
    for number, fact in enumerate(evidence):
        api = fact.source.startswith("GET ")  # the path is long, and says less than the field
        line = f"{fact.text} ({fact.source})" if api else f"{fact.source}: {fact.text}"
        times = f" (collected {fact.collected_at})" if fact.collected_at else ""
        lead = f"{'facts' if number == 0 else '':<{LABEL}}"
        page.prose((line + times, "dim"), indent=indent, lead=(lead, "dim"))


def _interface(page: Page, interface: InterfaceSummary, collected: bool) -> None:
    name = interface.name if interface.in_guest else "-"
    addresses = ", ".join(interface.addresses) or "no IPv4 address"
    if not interface.in_guest and interface.vni is not None:
        addresses = ", ".join(interface.vni.addresses) + (" (no such interface in the guest)" if collected else "")
    page.prose(f"{interface.mac or 'no MAC known'}  {addresses}", indent=2, lead=(f"{name:<{LABEL - 1}} ", "bold"))
    rp_filter = interface.rp_filter
    if rp_filter.effective is not None:
        mode = RP_FILTER.get(rp_filter.effective, "loose")
        page.labelled("", f"rp_filter {mode} (all={rp_filter.all}, {interface.name}={rp_filter.interface})")
    elif interface.in_guest:
        page.labelled("", "rp_filter not collected")
    vni = interface.vni
    if vni is None:
        page.labelled("", "no VNI behind it")
        return
    state = vni.protocol_state_filtering or "unknown"
    spoofing = {True: "allowed", False: "not allowed", None: "unknown"}[vni.allow_ip_spoofing]
    missing = [address for address in vni.carried if not any(a.startswith(f"{address}/") for a in interface.addresses)]
    lacks = f"; not in the guest: {', '.join(missing)}" if missing and interface.in_guest else ""
    floating = f"; floating IP {', '.join(vni.floating_ips)}" if vni.floating_ips else ""
    what = f"legacy interface {vni.name}" if vni.legacy else f"VNI {vni.name}"
    mode = "as auto, cannot be changed" if vni.legacy else f"mode {vni.protocol_state_filtering_mode or 'unknown'}"
    page.labelled("", f"{what}: state filtering {state} ({mode}), IP spoofing {spoofing}{floating}{lacks}")
    foreign = _foreign_addresses(interface, vni)
    if foreign:
        fate = {
            True: "nothing is delivered to it unless a VPC route leads here",
            False: "nothing is delivered to it, and the IP spoofing check drops what it sends",
            None: "nothing is delivered to it",
        }[vni.allow_ip_spoofing]
        page.labelled("", f"not known to the VPC: {', '.join(foreign)}; {fate}")


def _foreign_addresses(interface: InterfaceSummary, vni: VniSummary) -> list[str]:
    """The addresses of the guest's interface that are none of its VNI's; link-local ones are nobody's concern."""
    addresses = [prefix.partition("/")[0] for prefix in interface.addresses]
    return [each for each in addresses if each not in vni.carried and not each.startswith("169.254.")]


def _other_flows(page: Page, instance: InstanceReport) -> None:
    signs = {
        WORKS: (page.glyphs.tick, "green"),
        ASYMMETRIC: (page.glyphs.tick, "yellow"),
        UNKNOWN: (page.glyphs.question, ""),
    }
    for label, sentences in other_flows(instance):
        page.line((label, "bold"))
        glyph, style = signs.get(label, ("-", ""))
        for sentence in sentences:
            page.prose(sentence, indent=2, lead=(f"{glyph} ", style))


def other_flows(instance: InstanceReport) -> Iterator[tuple[str, list[str]]]:
    """What works, what is closed by policy, and what is not known, where there is any: a sentence each."""
    delivered = [flow for flow in instance.flows if flow.verdict is Verdict.DELIVERED]
    told = {
        WORKS: _summed_up([flow for flow in delivered if flow.symmetric], instance.flows),
        ASYMMETRIC: _summed_up([flow for flow in delivered if not flow.symmetric], instance.flows),
        CLOSED: _grouped(instance, Verdict.DROPPED),
        UNKNOWN: _grouped(instance, Verdict.UNKNOWN),
    }
    return ((label, sentences) for label, sentences in told.items() if sentences)


WORKS, ASYMMETRIC, CLOSED, UNKNOWN = "Works", "Works, asymmetrically", "Closed", "Unknown"


def _summed_up(flows: Sequence[Flow], everything: Sequence[Flow]) -> list[str]:
    """One sentence for all that an address does alike: `10.0.0.11 (eth0): both ways, tcp and udp: its subnet`."""
    places: dict[tuple[str, str], list[Flow]] = {}
    for flow in flows:
        way = flow.ingress if flow.ingress == flow.egress else f"in {flow.ingress}, out {flow.egress}"
        places.setdefault((flow.local, str(way)), []).append(flow)
    sentences = []
    for (local, way), here in places.items():
        reach = grouped(((flow.direction, flow.protocol.value), flow) for flow in here)
        alike = grouped((reached(there, everything), key) for key, there in reach.items())
        for whom, keys in alike.items():
            by_direction = grouped((direction.value, protocol) for direction, protocol in keys)
            sets = list(by_direction.values())
            if len(sets) == 2 and sets[0] == sets[1]:
                what = f"both ways, {listed(sets[0])}"
            else:
                what = "; ".join(f"{direction} {listed(names)}" for direction, names in by_direction.items())
            sentences.append(f"{local} ({way}): {what}: {whom}")
    return sentences


def _grouped(instance: InstanceReport, verdict: Verdict) -> list[str]:
    groups: dict[str, list[Flow]] = {}
    for flow in instance.flows:
        if flow.verdict is not verdict or (flow.findings and verdict is Verdict.DROPPED):
            continue
        cause = _cause(flow)
        if cause is not None:
            groups.setdefault(cause, []).append(flow)
    sentences = []
    for cause, flows in groups.items():
        locals_ = listed(list(dict.fromkeys(flow.local for flow in flows)))
        ways = {flow.direction for flow in flows}
        way = "both ways" if len(ways) == 2 else ways.pop().value
        sentences.append(f"{locals_}, {way}, {listed(protocols(flows))}, {remotes(flows, instance.flows)}: {cause}")
    return sentences


def _cause(flow: Flow) -> str | None:
    """Why a flow without a finding does not work; None where nobody can be at its remote."""
    if flow.verdict is Verdict.UNKNOWN:
        return next(hop.reason for hop in flow.hops if hop.outcome is Outcome.UNKNOWN)
    if flow.dropped_by is None or not isinstance(flow.to_no_host, UnsetType):
        return None
    return DROPS[flow.dropped_by].label
