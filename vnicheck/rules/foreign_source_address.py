"""A packet leaves by a VNI that does not own its source address, and the IP spoofing check drops it.

## What it finds

Flows whose packets the guest sends by another interface than the one that its address belongs to, where the VNI behind
that interface does not allow IP spoofing.

## Why packets drop

The VPC drops packets that leave a VNI with a source address that is none of the server's. Of an address of another VNI
of the server it is an open question (`spoofing-sibling`; see `sibling-source`), but towards the internet, and where the
configuration says that they are dropped.

## How to fix

Policy routing, so that packets leave by the VNI of their source address. Allowing IP spoofing on the other VNI lets any
source through there, needs the role IP Spoofing Operator (on bare metal Bare Metal Advanced Network Operator), and does
not help towards the internet.

## How sure we are

Documented by IBM.

## Sources

IBM Cloud Docs, VPC: ip-spoofing-about, vsi_is_instance_vnics, vsi-is-iam-access, bare_metal_server_manage_nic.
"""

from collections.abc import Iterator

from vnicheck.findings.broken_paths import broken_paths
from vnicheck.findings.facts import Facts
from vnicheck.findings.messages import protocol_words, who
from vnicheck.findings.path_finding import path_finding
from vnicheck.findings.rule import Rule
from vnicheck.fixes.advice import ways_back
from vnicheck.model.finding import Finding
from vnicheck.model.flow import DropCode, Leg


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each pair of interfaces."""
    for path in broken_paths(facts, DropCode.IP_SPOOFING_CHECK):
        what = "replies" if path.hop.leg is Leg.REPLY else "packets"
        subject = f"{protocol_words(path.caused)} {what} from {who(facts, path)}"
        said = f"{subject} are dropped at {path.at}"
        yield path_finding(rule, facts, path, what=said, fixes=ways_back(facts, path.members))


RULE = Rule("VNC103", "foreign-source-address", __doc__, find)
