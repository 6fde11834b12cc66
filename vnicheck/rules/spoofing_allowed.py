"""A VNI allows IP spoofing, and no path of the server needs that.

## What it finds

VNIs with `allow_ip_spoofing` by which the server sends only from the VNI's own addresses: no asymmetric path leaves by
it, no VPC route leads through it, the guest does not forward there and has no address that the VPC does not know.

## Why it matters

A guest that is broken into could send by this VNI with any source address. The setting is needed for routers, for
addresses that move between servers, and for paths that leave by a VNI other than that of their address.

## How to fix

Set `allow_ip_spoofing` to false. It takes the role IP Spoofing Operator.

## How sure we are

Computed from the predicted paths and the guest's addresses. Software that makes packets of its own is not seen.

## Sources

IBM Cloud Docs, VPC: ip-spoofing-about.
"""

from collections.abc import Iterator

from vnicheck.findings.evidence import sysctls, vni_field
from vnicheck.findings.facts import Facts
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.cloud import Vni
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.flow import Direction, Verdict
from vnicheck.model.guest import Guest


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each VNI."""
    guest = facts.guest_with("interfaces", "rules", "routes", "sysctls")
    if guest is None:
        return
    own = [flow for flow in facts.flows if not facts.is_inside(flow.egress)]
    if any(flow.verdict is Verdict.UNKNOWN or flow.direction is Direction.TRANSIT for flow in own):
        return
    for vni in facts.view.server.vnis:
        interface = facts.view.interface_of.get(vni.id)
        if vni.allow_ip_spoofing is not True or interface is None:
            continue
        forwarding = f"net/ipv4/conf/{interface}/forwarding"
        if any(flow.egress == interface and flow.local not in vni.carried for flow in own):
            continue
        if guest.sysctls.get(forwarding) != 0 or _has_foreign_address(guest, interface, vni):
            continue
        yield observation(
            rule,
            facts,
            subject=(vni.id,),
            what=f"{vni.name} ({interface}) allows IP spoofing, and sends from its own addresses alone",
            evidence=[*vni_field(facts, vni, "allow_ip_spoofing"), *sysctls(facts, forwarding)],
            fixes=(Fix(f"set allow_ip_spoofing of {vni.name} ({vni.id}) to false"),),
        )


def _has_foreign_address(guest: Guest, interface: str, vni: Vni) -> bool:
    """Whether the guest has an address there that the VPC does not know; link-local ones are nobody's concern."""
    return any(
        address.address not in vni.carried and not address.address.startswith("169.254.")
        for link in guest.interfaces
        if link.name == interface
        for address in link.addresses
    )


RULE = Rule(
    "VNC302", "spoofing-allowed", __doc__, find, severity="note", about="server", cause=CauseKind.LOOSE_SETTINGS
)
