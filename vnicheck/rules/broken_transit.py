"""The VPC leads packets through the server, and some of them do not get through.

## What it finds

VPC routes whose next hop is an address of the server, where packets of one direction or the other are dropped: at a VNI
that filters protocol states and sees the answer alone, by the IP spoofing check, or in the guest.

## Why packets drop

A server that forwards handles packets that are not its own. The VNI by which they leave must allow IP spoofing. The
guest must forward (`net.ipv4.conf.<interface>.forwarding`), and its rp_filter judges these packets too. And where the
two directions of a connection cross different VNIs, one that filters protocol states drops the answers that it has seen
no SYN for.

## How to fix

Lead both directions by the same VNIs, in the VPC's routing tables and the guest's. Where that cannot be, disable
protocol state filtering on the VNIs that see one direction alone: that is what the setting is documented for.

## How sure we are

As sure as of each stage; that the guest neither translates nor filters what it forwards is assumed.

## Sources

IBM Cloud Docs, VPC: vni-about, ip-spoofing-about, about-custom-routes. Linux: net/ipv4/route.c (ip_route_input_slow).
"""

from collections.abc import Iterator

from vnicheck.findings.broken_paths import TRANSIT_CODES, BrokenPath, broken_paths
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import protocol_words
from vnicheck.findings.path_finding import path_finding
from vnicheck.findings.rule import Rule
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.flow import DropCode, Leg


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each way through the server and cause."""
    for path in broken_paths(facts, *TRANSIT_CODES, transit=True):
        what = "packets" if path.hop.leg is Leg.REQUEST else "answers from"
        ends = f"{'to ' if path.hop.leg == 'request' else ''}{', '.join(path.locals)}"
        subject = f"{protocol_words(path.caused)} {what} {ends} through the server"
        said = f"{subject} are dropped at {path.at}"
        yield path_finding(rule, facts, path, what=said, fixes=_fixes(facts, path))


def _fixes(facts: Facts, path: BrokenPath) -> tuple[Fix, ...]:
    vni = facts.vni_named(path.at)
    name = f"{vni.name} ({vni.id})" if vni is not None else path.at
    match path.code:
        case DropCode.PROTOCOL_STATE_FILTERING if vni is not None and not vni.legacy:
            return (Fix("lead both directions by the same VNIs"), Fix(f"or disable protocol state filtering on {name}"))
        case DropCode.IP_SPOOFING_CHECK:
            return (Fix(f"allow IP spoofing on {name}"),)
        case DropCode.NOT_LOCAL:
            return (Fix(f"let the guest forward what enters by {path.at} (net.ipv4.ip_forward)"),)
        case DropCode.VPC_ROUTE:
            return (Fix("give the subnet by which the server sends another VPC routing table"),)
        case _:
            return (Fix("lead both directions by the same VNIs"),)


RULE = Rule("VNC108", "broken-transit", __doc__, find)
