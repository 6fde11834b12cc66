"""A VNI of the server belongs to no interface that the guest shows.

## What it finds

VNIs for which no interface of the guest has the MAC address or an address, or more than one has, or one of a kind that
is not modelled (a bridge, a bond). The guest's interfaces were collected.

## Why packets drop

If the guest has no such interface, nothing answers at the VNI's addresses: the device was not found by the guest, or
its driver is missing. If it is in another network namespace (of a container), or under a bridge, all may be well; we
cannot see it, and all flows of the VNI are unknown.

## How to fix

Compare `ip link` with the MAC addresses of the VNIs. On a bare metal server, a VNI of type vlan needs a VLAN device in
the guest.

## How sure we are

Computed from the collected interfaces; what it means for the flows is unknown.

## Sources

No field of the VPC API names the guest's device.
"""

from collections.abc import Iterator

from vnicheck.engine.interfaces import of_virtual_machine
from vnicheck.findings.evidence import guest_line, vni_field
from vnicheck.findings.facts import Facts
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Evidence, Finding, Fix


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each VNI."""
    guest = facts.guest_with("interfaces")
    if guest is None:
        return
    for vni in facts.view.server.vnis:
        if vni.id in facts.view.interface_of:
            continue
        others = of_virtual_machine(facts.view.server, vni)
        shown: list[Evidence] = [
            guest_line(facts, "ip link", f"{link.name}: {link.mac or 'no MAC address'}")
            for link in guest.interfaces
            if link.name != "lo"
        ]
        yield observation(
            rule,
            facts,
            subject=(vni.id,),
            what=facts.view.why_unmatched(vni),
            why=f"; the flows of {', '.join(vni.addresses)} are unknown.",
            evidence=[*vni_field(facts, vni, "mac"), *shown],
            fixes=() if others else (Fix("compare 'ip link' in the guest with the MAC address of the VNI"),),
        )


RULE = Rule(
    "VNC206", "vni-without-interface", __doc__, find, severity="note", about="server", cause=CauseKind.NO_INTERFACE
)
