"""A path is asymmetric and works, but only as long as some settings stay as they are.

## What it finds

Flows that are delivered although their packets enter the guest by one interface and leave by another, and what that
depends on: rp_filter loose or off where packets enter, protocol state filtering disabled on the VNI that sees half of a
connection, IP spoofing allowed on the VNI that does not own the source address.

## Why packets drop

They do not, today. Any one of these settings, once back at its default, drops them: rp_filter set by `sysctl -w` is
gone after a reboot, and a server built anew gets a VNI with mode auto and no spoofing. Where protocol states are not
filtered, the VPC also no longer notices connections that nobody opened.

## How to fix

Policy routing, so that both directions cross one VNI; the settings can then go back to their defaults. Or keep them,
and write them down where the next boot and the next build find them.

## How sure we are

Computed from collected facts. That UDP is not state-filtered is assumed.

## Sources

IBM Cloud Docs, VPC: vni-about, ip-spoofing-about. Linux: Documentation/networking/ip-sysctl.rst (rp_filter).
Captures in fixtures/article (check 3).
"""

from collections.abc import Iterator

from vnicheck.fabric.state_filter import effective_filtering
from vnicheck.findings.broken_paths import all_broken_paths
from vnicheck.findings.evidence import back_lines, rp_filter, vni_field
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import places, protocol_words
from vnicheck.findings.rule import Rule, observation
from vnicheck.fixes.advice import ways_back
from vnicheck.model.cause import CauseKind
from vnicheck.model.cloud import Vni
from vnicheck.model.finding import Evidence, Finding
from vnicheck.model.flow import Direction, Flow, Verdict
from vnicheck.model.words import listed


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each pair of interfaces, of the directions of which nothing is broken."""
    broken = {(path.direction, path.ingress, path.egress) for path in all_broken_paths(facts)}
    paths: dict[tuple[str, str], list[tuple[int, Flow]]] = {}
    for index, flow in enumerate(facts.flows):
        if flow.verdict is not Verdict.DELIVERED or flow.symmetric is not False:
            continue
        if flow.direction is Direction.TRANSIT or (flow.direction, flow.ingress, flow.egress) in broken:
            continue
        if flow.ingress is not None and flow.egress is not None:
            paths.setdefault((flow.ingress, flow.egress), []).append((index, flow))
    for (ingress, egress), indexed in paths.items():
        flows = tuple(flow for _, flow in indexed)
        ends = facts.vni_named(ingress), facts.vni_named(egress)
        if ends[0] is None or ends[1] is None:
            continue
        hangs, evidence = _hangs_on(facts, ingress, egress, flows)
        locals_ = tuple(dict.fromkeys(flow.local for flow in flows))
        ways = listed(list(dict.fromkeys(flow.direction.value for flow in flows)))
        said = (
            f"{ways} {protocol_words(flows)} flows of {places(facts, locals_)} work although packets enter by "
            f"{ingress} and leave by {egress}"
        )
        yield observation(
            rule,
            facts,
            subject=(ends[0].id, ends[1].id),
            what=said,
            why=f"; that depends on {listed(hangs)}." if hangs else ".",
            flows=[index for index, _ in indexed],
            evidence=[*evidence, *back_lines(facts, flows[0])],
            fixes=ways_back(facts, flows),
        )


def _hangs_on(facts: Facts, ingress: str, egress: str, flows: tuple[Flow, ...]) -> tuple[list[str], list[Evidence]]:
    """What the path would not work without, in words, and the facts."""
    hangs, evidence = [], rp_filter(facts, ingress)
    sysctls = facts.view.server.guest.sysctls if facts.view.server.guest is not None else {}
    effective = max(sysctls.get(f"net/ipv4/conf/{name}/rp_filter", 0) for name in ("all", ingress))
    if effective != 1:  # a strict filter that passes these packets has a route of several ways
        kept = "a running value, lost at the next boot unless a file sets it"
        hangs.append(f"rp_filter being {'off' if effective == 0 else 'loose'} on {ingress} ({kept})")
    arriving, leaving = facts.vni_named(ingress), facts.vni_named(egress)
    half: dict[Vni, None] = {}
    for flow in flows:
        seen_by = leaving if flow.direction is Direction.INBOUND else arriving
        if flow.protocol in facts.view.assume.psf_protocols and seen_by is not None:
            half[seen_by] = None
    for vni in half:
        if effective_filtering(vni, auto_filters=facts.view.auto_filters) != "disabled":
            continue  # it filters, and is configured to pass what it has not seen opened
        mode = "legacy" if vni.legacy else f"mode {vni.protocol_state_filtering_mode}"
        hangs.append(f"{vni.name} not filtering protocol states ({mode})")
        evidence += vni_field(facts, vni, "protocol_state_filtering_mode")
    if leaving is not None and leaving.allow_ip_spoofing and any(flow.local not in leaving.addresses for flow in flows):
        hangs.append(f"{leaving.name} allowing IP spoofing")
        evidence += vni_field(facts, leaving, "allow_ip_spoofing")
    if leaving is not None and any(hop.assumption == "spoofing-sibling" for flow in flows for hop in flow.hops):
        hangs.append(f"the spoofing check of {leaving.name} passing addresses of other VNIs, as configured")
    return hangs, evidence


RULE = Rule("VNC201", "asymmetric-path", __doc__, find, severity="warning", cause=CauseKind.WRONG_INTERFACE)
